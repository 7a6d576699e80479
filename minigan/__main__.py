"""``python -m minigan``."""

import sys

from minigan.cli import main

if __name__ == "__main__":
    sys.exit(main())
