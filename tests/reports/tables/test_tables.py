import csv
import io
import json
import re
from dataclasses import replace
from typing import Any

import pytest

from reports.paper.published import load_published, published_table
from reports.paper.spec import load_preset
from reports.records.measurements import Measurements, paired_change_ci
from reports.render.as_data import to_csv, to_json
from reports.render.as_latex import escape, to_latex
from reports.render.as_markdown import to_markdown, to_terminal
from reports.schemas.drift_records import ShortSeam
from reports.tables import TABLES
from reports.tables.build import TableSpec
from reports.tables.cells import Cell, Measured, Table
from reports.tables.needs import GPU, VBENCH, Need, NotRun
from reports.tables.row_sources import RowSource

TINY = {name: spec for name, spec in TABLES.items() if spec.row_ids("tiny")}


@pytest.fixture(params=list(TINY))
def table(request: pytest.FixtureRequest, measurements: Measurements) -> Table:
    return TABLES[request.param].build(measurements)


def test_published_numbers_hold_the_paper_s_own_check() -> None:
    # Sec. 4.2: "HiAR reduces drift by 27.6% relative to Self-Forcing (0.257 vs. 0.355)".
    rows = {row.id: row.values["drift"] for row in published_table("table1").rows}
    hiar, self_forcing = rows["hiar"], rows["self-forcing"]
    assert hiar is not None
    assert self_forcing is not None
    assert round(100 * (hiar / self_forcing - 1), 1) == -27.6


def test_published_tables_repeat_shared_rows_alike() -> None:
    one, two, three = (published_table(f"table{n}") for n in (1, 2, 3))
    hiar = [
        one.row("hiar").values["drift"],
        two.row("context-output").values["drift"],
        three.row("fkl-bidirectional-1").values["drift"],
    ]
    assert hiar == [0.257] * 3
    assert len(one.rows) == 10
    assert load_published()["setup"]["drift_segments"] == 5


def test_every_cell_has_a_tiny_number_or_a_reason(table: Table) -> None:
    for row in table.rows:
        for column in table.columns:
            outcome = row.cells[column.id].measured
            if isinstance(outcome, NotRun):
                assert outcome.reason
            else:
                assert outcome.scale == "tiny"
                assert outcome.job
                assert outcome.n > 0


def test_no_published_number_is_measured(table: Table, measurements: Measurements) -> None:
    ours = {record.value for record in measurements.drifts.values()}
    ours |= {v for row in measurements.bench.values() for v in (row.throughput_fps, row.latency_s)}
    values = {
        cell.measured.value
        for row in table.rows
        for cell in row.cells.values()
        if isinstance(cell.measured, Measured)
    }
    assert values or table.name == "mechanism"  # whose runs have no records here
    assert values <= ours


def test_tiny_is_never_differenced_against_the_paper(table: Table) -> None:
    assert all(cell.difference is None for row in table.rows for cell in row.cells.values())


def test_paper_scale_is_differenced() -> None:
    measured = Measured(value=0.3, n=8, n_of="videos", interval=None, job="x", scale="paper")
    cell = Cell(published=0.25, measured=measured)
    assert cell.difference == pytest.approx(0.05)


def test_field_has_drift_seam_and_the_speed_of_a_model_s_order(measurements: Measurements) -> None:
    seam = ShortSeam(seam_ratio=1.4, ci95=(1.2, 1.6), largest_other_phase=1.1, found=True)
    ours = replace(measurements.drifts["tiny-hiar"], seam=seam)
    theirs = measurements.drifts["tiny-self-forcing"]
    filled = replace(
        measurements,
        preset=load_preset("field"),
        drifts={"hiar-60s": ours, "self-forcing-60s": theirs},
    )
    table = TABLES["field"].build(filled)
    cells = {name: cell.measured for name, cell in table.row("hiar-60s").cells.items()}
    assert isinstance(found := cells["seam"], Measured)
    assert (found.value, found.interval, found.n) == (1.4, (1.2, 1.6), 2)
    assert isinstance(fps := cells["throughput_fps"], Measured)
    assert fps.value == measurements.bench["step_first"].throughput_fps
    assert table.row("hiar-60s").changes["drift"].value == pytest.approx(0.375 / 0.5 - 1)
    assert isinstance(table.row("self-forcing-60s").cells["seam"].measured, NotRun)
    assert [row.id for row in table.rows] == [run.name for run in filled.preset.runs]
    # Block-first was timed with a window of 21; a model that sees 12 has no speed from it.
    assert isinstance(table.row("self-forcing-60s").cells["throughput_fps"].measured, Measured)
    assert isinstance(table.row("longlive").cells["throughput_fps"].measured, NotRun)


def test_table1_says_what_each_row_needs(measurements: Measurements) -> None:
    table = TABLES["table1"].build(measurements)
    drift = table.row("skyreels-v2-1.3b").cells["drift"].measured
    vbench = table.row("hiar").cells["vbench_total"].measured
    assert drift == NotRun(
        needs=(Need(what="weights", which="Skywork/SkyReels-V2-DF-1.3B-540P-Diffusers"), GPU)
    )
    assert vbench == NotRun(needs=(VBENCH,))
    assert [row.id for row in table.rows if row.has_source] == [
        "causvid", "self-forcing", "causal-forcing", "hiar",
    ]  # fmt: skip


def test_changes_stand_beside_the_paper_s(measurements: Measurements) -> None:
    table = TABLES["table1"].build(measurements)
    hiar = table.row("hiar")
    drift = next(column for column in table.columns if column.id == "drift")
    published = table.published_change(hiar, drift)
    assert published is not None
    assert published.value == pytest.approx(0.257 / 0.355 - 1)
    # (0.3 + 0.45) / (0.4 + 0.6) - 1
    assert hiar.changes["drift"].value == pytest.approx(-0.25)
    # 25 / 40 - 1
    assert hiar.changes["throughput_fps"].value == pytest.approx(-0.375)
    assert table.row("self-forcing").changes == {}


def test_extra_row_of_table2_is_not_the_paper_s(measurements: Measurements) -> None:
    sources = {"tiny": {**TABLES["table2"].sources["tiny"],
                        "own": RowSource(run="tiny-no-retraining", origin="ours")}}  # fmt: skip
    spec = replace(
        TABLES["table2"], sources=sources, extra={"own": "of our own (not in the paper)"}
    )
    row = spec.build(measurements).row("own")
    assert not row.in_paper
    assert all(cell.published is None for cell in row.cells.values())
    assert "not in the paper" in row.label


def test_untrained_rows_of_table3_say_so(measurements: Measurements) -> None:
    quick = TABLES["table3"].build(replace(measurements, preset=load_preset("quick")))
    found = quick.row("no-fkl").cells["drift"].measured
    assert isinstance(found, NotRun)
    assert found.reason == "job score-no-fkl: not part of this run"
    table = TABLES["table3"].build(measurements)
    measured = table.row("no-retraining").cells["drift"].measured
    assert isinstance(measured, Measured)
    assert measured.value == pytest.approx((0.35 + 0.5) / 2)
    assert measured.job == "score-tiny-no-retraining"


def test_a_failed_job_is_the_reason(measurements: Measurements) -> None:
    failed = replace(measurements, bench={}, failures={"bench": "exit code 1"})
    table = TABLES["table1"].build(failed)
    cell = table.row("hiar").cells["latency_s"].measured
    assert isinstance(cell, NotRun)
    assert cell.reason == "job bench: exit code 1"
    assert "Throughput, Latency: job bench: exit code 1" in to_markdown(table)


def test_a_failed_row_of_a_measured_column_says_why_in_its_cell(measurements: Measurements) -> None:
    drifts = {k: v for k, v in measurements.drifts.items() if k != "tiny-hiar"}
    failed = replace(measurements, drifts=drifts, failures={"score-tiny-hiar": "exit code 1"})
    table = TABLES["table3"].build(failed)
    reason = "(job score-tiny-hiar: exit code 1)"
    assert reason in to_markdown(table)
    assert reason in to_latex(table)
    assert reason in to_terminal([table])


def test_nothing_measured_still_renders() -> None:
    for spec in TINY.values():
        table = spec.build(Measurements(preset=load_preset("tiny")))
        for render in (to_markdown, to_latex, to_json, to_csv):
            assert "not part of this run" in render(table)


def test_paired_interval_uses_pairs() -> None:
    # Every video drifts exactly half as much, so every resample gives exactly -0.5.
    theirs = {"a": 0.2, "b": 0.4, "c": 0.9}
    assert paired_change_ci({k: v / 2 for k, v in theirs.items()}, theirs) == (-0.5, -0.5)
    assert paired_change_ci({"a": 1.0}, {"a": 2.0}) is None
    assert paired_change_ci({"a": 1.0, "b": 1.0}, {"a": 1.0, "c": 1.0}) is None


def test_latex_escapes_what_it_must() -> None:
    assert escape(r"a_b & 5% {x} $~^\ #") == (
        r"a\_b \& 5\% \{x\} \$\textasciitilde{}\textasciicircum{}\textbackslash{} \#"
    )


def test_latex_is_balanced_and_regular(table: Table) -> None:
    text = to_latex(table)
    body = text[text.index(r"\toprule") : text.index(r"\bottomrule")]
    spec = re.search(r"\\begin\{tabular\}\{(\w+)\}", text)
    assert spec is not None
    for line in body.splitlines():
        if "&" not in line:
            continue
        spans = sum(int(n) - 1 for n in re.findall(r"\\multicolumn\{(\d+)\}", line))
        assert len(re.findall(r"(?<!\\)&", line)) + 1 + spans == len(spec.group(1))
        assert line.endswith(r"\\")
    bare = re.sub(r"\\[{}]", "", text)
    assert bare.count("{") == bare.count("}")
    assert not re.search(r"(?<!\\)[_#^~]", text)
    assert text.isascii()


def test_markdown_rows_have_equal_cells(table: Table) -> None:
    rows = [line for line in to_markdown(table).splitlines() if line.startswith("|")]
    assert len({len(re.findall(r"(?<!\\)\|", row)) for row in rows}) == 1


def test_json_and_csv_hold_every_cell(table: Table) -> None:
    data = json.loads(to_json(table))
    lines = list(csv.DictReader(io.StringIO(to_csv(table))))
    assert data["schema"] == "reports-table/1"
    assert len(lines) == len(table.rows) * len(table.columns)
    cells = [cell["measured"] for row in data["rows"] for cell in row["cells"].values()]
    assert {cell["status"] for cell in cells} <= {"measured", "not run"}
    for line, cell in zip(lines, cells, strict=True):
        assert line["status"] == cell["status"]
        assert bool(line["reason"]) == (cell["status"] == "not run")


def test_best_measured_is_bold_and_the_mark_is_there(measurements: Measurements) -> None:
    table = TABLES["table1"].build(measurements)
    assert "**0.150** [0.100, 0.200] tiny" in to_markdown(table)
    assert r"\textbf{0.150}\textsuperscript{tiny}" in to_latex(table)
    drifts = [row.cells["drift"].measured for row in table.rows]
    assert sum(isinstance(drift, Measured) for drift in drifts) == 3
    assert to_markdown(table).count("** [") == 1  # of the three, one is set in bold


def test_a_table_of_one_s_own_stands_apart_from_the_paper_s(measurements: Measurements) -> None:
    source = RowSource(run="tiny-hiar", origin="tiny, trained step-first")
    spec = TableSpec(
        name="own", caption="Drift alone", columns=("drift",), reference="mine",
        reference_label="mine", sources={"tiny": {"mine": source}}, needs=lambda _: (),
        extra={"mine": "My row"},
    )  # fmt: skip
    table = spec.build(measurements)
    (row,) = table.rows
    assert (row.label, row.in_paper, row.cells["drift"].published) == ("My row", False, None)
    assert isinstance(row.cells["drift"].measured, Measured)
    assert "arXiv" not in to_json(table)


@pytest.mark.parametrize(
    "changes", [{"name": "own"}, {"columns": ("drift",)}, {"name": "own", "columns": ("colour",)}]
)
def test_a_table_must_be_the_paper_s_or_say_its_columns(changes: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="table"):
        replace(TABLES["table2"], **changes)


def test_terminal_says_shared_notes_once(measurements: Measurements) -> None:
    text = to_terminal([spec.build(measurements) for spec in TINY.values()])
    assert text.count("Square brackets") == 1
    assert text.count("several training seeds") == 1


def test_at_the_paper_s_scale_the_difference_stands_in_every_format(
    measurements: Measurements,
) -> None:
    # The records of the tiny runs, as if they were of the releases: 0.375 and 0.5 were measured.
    drifts = {
        "hiar": measurements.drifts["tiny-hiar"],
        "self-forcing": measurements.drifts["tiny-self-forcing"],
    }
    table = TABLES["table1"].build(
        replace(measurements, preset=load_preset("quick"), drifts=drifts)
    )
    # 0.375 - 0.257 and 0.5 - 0.355.
    assert table.row("hiar").cells["drift"].difference == pytest.approx(0.118)
    assert "**0.375** [0.325, 0.425] (−25.0 % [−25, −25]) Δ +0.118" in to_markdown(table)
    assert r"\textbf{0.375} [0.325, 0.425] ($-$25.0 \% [$-$25, $-$25]) $\Delta$ +0.118" in to_latex(
        table
    )
    assert "tiny" not in to_markdown(table).split("- Not measured")[0]
    line = next(
        line
        for line in csv.DictReader(io.StringIO(to_csv(table)))
        if (line["row"], line["column"]) == ("self-forcing", "drift")
    )
    assert float(line["difference"]) == pytest.approx(0.145)
    speed = table.row("self-forcing").cells["throughput_fps"].measured
    assert isinstance(speed, Measured)
    assert (speed.value, speed.note) == (40.0, "order block_first")


def test_published_numbers_are_bold_where_the_paper_s_are(measurements: Measurements) -> None:
    # Table 1: "Best distilled AR results are bolded"; CausVid leads in Semantic.
    table = TABLES["table1"].build(measurements)
    best = {column.id: table.published_best(column) for column in table.columns}
    assert best.pop("vbench_semantic") == "causvid"
    assert set(best.values()) == {"hiar"}
    assert "**0.740**" in to_markdown(table)
