"""The tables: one file each, one line here."""

from reports.tables import table1, table2, table3
from reports.tables.build import TableSpec

TABLES: dict[str, TableSpec] = {spec.name: spec for spec in (table1.SPEC, table2.SPEC, table3.SPEC)}
