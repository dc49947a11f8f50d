"""`python -m hiar`."""

import sys

from hiar.cli import main

sys.exit(main())
