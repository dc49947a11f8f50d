"""Runs ``hiar-vbench`` as ``python -m eval``."""

import sys

from eval.cli.main import main

if __name__ == "__main__":
    sys.exit(main())
