"""``python -m verify``."""

import sys

from minigan.cli.support import guarded
from verify.cli import main

if __name__ == "__main__":
    sys.exit(guarded("python -m verify", main))
