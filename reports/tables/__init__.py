"""Tables as data: rows, columns and cells, each with the paper's value and ours.

One file a table, listed in `TABLES`. Imports `reports.records` and the rooms it stands on.
"""

from reports.tables import field, mechanism, table1, table2, table3
from reports.tables.build import TableSpec

TABLES: dict[str, TableSpec] = {
    spec.name: spec for spec in (mechanism.SPEC, table1.SPEC, table2.SPEC, table3.SPEC, field.SPEC)
}
FIGURES_PART = "figures"
PARTS = (*TABLES, FIGURES_PART)
"""The parts of a reproduction, as `--only` names them, in the order of the report."""
