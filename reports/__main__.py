"""`python -m reports` is `reproduce-paper`."""

import sys

from reports.cli.main import main

if __name__ == "__main__":
    sys.exit(main())
