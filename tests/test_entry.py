"""The console script, interrupted while it imports the library."""

import signal
import subprocess
import sys
import tomllib
from pathlib import Path

import minigan_entry
from minigan.cli.support import EXIT_INTERRUPTED

PROJECT = Path(minigan_entry.__file__).parent
INTERRUPTED_AT = """
import os, signal, sys
import importlib.abc
class Interrupt(importlib.abc.MetaPathFinder):
    def find_spec(self, name, path=None, target=None):
        if name == {module!r}:
            os.kill(os.getpid(), signal.SIGINT)
        return None
sys.meta_path.insert(0, Interrupt())
sys.argv = ["minigan", "train", "gaussian"]
import minigan_entry
sys.exit(minigan_entry.main())
"""


def test_ctrl_c_during_the_imports_is_one_line():
    """numpy.random turns a KeyboardInterrupt within its import into an ImportError."""
    for module in ("numpy", "numpy.random._common", "minigan.network", "minigan.cli.support"):
        code = INTERRUPTED_AT.format(module=module)
        done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=PROJECT, timeout=60)
        assert (done.returncode, done.stderr) == (EXIT_INTERRUPTED, "minigan train: interrupted\n")


def test_afterwards_ctrl_c_is_python_s_again():
    code = """
import signal, sys, minigan_entry
sys.argv = ["minigan", "--version"]
try:
    minigan_entry.main()
finally:
    print(signal.getsignal(signal.SIGINT) is signal.default_int_handler)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=PROJECT, timeout=60)
    assert done.stdout.splitlines()[-1:] == ["True"]


def test_the_script_is_installed():
    assert EXIT_INTERRUPTED == minigan_entry.EXIT_INTERRUPTED == 128 + signal.SIGINT
    config = tomllib.loads((PROJECT / "pyproject.toml").read_text())
    assert config["project"]["scripts"]["minigan"] == "minigan_entry:main"
    targets = config["tool"]["hatch"]["build"]["targets"]
    assert targets["wheel"]["force-include"] == {"minigan_entry.py": "minigan_entry.py"}
    assert "/minigan_entry.py" in targets["sdist"]["include"]
