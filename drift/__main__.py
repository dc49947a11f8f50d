"""`python -m drift` is the `drift` command."""

import sys

from drift.cli.main import main

if __name__ == "__main__":
    sys.exit(main())
