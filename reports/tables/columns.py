"""The columns that the tables share, by their id in paper_numbers.json."""

from reports.tables.cells import Column

COLUMNS: dict[str, Column] = {
    column.id: column
    for column in (
        Column(
            id="throughput_fps",
            label="Throughput",
            unit="frames/s",
            better="higher",
            decimals=2,
            measured_decimals=1,
            relative=True,
        ),
        Column(
            id="latency_s",
            label="Latency",
            unit="s",
            better="lower",
            decimals=2,
            measured_decimals=3,
            relative=True,
        ),
        Column(id="vbench_total", label="Total", unit="", better="higher", decimals=3),
        Column(id="vbench_quality", label="Quality", unit="", better="higher", decimals=3),
        Column(id="vbench_semantic", label="Semantic", unit="", better="higher", decimals=3),
        Column(id="vbench_dynamic_degree", label="Dynamic", unit="", better="higher", decimals=3),
        Column(id="vbench_motion_smoothness", label="Smooth", unit="", better="higher", decimals=3),
        Column(id="drift", label="Drift", unit="", better="lower", decimals=3, relative=True),
        Column(id="seam", label="Seam", unit="", better="lower", decimals=2),
    )
}
