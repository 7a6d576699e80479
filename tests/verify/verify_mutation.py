"""Planted bugs: with one change to a module, in a separate process, the named test must fail.

The working tree is never written to: an import hook compiles the changed text.  A server process imports the heavy
libraries once and forks for every run, so that a run costs little more than its test.  It does not import the packages
that bugs are planted in.
"""

import importlib
import importlib.util
import json
import os
import subprocess
import sys
from dataclasses import dataclass
from functools import cache
from importlib.machinery import SourceFileLoader
from pathlib import Path

HERE = Path(__file__).parent
ROOT = HERE.parent.parent
SECONDS = 60
"""The time after which a test counts as hanging."""

MODULES = {
    "balls": "verify.arithmetic.balls",
    "base": "verify.densities.base",
    "bounded": "verify.densities.bounded",
    "branch_bound": "verify.analysis.branch_bound",
    "independent": "verify.engine.independent",
    "decide": "verify.arithmetic.decide",
    "differentiable": "verify.library.differentiable",
    "dirac": "verify.models.dirac",
    "divergences": "verify.analysis.divergences",
    "dual": "verify.arithmetic.dual",
    "tails": "verify.densities.tails",
    "fgan": "verify.models.fgan",
    "functions": "verify.densities.functions",
    "generator": "verify.models.generator",
    "integrate": "verify.analysis.integrate",
    "likelihood": "verify.claims.likelihood",
    "line": "verify.densities.line",
    "unconscious_statistician": "verify.models.unconscious_statistician",
    "float_checks": "verify.engine.float_checks",
    "mixture": "verify.densities.mixture",
    "power_tails": "verify.densities.power_tails",
    "proof": "verify.engine.proof",
    "radial": "verify.densities.radial",
    "simplex": "verify.models.simplex",
    "statistics": "verify.engine.statistics",
    "game_value": "verify.analysis.game_value",
    "variation": "verify.analysis.variation",
}
"""The full name of each module."""


@dataclass(frozen=True)
class Mutant:
    """`old`, which the module has exactly once, becomes `new`; `test` (file.py::name[case]) must fail then."""

    name: str
    module: str  # a key of MODULES
    old: str
    new: str
    test: str

    def path(self) -> Path:
        """Return the file of the module."""
        return ROOT / (MODULES[self.module].replace(".", "/") + ".py")

    def text(self) -> str:
        """Return the changed text."""
        text = self.path().read_text()
        count = text.count(self.old)
        assert count == 1, f"{self.path().name} has {count} times: {self.old!r}; expected once"
        changed = text.replace(self.old, self.new)
        compile(changed, str(self.path()), "exec")
        return changed


def outcome(test: str, mutant: Mutant | None = None) -> str:
    """Run a test, with or without a planted bug; return "passes", "fails", "hangs" or how else the run ended."""
    change = [MODULES[mutant.module], str(mutant.path()), mutant.text()] if mutant else None
    server = _server()
    assert server.stdin
    assert server.stdout
    server.stdin.write(json.dumps([test, change]) + "\n")
    server.stdin.flush()
    return str(json.loads(server.stdout.readline()))


@cache
def _server() -> "subprocess.Popen[str]":
    env = os.environ | {"OPENBLAS_NUM_THREADS": "1", "PYTHONPATH": os.pathsep.join([str(ROOT), str(HERE)])}
    # the environment's addopts and plugins of the caller (xdist) are not for these runs
    env = {key: value for key, value in env.items() if not key.startswith("PYTEST_")}
    env["PYTEST_DISABLE_PLUGIN_AUTOLOAD"] = "1"
    pipe = subprocess.PIPE
    return subprocess.Popen([sys.executable, __file__], stdin=pipe, stdout=pipe, env=env, cwd=ROOT, text=True)


# In the server.


class _Changed(SourceFileLoader):
    """A loader that compiles a changed text in place of the file."""

    source = ""

    def get_code(self, fullname: str):
        """Compile the changed text."""
        return compile(self.source, self.path, "exec")


class _Finder:
    """A finder of one module, with its changed text."""

    def __init__(self, name: str, path: str, source: str) -> None:
        self.name, self.path, self.source = name, path, source

    def find_spec(self, fullname: str, path=None, target=None):
        """Return the spec of the changed module, and None for all others."""
        if fullname != self.name:
            return None
        loader = _Changed(fullname, self.path)
        loader.source = self.source
        return importlib.util.spec_from_file_location(fullname, self.path, loader=loader)


PRELOADED = (
    "hypothesis", "minigan", "minigan.data", "minigan.recipes", "minigan.training", "mpmath", "pytest",
    "scipy.integrate", "scipy.optimize", "scipy.stats", "sympy.combinatorics", "sympy.tensor",
)  # fmt: skip
"""The other packages that the tests and `verify` import, which takes longer than most of the tests."""


def _serve() -> None:
    for name in PRELOADED:
        importlib.import_module(name)
    assert not any(name.split(".")[0] == "verify" for name in sys.modules)
    for line in sys.stdin:
        test, change = json.loads(line)
        print(json.dumps(_fork(test, change)), flush=True)


def _fork(test: str, change) -> str:
    import signal

    child = os.fork()
    if child == 0:
        code = 99
        try:
            silent = os.open(os.devnull, os.O_RDWR)
            for descriptor in (0, 1, 2):
                os.dup2(silent, descriptor)
            signal.alarm(SECONDS)
            code = _run(test, change)
        finally:
            os._exit(code)
    _, status = os.waitpid(child, 0)
    code = os.waitstatus_to_exitcode(status)
    known = {0: "passes", 1: "fails", -signal.SIGALRM: "hangs"}
    return known.get(code, f"the run of {test} ended with {code}")


def _run(test: str, change) -> int:
    import pytest

    if change:
        sys.meta_path.insert(0, _Finder(*change))
    return int(pytest.main(["-q", "-x", "-o", "addopts=", "-p", "no:cacheprovider", str(HERE / test)]))


if __name__ == "__main__":
    _serve()
