"""`python -m hiar`."""

from hiar.cli import console

console()
