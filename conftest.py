"""What pytest leaves out where an optional dependency is missing."""

from importlib.util import find_spec

# the doctests of `verify` import it; its tests skip themselves and say why
collect_ignore_glob = [] if find_spec("flint") else ["verify/*"]
