"""Every bug planted in `verify` makes the named test fail, which passes without it."""

import os

import pytest

pytest.importorskip("flint", reason="python-flint is not installed: pip install 'minigan[verify]'")

from verify_mutants import MUTANTS
from verify_mutation import MODULES, ROOT, outcome

pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="every run is a fork")


@pytest.mark.parametrize("test", {mutant.test.partition("::")[0]: mutant.test for mutant in MUTANTS}.values())
def test_a_test_passes_without_a_planted_bug(test):
    """One of each file, run as with a bug; that all of them pass is seen where they run as ordinary tests."""
    assert outcome(test) == "passes"


@pytest.mark.parametrize("mutant", MUTANTS, ids=lambda mutant: f"{mutant.module}-{mutant.name}")
def test_a_planted_bug_is_caught(mutant):
    assert outcome(mutant.test, mutant) == "fails"


def test_every_module_is_where_the_table_says():
    assert {mutant.module for mutant in MUTANTS} <= set(MODULES)
    for name in MODULES.values():
        assert (ROOT / f"{name.replace('.', '/')}.py").is_file()


def test_names_are_told_apart_and_there_are_enough():
    assert len({(mutant.module, mutant.name) for mutant in MUTANTS}) == len(MUTANTS) >= 48


def test_a_bug_without_its_place_in_the_text_is_an_error():
    from verify_mutation import Mutant

    for old in ("no such text", "return"):
        with pytest.raises(AssertionError, match="expected once"):
            Mutant("nowhere", "integrate", old, "", "test_decision_edges.py").text()


def test_what_only_looks_like_a_failure_is_told_apart():
    """A name without a test, and a module that cannot be imported, do not count as caught."""
    from verify_mutation import Mutant

    assert outcome("test_decision_edges.py::no_such_test").endswith("ended with 4")
    text = "class Undecided(ArithmeticError):"
    broken = Mutant("broken", "decide", text, "raise ImportError\n" + text,
                    "test_decision_edges.py::test_zero")  # fmt: skip
    assert "ended with" in outcome(broken.test, broken)
