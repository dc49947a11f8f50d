from dataclasses import replace

from baselines.field.disputes import DISPUTES
from baselines.field.speeds import SPEEDS
from reports.paper.spec import load_preset
from reports.records.measurements import Measurements
from reports.report.page import render_page
from reports.report.page_tables import table_view
from reports.report.published_field import fair_rows
from reports.tables import TABLES

ABOUT = {"git_commit": "0" * 40, "git_dirty": False, "python": "3", "platform": "p", "packages": {}}


def page(measurements: Measurements, preset: str) -> str:
    filled = replace(measurements, preset=load_preset(preset))
    return render_page(filled, [], [], [], [], {}, ABOUT)


def test_every_published_speed_has_a_row_and_the_preset_s_models_come_first() -> None:
    rows = fair_rows(load_preset("field"))
    assert [row.made_s for row in rows[:7]] == [957 / 16] * 6 + [477 / 16]
    assert {row.made_s for row in rows[7:]} == {None}
    assert {id(row.speed) for row in rows if row.speed} == {id(speed) for speed in SPEEDS}
    first = rows[0]
    # Self-Forcing: 81 frames at 16 fps, and a speed of steady blocks.
    assert (first.label, first.trained_s) == ("Self-Forcing", 81 / 16)
    assert (first.fps("steady"), first.fps("end to end")) == ("17", "–")


def test_a_model_that_several_runs_sample_stands_once() -> None:
    labels = [row.label for row in fair_rows(load_preset("paper"))]
    assert labels.count("HiAR") == 1
    assert labels.index("LTX-Video") < labels.index("HiAR") < labels.index("Rolling Forcing")


def test_the_page_has_what_did_not_reproduce_with_both_values_and_the_thread(
    measurements: Measurements,
) -> None:
    text = page(measurements, "field")
    for dispute in DISPUTES:
        assert f'<a href="{dispute.link}">' in text
        assert f"<td>{dispute.published}</td>" in text
    assert 'id="claims"' not in text  # the table is not the paper's
    assert 'id="claims"' in page(measurements, "paper")


def test_a_tiny_page_has_no_numbers_of_other_papers(measurements: Measurements) -> None:
    text = page(measurements, "tiny")
    assert 'id="field"' not in text
    assert DISPUTES[0].link not in text


def test_a_table_that_is_not_the_paper_s_has_no_published_side(measurements: Measurements) -> None:
    filled = replace(measurements, preset=load_preset("field"))
    view = table_view(TABLES["field"].build(filled), filled, {})
    assert {cell["side"] for item in view["rows"] for cell in item["cells"]} == {"measured"}
    assert view["span"] == 7  # six columns and the label
