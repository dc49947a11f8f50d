"""The claims as data: they hold in the paper's own numbers, and are judged by intervals here."""

import json
import re
from dataclasses import replace
from pathlib import Path

import pytest

from drift.errors import UsageError
from reports.paper.published import published_table
from reports.records.drift_record import DriftRecord
from reports.records.figure_records import DynamicsPoint, DynamicsRecord
from reports.records.measurements import Measurements
from reports.records.speed_records import BenchRecord
from reports.report.claims import (
    FAILS,
    HOLDS,
    NOT_RUN,
    UNDECIDED,
    Claim,
    Verdict,
    load_claims,
    read_claims,
    write_claims,
)
from reports.report.judge import is_ruled_out, judge, judge_claims, rows_against, side
from reports.tables.cells import Change
from reports.tables.needs import GPU, VBENCH, Need, NotRun, no_result

CHANGES = [claim for claim in load_claims() if claim.kind == "change" and not claim.paper]


def verdict_of(claim_id: str, measurements: Measurements) -> Verdict:
    return next(v for v in judge_claims(measurements) if v.claim.id == claim_id)


def scored(measurements: Measurements, run: str, scores: tuple[float, ...]) -> DriftRecord:
    """The record of a run with other scores, one a video."""
    return replace(
        measurements.drifts[run],
        value=sum(scores) / len(scores),
        videos=len(scores),
        video_scores={f"{index}.mp4": score for index, score in enumerate(scores)},
    )


@pytest.mark.parametrize("claim", CHANGES, ids=lambda claim: claim.id)
def test_every_claim_holds_in_the_paper_s_own_numbers(claim: Claim) -> None:
    table = published_table(claim.table)
    ours = table.row(claim.row).values[claim.column]
    theirs = [table.row(row).values[claim.column] for row in rows_against(claim, table)]
    assert ours is not None
    assert theirs
    changes = [Change(value=ours / other - 1) for other in theirs if other is not None]
    assert len(changes) == len(theirs)
    assert side(changes, claim.direction) == HOLDS


def test_the_paper_s_two_headline_numbers_follow_from_its_cells(measurements: Measurements) -> None:
    # 0.257 / 0.355 - 1 = -0.276; 30 / 17 = 1.76, which the paper rounds to 1.8.
    assert verdict_of("drift-reduction", measurements).paper == "0.257 against 0.355 (−27.6 %)"
    assert verdict_of("speedup", measurements).paper == "30 against 17 (1.76 times)"


def test_others_are_the_rows_with_a_number(measurements: Measurements) -> None:
    claims = {claim.id: claim for claim in CHANGES}
    table = published_table("table1")
    assert rows_against(claims["lowest-drift"], table) == [
        "causvid", "self-forcing", "causal-forcing",
    ]  # fmt: skip
    assert len(rows_against(claims["best-total"], table)) == 9


@pytest.mark.parametrize(
    ("changes", "direction", "verdict"),
    [
        ([(-0.3, (-0.4, -0.1))], "lower", HOLDS),
        ([(-0.3, (-0.4, 0.1))], "lower", UNDECIDED),
        ([(0.3, (0.1, 0.4))], "lower", FAILS),
        ([(0.3, (0.1, 0.4))], "higher", HOLDS),
        ([(-0.3, (-0.4, -0.1)), (-0.1, (-0.2, 0.1))], "lower", UNDECIDED),
        ([(-0.3, (-0.4, 0.1)), (0.1, (0.05, 0.2))], "lower", FAILS),
        ([(-0.3, None)], "lower", HOLDS),
        ([(0.0, None)], "lower", UNDECIDED),
    ],
)
def test_an_interval_decides_against_every_row(
    changes: list[tuple[float, tuple[float, float] | None]], direction: str, verdict: str
) -> None:
    found = [Change(value=value, interval=interval) for value, interval in changes]
    assert side(found, direction) == verdict


@pytest.mark.parametrize(
    ("changes", "published", "ruled_out"),
    [
        ([(-0.05, (-0.2, 0.1))], [-0.28], True),
        ([(-0.05, (-0.3, 0.1))], [-0.28], False),
        ([(0.2, (-0.1, 0.4))], [-0.28], True),
        ([(-0.4, (-0.5, -0.3)), (-0.05, (-0.2, 0.1))], [-0.1, -0.28], True),
        ([(-0.05, (-0.2, 0.1)), (-0.05, (-0.4, 0.1))], [-0.28, -0.28], False),
        ([(-0.4, (-0.5, -0.3))], [-0.28], False),  # decided: nothing to rule out
        ([(-0.05, (-0.2, 0.1))], [], False),
    ],
)
def test_what_is_undecided_may_still_be_smaller_than_the_paper_s(
    changes: list[tuple[float, tuple[float, float]]], published: list[float], ruled_out: bool
) -> None:
    found = [Change(value=value, interval=interval) for value, interval in changes]
    assert is_ruled_out(found, published, "lower") is ruled_out
    mirrored = [Change(value=-c.value, interval=(-c.interval[1], -c.interval[0])) for c in found]
    assert is_ruled_out(mirrored, [-paper for paper in published], "higher") is ruled_out


@pytest.mark.parametrize(
    ("ours", "verdict", "text"),
    [
        # Halved on every video: every resample gives -50 %.
        ((0.2, 0.3, 0.1), HOLDS, "0.200 against 0.400 (−50.0 % [−50, −50])"),
        ((0.8, 1.2, 0.4), FAILS, "0.800 against 0.400 (+100.0 % [+100, +100])"),
        ((0.8, 0.3, 0.05), UNDECIDED, "0.383 against 0.400 (−4.2 % [−75, +100])"),
    ],
)
def test_drift_reduction_is_judged_by_paired_videos(
    ours: tuple[float, ...], verdict: str, text: str, measurements: Measurements
) -> None:
    drifts = {
        **measurements.drifts,
        "tiny-self-forcing": scored(measurements, "tiny-self-forcing", (0.4, 0.6, 0.2)),
        "tiny-hiar": scored(measurements, "tiny-hiar", ours),
    }
    found = verdict_of("drift-reduction", replace(measurements, drifts=drifts))
    assert found.verdict == verdict
    assert found.measured == text
    assert bool(found.why) == (verdict == UNDECIDED)


def test_speedup_is_of_the_pipelined_order_only(measurements: Measurements) -> None:
    found = verdict_of("speedup", measurements)
    assert found.verdict == NOT_RUN
    assert found.why == "needs the order pipelined; measured was step_first"
    pipelined = BenchRecord(
        order="pipelined", throughput_fps=72.0, latency_s=0.2, passes_per_block=8
    )
    filled = replace(measurements, bench={**measurements.bench, "pipelined": pipelined})
    found = verdict_of("speedup", filled)
    assert found.verdict == HOLDS
    assert found.measured == "72.0 against 40.0 (1.80 times)"


def test_a_speed_holds_where_no_repeat_contradicts_it(measurements: Measurements) -> None:
    def said(ours: tuple[float, float], theirs: tuple[float, float]) -> Verdict:
        rows = {
            order: BenchRecord(
                order=order, throughput_fps=fps, latency_s=1 / fps, passes_per_block=8, ranks=ranks,
                repeats=3, seconds_range=spread,
            )
            for order, fps, ranks, spread in (
                ("pipelined", 48.0, 2, ours), ("block_first", 40.0, 1, theirs),
            )
        }  # fmt: skip
        return verdict_of("speedup", replace(measurements, bench=rows))

    # 1.2 times, from 1.2 x 0.98 / 1.05 to 1.2 x 1.02 / 0.95 of the seconds' ranges.
    found = said((0.95, 1.05), (0.98, 1.02))
    assert found.verdict == HOLDS
    assert found.measured == "48.0 against 40.0 (1.20 times [1.12, 1.29]), over 2 processes"
    found = said((0.9, 1.3), (0.9, 1.1))
    assert (found.verdict, found.why) == (UNDECIDED, "repeats lie on both sides")


def test_what_was_not_run_says_what_it_needs(measurements: Measurements) -> None:
    why = {verdict.claim.id: verdict.why for verdict in judge_claims(measurements)}
    assert why["lowest-drift"] == "no number for Causal Forcing: a job has no result"
    assert why["best-total"].startswith("no number for 10 of 10 rows: need VBench; need weights")
    assert why["no-fkl-drift"].endswith("rows: a job has no result")
    assert "records/dynamics.json" in why["dynamics-correlate"]


def log(causal: list[float], bidirectional: list[float] | None = None) -> DynamicsRecord:
    """A log of dynamic degrees; bidirectional ones rise by 1 a step where none are given."""
    other = bidirectional or [float(step) for step in range(len(causal))]
    points = tuple(
        DynamicsPoint(step=step, bidirectional=b, causal=c)
        for step, (b, c) in enumerate(zip(other, causal, strict=True))
    )
    return DynamicsRecord(
        scale="tiny", measure="m", unit="u", training="t", videos=2, points=points
    )  # fmt: skip


@pytest.mark.parametrize(
    ("bidirectional", "causal", "verdict"),
    [
        ([5.0, 4, 3, 1, 2], [9.0, 8, 7, 6, 6.5], HOLDS),
        ([5.0, 4, 3, 1, 2], [6.0, 7, 8, 9, 9.5], FAILS),
        ([5.0, 4, 3, 1, 2], [6.0, 9, 7, 6, 8], UNDECIDED),
        ([5.0, 4, 3, 1, 2], [6.0, 6, 6, 6, 6], UNDECIDED),
    ],
)
def test_a_decline_holds_when_motion_falls_under_both_attentions(
    bidirectional: list[float], causal: list[float], verdict: str, measurements: Measurements
) -> None:
    record = log(causal, bidirectional)
    found = verdict_of("dynamics-decline", replace(measurements, dynamics=record))
    assert found.verdict == verdict
    assert found.measured.startswith("bidirectional 5.00 to 2.00, with the step Pearson r = −0.9")


def test_a_correlation_holds_when_its_interval_is_above_0(measurements: Measurements) -> None:
    rising = verdict_of("dynamics-correlate", replace(measurements, dynamics=log([0, 1, 2, 4, 3])))
    assert rising.verdict == HOLDS
    assert rising.measured.startswith("Pearson r = 0.9")
    mixed = verdict_of("dynamics-correlate", replace(measurements, dynamics=log([0, 4, 1, 3, 2])))
    assert mixed.verdict == UNDECIDED
    flat = verdict_of("dynamics-correlate", replace(measurements, dynamics=log([1, 1, 1, 1, 1])))
    assert (flat.verdict, flat.why) == (UNDECIDED, "too few points, or all alike")


def test_files_hold_every_claim(tmp_path: Path, measurements: Measurements) -> None:
    verdicts = judge_claims(measurements)
    paths = write_claims(verdicts, "tiny", tmp_path)
    assert [path.name for path in paths] == ["claims.json", "claims.md"]
    record = json.loads(paths[0].read_text())
    assert record["schema"] == "reports-verdicts/1"
    assert [claim["id"] for claim in record["claims"]] == [claim.id for claim in load_claims()]
    text = paths[1].read_text()
    rows = [line for line in text.splitlines() if line.startswith("| ")]
    assert len(rows) == len(verdicts) + 2
    assert {len(re.findall(r"(?<!\\)\|", row)) for row in rows} == {7}
    assert "neither supports nor contradicts the paper" in text


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ('schema = "reports-claims/0"', "this reads 'reports-claims/1'"),
        ('colour = "red"', "claim x: unknown key 'colour'"),
        ('kind = "guess"', "claim x.kind is 'guess'; it should be 'change'"),
        ('table = "table9"', "claim x: table 'table9'; there is mechanism, table1"),
        ('direction = "up"', "claim x.direction is 'up'; it should be 'lower'"),
    ],
)
def test_a_claim_that_makes_no_sense_is_refused(text: str, words: str) -> None:
    lines = {"schema": '"reports-claims/1"'}
    claim = {
        "id": '"x"', "text": '"t"', "where": '"w"', "kind": '"change"', "table": '"table1"',
        "direction": '"lower"',
    }  # fmt: skip
    key, value = text.split(" = ")
    (lines if key == "schema" else claim)[key] = value
    body = "\n".join(f"{k} = {v}" for k, v in lines.items()) + "\n[[claims]]\n"
    with pytest.raises(UsageError, match=re.escape(words)):
        read_claims(body + "\n".join(f"{k} = {v}" for k, v in claim.items()))


def test_equal_needs_of_two_rows_have_one_summary() -> None:
    one, other = (NotRun(needs=(Need(what="weights", which=w), GPU, VBENCH)) for w in ("a", "b"))
    assert one.reason != other.reason
    assert one.summary == other.summary == "need weights, a GPU and VBench"
    assert no_result("job x: needs clip, musiq").summary == no_result("job y: exit code 1").summary


def test_every_claim_says_what_the_paper_gives(measurements: Measurements) -> None:
    for claim in load_claims():
        assert judge(claim, measurements).paper
