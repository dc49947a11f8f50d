"""The page is well-formed, self-contained and shows every video, curve, failure and setting."""

import base64
import hashlib
import html.parser
import json
import re
import shutil
import xml.etree.ElementTree as ET
from dataclasses import replace

import cv2
import numpy as np
import pytest

from drift import ScoreConfig, score_folder
from drift.metrics.preset import preset_v1
from drift.record.summary import build_summary, score_videos
from drift.record.tables import read_frames
from drift.report.charts import (
    CHANGE_POINTS,
    MAX_LINES,
    Line,
    bin_means,
    change_chart,
    change_histogram,
    frame_chart,
    score_bar,
    seam_chart,
    sparkline,
)
from drift.report.page import format_number, format_signed, render_report
from drift.report.plot import ticks
from drift.report.videos import view_videos

VOID = {"meta", "link", "br", "img", "input", "hr"}
HOSTILE = '</script><script>alert("x")</script> \u202e <img src=x onerror=alert(1)>'


class Balance(html.parser.HTMLParser):
    """Fails on a tag that is closed in the wrong place; keeps what a reader sees."""

    def __init__(self):
        super().__init__()
        self.open: list[str] = []
        self.tags: list[tuple[str, dict]] = []

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag


def parse(page):
    parser = Balance()
    parser.feed(page)
    parser.close()
    assert parser.open == []
    return parser


@pytest.fixture(scope="module")
def run(broken, clips, tmp_path_factory):
    folder = tmp_path_factory.mktemp("report")
    shutil.copytree(clips, folder / "v")
    shutil.copy(broken / "garbage.mp4", folder / "v" / "<b>&.mp4")
    (folder / "v" / "rocket.json").write_text(json.dumps({"prompt": HOSTILE}))
    return score_folder(folder / "v", out=folder / "run", progress=None)


@pytest.fixture(scope="module")
def page(run):
    return (run.out / "report.html").read_text()


def rendered(run, **changes):
    """The page of a run whose summary was changed."""
    data = read_frames(run.out / "frames.parquet")
    return render_report(data, score_videos(data, preset_v1()), {**run.summary, **changes})


def test_tags_are_balanced_and_nothing_is_fetched(page):
    tags = parse(page).tags
    addresses = [v for _, attrs in tags for k, v in attrs.items() if k in {"src", "href"}]
    assert addresses
    assert all(address.startswith(("data:image/webp;base64,", "#")) for address in addresses)
    style = re.search(r"<style>(.*?)</style>", page, re.DOTALL)[1]
    assert "url(" not in style
    assert "@import" not in style


def test_only_our_script_may_run(page):
    scripts = re.findall(r"<script>(.*?)</script>", page, re.DOTALL)
    assert len(scripts) == 1
    digest = base64.b64encode(hashlib.sha256(scripts[0].encode()).digest()).decode()
    assert f"script-src 'sha256-{digest}'" in page
    assert "default-src 'none'" in page


def test_every_metric_has_a_line_for_each_video(page):
    charts = re.findall(r'<figure class="metric" id="curve-.*?</figure>', page, re.DOTALL)
    assert len(charts) == len(ScoreConfig().metrics)
    for chart in charts:
        (curve,) = map(ET.fromstring, re.findall(r"<svg.*?</svg>", chart, re.DOTALL))
        kinds = [element.get("class").split()[0] for element in curve if element.get("class")]
        assert (kinds.count("video"), kinds.count("median")) == (4, 1)


def test_every_video_has_its_row_thumbnails_and_curves(page, run):
    tags = parse(page).tags
    rows = [attrs for tag, attrs in tags if tag == "tbody" and "data-rank" in attrs]
    assert [row["data-rank"] for row in rows] == ["0", "1", "2", "3"]
    scores = [float(v) for v in re.findall(r'data-label="score" data-value="([^"]*)"', page)]
    assert scores == sorted((video.score for video in run.videos), reverse=True)
    pictures = [attrs for tag, attrs in tags if tag == "img"]
    assert len(pictures) == 4 + 4  # large ones of the worst videos, and small ones in the table
    for attrs in pictures:
        data = base64.b64decode(attrs["src"].removeprefix("data:image/webp;base64,"))
        image = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR)
        assert image.shape[:2] == (int(attrs["height"]), int(attrs["width"]))
        assert attrs["loading"] == "lazy"
    assert page.count('<svg class="frames"') == 4 * len(ScoreConfig().metrics)


def test_what_drifts_is_said_where_the_pictures_are_gone(run):
    page = rendered(run)
    parse(page)
    assert page.count('<figure class="card"') == 4
    assert "<img" not in page


def test_names_and_prompts_are_escaped_and_failures_and_warnings_shown(page):
    assert "&lt;b&gt;&amp;.mp4" in page
    assert "<b>&" not in page
    assert "<script>alert" not in page
    assert "<img src=x" not in page
    assert "1 of 5 videos failed" in page
    assert "mixed codecs" in page
    assert "Partial score" in page


def test_settings_and_provenance_stand_in_full(page, run):
    for text in (run.summary["preset"]["sha256"], "every frame", "opencv-python", "10,000"):
        assert text in page


def test_an_invalid_run_says_so_first(run):
    page = rendered(run, invalid="random <weights> of musiq")
    assert page.index("INVALID: random &lt;weights&gt; of musiq") < page.index("<h1>")
    assert "INVALID" not in rendered(run)
    assert rendered(run, invalid="INVALID: noise").count("INVALID") == 1


def test_fields_that_the_page_does_not_know_are_shown_as_they_are(run):
    page = rendered(
        run,
        novel_statistic={"a_b": {"x": 1, "y": 2.5}, "c": {"x": 3, "y": None}},
        rows=[{"name": "<i>", "ok": True}, {"name": "j", "ok": False}],
        nothing=None,
        empty={},
    )
    parse(page)
    assert "novel statistic" in page
    assert "&lt;i&gt;" in page
    assert "nothing" not in re.sub(r"<style>.*?</style>", "", page, flags=re.DOTALL)


def test_a_summary_without_the_optional_fields_is_shown(run):
    data = read_frames(run.out / "frames.parquet")
    scores = score_videos(data, preset_v1())
    summary = build_summary(data, scores, preset_v1())
    for name in ("leave_one_out", "weight_sensitivity", "correlation", "worst", "cuts"):
        del summary[name]
    summary["drift_score"] = {
        k: v
        for k, v in summary["drift_score"].items()
        if k not in {"noise_floor", "excess", "excess_ci95"}
    }
    page = render_report(data, scores, summary)
    parse(page)
    assert "noise floor, " not in page
    assert "How firm" in page


def test_pictures_and_curves_end_at_the_budget(run, monkeypatch):
    data = read_frames(run.out / "frames.parquet")
    scores = score_videos(data, preset_v1())
    thumbnails = {row.sha256: "A" * 1000 for row in data.rows}
    monkeypatch.setattr("drift.report.videos.DETAIL_BUDGET_BYTES", 4000)
    views = view_videos(data, scores, thumbnails, {}, {})
    kept = [bool(view.picture) for view in views]
    assert kept == sorted(kept, reverse=True)  # the worst have theirs
    assert kept[0]
    assert not kept[-1]
    assert all(metric.spark for view in views for metric in view.metrics)
    page = render_report(data, scores, run.summary, thumbnails)
    parse(page)
    assert "videos that drift least have no picture" in page


def test_a_sampled_run_says_its_rate(clips, tmp_path):
    config = ScoreConfig(metrics=("saturation",), fps=8)
    score_folder(clips, out=tmp_path, glob="*.mp4", config=config, progress=None)
    assert "sampled at 8 frames a second" in (tmp_path / "report.html").read_text()


def points(element):
    return np.array([pair.split(",") for pair in element.get("points").split()], float)


def lines_of(svg, kind):
    return [points(e) for e in ET.fromstring(svg) if kind in (e.get("class") or "").split()]


def test_a_chart_of_equal_values_is_drawn():
    svg = change_chart([Line(change=[0.0] * CHANGE_POINTS)], 0.1, None)
    assert "nan" not in svg
    (line,) = lines_of(svg, "video")
    assert np.ptp(line[:, 1]) == 0
    ET.fromstring(change_histogram([0.0, 0.0], 0.0, [0.0, 0.0]))
    ET.fromstring(sparkline([2.0] * 5, 0.1))
    ET.fromstring(frame_chart([1.0] * 12, [1.0] * 5))
    ET.fromstring(seam_chart([1.0] * 12, 9, [1.0, 1.0]))


def test_a_line_is_where_its_numbers_are():
    ramp = np.linspace(0, 1, CHANGE_POINTS)
    svg = change_chart([Line(change=k * ramp) for k in (1.0, 0.5, 0.0)], 1.0, 30.0)
    full, half, flat = lines_of(svg, "video")
    np.testing.assert_allclose(np.diff(full[:, 0]), full[1, 0] - full[0, 0], atol=0.11)
    np.testing.assert_allclose(half[:, 1], (full[:, 1] + flat[:, 1]) / 2, atol=0.11)
    assert full[-1, 1] < full[0, 1]  # SVG counts downwards
    (median,) = lines_of(svg, "median")
    np.testing.assert_array_equal(median, half)


def test_small_changes_fill_little_of_the_chart():
    ramp = np.linspace(0, 0.05, CHANGE_POINTS)
    (line,) = lines_of(change_chart([Line(change=ramp)], 1.0, 30.0), "video")
    assert np.ptp(line[:, 1]) < 0.2 * 206  # the height of the plot


def test_numbers_at_the_ends_of_lines_do_not_cover_one_another():
    ends = [Line(change=[0.0] * (CHANGE_POINTS - 1) + [-0.9], label=str(i)) for i in range(5)]
    root = ET.fromstring(change_chart(ends, 1.0, None))
    heights = sorted(float(e.get("y")) for e in root if e.get("text-anchor") == "start")
    assert min(np.diff(heights)) >= 12
    assert heights[-1] < 250 - 34 + 12  # above the axis


def test_many_videos_are_drawn_as_a_range_and_the_worst_of_them():
    rng = np.random.default_rng(0)
    lines = [Line(change=rng.normal(size=CHANGE_POINTS)) for _ in range(MAX_LINES)]
    svg = change_chart([*lines, Line(change=lines[0].change, far="rising", label="1")], 1.0, None)
    kinds = [e.get("class") for e in ET.fromstring(svg)]
    assert (kinds.count("spread"), kinds.count("video rising"), kinds.count("video")) == (1, 1, 0)


def test_the_bar_of_the_border_stands_in_the_middle():
    profile = [1.0] * 12
    profile[8] = 1.5  # after frame 9
    root = ET.fromstring(seam_chart(profile, 9, [1.4, 1.6]))
    heights = {e.get("class"): float(e.get("height")) for e in root if e.tag.endswith("rect")}
    assert heights["border"] > 50
    assert heights["phase"] == 0


def test_a_histogram_counts_every_video_on_its_side():
    root = ET.fromstring(change_histogram([-1.0, -0.5, 0.25, 0.3, 0.9], 0.0, [-0.2, 0.2]))
    bars = [e for e in root if e.get("class") in {"up", "down"}]
    unit = min(float(bar.get("height")) for bar in bars)
    count = {"up": 0, "down": 0}
    for bar in bars:
        count[bar.get("class")] += round(float(bar.get("height")) / unit)
    assert count == {"up": 3, "down": 2}


def test_a_sparkline_is_cut_off_at_the_scale():
    line = points(ET.fromstring(sparkline([0.0, 0.0, 0.0, 0.0, 10.0], 1.0))[0])
    assert line[:, 1].min() == 2.0
    assert line[:, 1].max() == 18.0


def test_the_score_bar_marks_the_floor_only_if_known():
    with_floor = ET.fromstring(score_bar(0.5, [0.4, 0.6], 0.2))
    assert [e.get("class") for e in with_floor].count("floor") == 1
    fill = next(e for e in with_floor if e.get("class") == "fill")
    track = next(e for e in with_floor if e.get("class") == "track")
    assert float(fill.get("width")) == pytest.approx(0.5 * float(track.get("width")), abs=0.1)
    assert "floor" not in score_bar(0.5, [0.4, 0.6], None)


def test_bin_means_keep_the_mean():
    values = np.arange(400.0)
    assert len(bin_means(values, 80)) == 80
    assert np.mean(bin_means(values, 80)) == pytest.approx(values.mean())
    assert bin_means(values[:3], 80) == [0.0, 1.0, 2.0]


@pytest.mark.parametrize("values", [[0, 0], [1e-9, 2e-9], [-5, 1e6], [0.1999, 0.2001], [3, 3]])
def test_ticks_enclose_the_values(values):
    levels = ticks(values)
    assert levels[0] <= min(values)
    assert levels[-1] >= max(values)
    assert 2 <= len(levels) <= 12
    assert ticks([0, 3], about=3, whole=True) == [0, 1, 2, 3]


def test_numbers_are_short_and_honest():
    assert format_number(None) == "–"
    assert format_number(-0.123456) == "−0.1235"
    assert format_number(12345) == "12,345"
    assert format_signed(0.0) == "0"
    assert format_signed(-1.5) == "−1.5"
    assert format_signed(None) == "–"


def test_a_page_without_any_scored_video_is_whole(run):
    data = read_frames(run.out / "frames.parquet")
    failed = replace(data, rows=tuple(row for row in data.rows if row.status != "ok"))
    summary = build_summary(failed, [], preset_v1())
    page = render_report(failed, [], summary)
    parse(page)
    assert "No video could be scored" in page
