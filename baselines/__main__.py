"""Runs ``hiar-baselines`` as ``python -m baselines``."""

import sys

from baselines.cli.main import main

if __name__ == "__main__":
    sys.exit(main())
