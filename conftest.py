"""What pytest leaves out where an optional dependency is missing."""

from importlib.util import find_spec

# Doctests are looked for in every module; the tests that need a missing package skip themselves and say why.
collect_ignore_glob = [] if find_spec("flint") else ["verify/*"]
collect_ignore = [] if find_spec("torch") else ["tests/torch_twin.py"]
