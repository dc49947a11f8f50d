"""`hiar bench --report`: any records on one page; and how evenly blocks come."""

import json
import re
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path

import pytest
from accessibility import faults_of
from chromium import Chromium

from hiar.bench.flops import least_bytes
from hiar.bench.intervals import interval_figures
from hiar.bench.report.page import (
    bars_of_row,
    collect_records,
    render_page,
    sampled_and_decoded,
)
from hiar.bench.report.roofline import Point, close_together, draw_roofline
from hiar.errors import UsageError
from hiar.model.config import WanConfig
from hiar.runtime.gpu_state import parse_state
from hiar.sampling.config import SamplerConfig

Main = Callable[..., tuple[int, str, str]]
MEASURED = Path(__file__).parents[3] / "reports" / "measured"


def test_percentiles_are_of_steady_blocks_of_all_runs() -> None:
    """Blocks 2 and 3 are steady; the gaps before them are 1, 3 and 1, 5 s."""
    runs = [[9.0, 10.0, 11.0, 14.0, 15.0], [9.0, 9.5, 10.5, 15.5, 20.0]]
    found = interval_figures(runs, range(2, 4), deadline_s=2.0)
    assert (found.interval_count, found.interval_p50_s) == (4, 2.0)
    assert found.interval_p95_s == pytest.approx(3 + 0.85 * 2)  # linear between the 3rd and 4th
    assert found.interval_p99_s == pytest.approx(3 + 0.97 * 2)
    # 3 s in the first run; 5 and 4.5 s in the second. The first block of a run cannot miss.
    assert (found.deadline_misses, found.deadline_blocks) == (3, 8)


def test_an_order_that_finishes_all_blocks_at_once_has_no_deadline() -> None:
    runs, work = [[9.0, 9.1, 9.2]], [[3.0, 3.0, 4.0]]
    found = interval_figures(runs, range(1, 3), deadline_s=2.0, work_s=work)
    assert (found.interval_p50_s, found.deadline_misses) == (3.5, None)


def test_a_video_of_one_block_has_its_time_as_interval() -> None:
    assert interval_figures([[2.0]], range(1), deadline_s=1.0).interval_p50_s == 2.0


def test_published_records_make_a_page(hiar_main: Main, tmp_path: Path) -> None:
    out = tmp_path / "page.html"
    code, printed, err = hiar_main("bench", "--report", MEASURED, "--out", out, "--json")
    assert (code, err) == (0, "")
    facts = json.loads(printed)
    rows = [
        row
        for path in MEASURED.glob("bench-*.json")
        for row in json.loads(path.read_text())["rows"]
    ]
    assert facts["rows"] == len(rows)
    assert "h100-vae.json" in facts["passed_over"]
    page = out.read_text()
    assert "31.6" in page  # 12 frames over 380 ms: flash_attn_4, compiled, on the H100
    assert "580.159" in page
    assert re.findall(r'(?:src|href)="([^"#]+)"', page) == []  # nothing is requested from outside
    pipelined = [row for row in rows if row["order"] == "pipelined"]
    assert len(pipelined) >= 4
    streamed = [row for row in rows if row["order"] != "step_first" and row.get("finished_s")]
    assert page.count("<svg") == 1 + len(pipelined) + len(streamed)  # the roofline; timelines


@pytest.mark.browser
def test_a_reader_and_a_keyboard_get_all_of_the_page(browser: Chromium, tmp_path: Path) -> None:
    records = ("bench-h100.json", "bench-cpu-pipelined-2-fused-off.json")
    found = collect_records(MEASURED / name for name in records)
    (tmp_path / "page.html").write_text(render_page(found), encoding="utf-8")
    assert faults_of(browser, tmp_path / "page.html") == []
    pictures = browser.run("Array.from(document.querySelectorAll('svg'), s => s.ariaLabel)")
    assert all(pictures) and len(pictures) == 2


def test_a_pipeline_is_laid_out_by_its_passes() -> None:
    rows = collect_records([MEASURED / "bench-cpu-pipelined-2-fused-off.json"]).rows()
    row = next(each for each in rows if each.row.order == "pipelined")
    bars = bars_of_row(row)
    assert row.row.pipeline is not None
    blocks, steps = row.row.pipeline.blocks, sum(row.row.pipeline.steps_per_rank)
    assert len([bar for bar in bars if bar.kind == "denoise"]) == blocks * steps
    assert len([bar for bar in bars if bar.kind == "context"]) == (blocks - 1) * steps
    by_lane = [[bar for bar in bars if bar.lane == lane] for lane in ("rank 0", "rank 1")]
    for lane in by_lane:
        assert all(a.end_s <= b.start_s + 1e-9 for a, b in pairwise(lane))


def test_decoding_beside_sampling_and_after_it() -> None:
    beside = sampled_and_decoded([1.0, 2.0], [1.5, 2.5], overlapped=True)
    assert [(b.lane, b.start_s, b.end_s) for b in beside] == [
        ("sampling", 0.0, 1.0), ("decoding", 1.0, 1.5), ("sampling", 1.0, 2.0),
        ("decoding", 2.0, 2.5),
    ]  # fmt: skip
    after = sampled_and_decoded([1.0, 2.5], [1.5, 3.0], overlapped=False)
    assert after[2].start_s == 1.5


def test_wrong_use_is_one_line(hiar_main: Main, tmp_path: Path) -> None:
    (tmp_path / "other.json").write_text('{"schema": "drift/1"}')
    for path, words in ((tmp_path, "no bench/1 record in"), (tmp_path / "x", "no record")):
        code, printed, err = hiar_main("bench", "--report", path)
        assert (code, printed, err.count("\n")) == (2, "", 1)
        assert words in err
    assert list(tmp_path.glob("*.html")) == []


def test_what_is_no_record_is_passed_over(tmp_path: Path) -> None:
    record = json.loads((MEASURED / "bench-h100.json").read_text())
    (tmp_path / "good.json").write_text(json.dumps(record))
    (tmp_path / "broken.json").write_text("{")
    del record["rows"][0]["seconds"]
    (tmp_path / "lacking.json").write_text(json.dumps(record))
    found = collect_records([tmp_path])
    assert [name for name, _ in found.records] == ["good.json"]
    assert [name for name, _ in found.passed_over] == ["broken.json", "lacking.json"]
    assert "<svg" in render_page(found)
    with pytest.raises(UsageError):
        collect_records([tmp_path / "broken.json"])


def test_bytes_of_a_call_with_a_full_window() -> None:
    """docs/performance.md: 2.5 GB of weights and 6.0 GB of keys and values in bfloat16."""
    config, tokens = WanConfig.wan_1_3b(), 1560
    sampler = SamplerConfig(order="block_first", context="clean", window=21, steps=(1000,))
    first = least_bytes(config, sampler, 1, tokens, 2)  # one block, one call
    weights = (6 * 1536**2 + 2 * 1536 * 8960) * 30 * 2
    assert first == weights + 2 * (3 * tokens + 512) * 1536 * 30 * 2
    assert weights == pytest.approx(2.5e9, rel=0.02)
    many = least_bytes(config, sampler, 8, tokens, 2) - least_bytes(config, sampler, 7, tokens, 2)
    # One call of the last block, and the context call that the block before now needs.
    assert many == 2 * (weights + 2 * (21 * tokens + 512) * 1536 * 30 * 2)


def test_near_points_share_a_label() -> None:
    def point(number: int, tflops: float) -> Point:
        return Point(
            number=number, card="c", intensity=10.0, tflops=tflops, peak_tflops=200.0,
            memory_bytes_per_s=None,
        )  # fmt: skip

    points = [point(1, 100.0), point(2, 95.0), point(3, 50.0)]
    assert [[p.number for p in group] for group in close_together(points)] == [[1, 2], [3]]
    assert len(draw_roofline(points).axes) == 1


def test_the_state_of_a_gpu_is_read() -> None:
    found = parse_state("580.159.04, 1755, 1980, 700.00\n")
    assert found.driver == "580.159.04"
    assert found.clocks == {"sm_mhz": 1755.0, "max_sm_mhz": 1980.0, "power_limit_w": 700.0}
    assert parse_state("580.159, 1755, 1980, [N/A]").clocks == {
        "sm_mhz": 1755.0,
        "max_sm_mhz": 1980.0,
    }
