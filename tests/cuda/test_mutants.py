"""Every planted bug fails a check of the kernels, and without planted bugs all checks pass."""

import importlib
from pathlib import Path

import pytest
from emulated import EMULATOR_ONLY, NEEDS_HOST_COMPILER
from mutation import outcome

pytestmark = [NEEDS_HOST_COMPILER, EMULATOR_ONLY]

MODULES = sorted(path.stem for path in Path(__file__).parent.glob("mutants_*.py"))
MUTANTS = [mutant for module in MODULES for mutant in importlib.import_module(module).MUTANTS]
CHECKS = sorted({mutant.check for mutant in MUTANTS}, key=lambda check: (check.__module__, check.__name__))


@pytest.mark.parametrize("check", CHECKS, ids=lambda check: f"{check.__module__}-{check.__name__}")
def test_a_check_passes_without_a_planted_bug(check):
    assert outcome(check) == ""


@pytest.mark.parametrize("mutant", MUTANTS, ids=lambda mutant: f"{Path(mutant.file).stem}-{mutant.name}")
def test_a_planted_bug_is_caught(mutant, tmp_path):
    mutant.write(tmp_path)
    found = outcome(mutant.check, tmp_path)
    assert found, "not caught"
    assert not found.startswith("DOES NOT COMPILE"), found
    assert mutant.says in found


def test_there_are_at_least_ten_mutants():
    assert len(MUTANTS) >= 10
