"""`python -m hiar`."""

from hiar.cli.main import console

console()
