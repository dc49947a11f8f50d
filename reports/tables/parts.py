"""The parts of a reproduction, as `--only` names them, in the order of the report."""

from reports.tables import TABLES

FIGURES_PART = "figures"
PARTS = (*TABLES, FIGURES_PART)
