"""report.html in headless Chromium: layout, dark mode, films, tooltips, print, nothing fetched."""

import base64
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from accessibility import faults_of
from chromium import Chromium, luminance

from hiar.codecs.video import write_mp4
from reports.records.measurements import Measurements
from reports.records.video_records import VideoRecord
from reports.report.claims import VERDICTS, load_claims
from reports.report.outputs import REPORT_NAME, build_tables, write_outputs

pytestmark = pytest.mark.browser

PROMPT = '</script><script>alert("x")</script> a $5 <b>disc</b> 🎈'
ABOUT = {"git_commit": "0" * 40, "git_dirty": True, "python": "3", "platform": "p", "packages": {}}

A_DRIFT = (
    "Array.from(document.querySelectorAll('#table1 ~ .wide td.measured'))"
    ".find(cell => cell.textContent.includes('0.150'))"
)
"""The cell of CausVid's drift."""


def write_film(path: Path, num_frames: int = 96) -> None:
    """A square that moves right, over 6 s."""
    frames = np.full((num_frames, 64, 96, 3), 90, np.uint8)
    for index, frame in enumerate(frames):
        frame[20:44, index % 72 : index % 72 + 24] = (200, 80, 40)
    write_mp4(path, frames, 16)


@pytest.fixture(scope="module")
def report(tmp_path_factory: pytest.TempPathFactory, measurements: Measurements) -> Path:
    """The page of a reproduction whose four runs sampled one awkward prompt."""
    folder = tmp_path_factory.mktemp("page")
    write_film(folder / "v.mp4")
    video = VideoRecord(
        path=folder / "v.mp4", prompt=PROMPT, prompt_index=0, seed=0, num_frames=96, fps=16.0,
        model={},
    )  # fmt: skip
    filled = replace(measurements, videos={run.name: [video] for run in measurements.preset.runs})
    parts = ("table1", "table2", "table3", "figures")
    tables = build_tables(filled, parts)
    write_outputs(filled, tables, parts, {}, ABOUT, folder / "out")
    return folder / "out" / REPORT_NAME


@pytest.mark.parametrize("width", [1440, 390])
@pytest.mark.parametrize("dark", [False, True])
def test_no_error_no_request_no_overflow(
    browser: Chromium, report: Path, width: int, dark: bool
) -> None:
    browser.open(report, width=width, dark=dark)
    assert browser.problems() == []
    browser.run("document.querySelectorAll('details').forEach(d => { d.open = true; })")
    assert browser.run("document.documentElement.scrollWidth") == width
    heads = browser.run("Array.from(document.querySelectorAll('h2'), h => h.id).filter(i => i)")
    assert heads == [
        "films", "claims", "table1", "table2", "table3", "students", "segment_curves",
        "drift_by_length", "fig1", "fig3", "fig4", "fig5", "provenance",
    ]  # fmt: skip
    links = browser.run(
        "Array.from(document.querySelectorAll('nav a'), a => a.getAttribute('href').slice(1))"
    )
    assert sorted(links) == sorted(heads)
    assert 'alert("x")' in browser.body()
    assert browser.run("document.scripts.length") == 1


def test_every_claim_has_a_verdict_in_words(browser: Chromium, report: Path) -> None:
    browser.open(report, width=1440)
    words = browser.run(
        "Array.from(document.querySelectorAll('.claims .verdict'), v => v.textContent.slice(2))"
    )
    assert len(words) == len(load_claims())
    assert set(words) <= set(VERDICTS)
    shown = browser.run("Array.from(document.querySelectorAll('.counts b'), b => +b.textContent)")
    assert shown == [words.count(verdict) for verdict in VERDICTS]


@pytest.mark.parametrize("width", [1440, 390])
def test_a_number_says_where_it_is_from(browser: Chromium, report: Path, width: int) -> None:
    browser.open(report, width=width)
    browser.run(
        f"const cell = {A_DRIFT};cell.scrollIntoView({{block: 'center', inline: 'center'}})"
    )
    # Scrolling hides a tooltip, so it is asked for once the scrolling is over.
    browser.run("new Promise(done => setTimeout(done, 200))")
    browser.run(f"{A_DRIFT}.focus({{preventScroll: true}})")
    assert browser.run("tip.hidden") is False
    text = browser.run("tip.textContent")
    assert "0.15; 2 videos; job score-tiny-causvid; commit unknown; seed 0" in text
    box = browser.run("(b => [b.left, b.right, b.top, b.bottom])(tip.getBoundingClientRect())")
    assert box[0] >= 0 and box[1] <= width
    assert box[2] >= 0 and box[3] <= browser.run("innerHeight")
    browser.run("document.activeElement.blur()")
    assert browser.run("tip.hidden") is True


def test_films_play_side_by_side_in_a_loop(browser: Chromium, report: Path) -> None:
    browser.open(report, width=1440)
    browser.run("document.getElementById('films').scrollIntoView()")
    films = "Array.from(document.querySelectorAll('video'))"
    assert browser.run(f"{films}.length") == 8  # both ends of four runs
    assert browser.run(f"{films}.every(v => v.muted && v.loop && v.playsInline)")
    moving = browser.run(
        f"Promise.all({films}.map(v => new Promise(done => {{"
        " const check = () => v.currentTime > 0.1 ? done(true) : setTimeout(check, 50); check();"
        " setTimeout(() => done(false), 8000); })))"
    )
    assert moving == [True] * 8
    # 2 s at 16 frames/s, of both ends of a film of 6 s.
    assert browser.run(f"{films}.map(v => Math.round(10 * v.duration))") == [20] * 8
    captions = browser.run(
        "Array.from(document.querySelectorAll('.film small'), s => s.textContent)"
    )
    assert captions == ["0.0 to 2.0 s", "4.0 to 6.0 s"] * 4
    browser.run("document.getElementById('play').click()")
    assert browser.run(f"{films}.every(v => v.paused)")
    assert browser.run("document.getElementById('play').textContent") == "Play films"


def test_films_stand_still_for_who_asks_for_less_motion(browser: Chromium, report: Path) -> None:
    browser.open(report, width=1440, still=True)
    browser.run("document.getElementById('films').scrollIntoView()")
    browser.run("new Promise(done => setTimeout(done, 300))")
    assert browser.run("Array.from(document.querySelectorAll('video')).every(v => v.paused)")
    assert browser.run("document.getElementById('play').textContent") == "Play films"


@pytest.mark.parametrize("dark", [False, True])
def test_colours_follow_the_scheme_and_have_contrast(
    browser: Chromium, report: Path, dark: bool
) -> None:
    browser.open(report, width=1440, dark=dark)
    page = luminance(browser.computed("body", "background-color"))
    assert (page < 0.05) == dark
    for element in ("body", ".soft", ".notes", "td.published", ".tag", ".undecided", ".not-run",
                    ".holds", ".does-not-hold", "nav a"):  # fmt: skip
        ink = luminance(browser.computed(element, "color"))
        ratio = (max(ink, page) + 0.05) / (min(ink, page) + 0.05)
        assert ratio >= 4.5, (element, ratio)


def test_a_reader_and_a_keyboard_get_all_of_it(browser: Chromium, report: Path) -> None:
    assert faults_of(browser, report) == []


def test_prints_on_paper_with_stills_for_films(browser: Chromium, report: Path) -> None:
    browser.open(report, width=1440, dark=True)
    dark = {"name": "prefers-color-scheme", "value": "dark"}
    browser.call("Emulation.setEmulatedMedia", media="print", features=[dark])
    assert luminance(browser.computed("body", "background-color")) == pytest.approx(1)
    assert luminance(browser.computed("body", "color")) < 0.05
    assert browser.computed(".film video", "display") == "none"
    assert browser.computed(".film img", "display") == "block"
    assert browser.computed("nav", "display") == "none"
    pdf = base64.b64decode(browser.call("Page.printToPDF", preferCSSPageSize=True)["data"])
    assert pdf.startswith(b"%PDF")
    browser.call("Emulation.setEmulatedMedia", media="")


def test_without_script_everything_is_there(browser: Chromium, report: Path) -> None:
    browser.call("Emulation.setScriptExecutionDisabled", value=True)
    try:
        browser.open(report, width=1440)
        text = browser.body()
        for word in ("At a glance", "HiAR drifts less than Self-Forcing", "0.150", "0.0 to 2.0 s"):
            assert word in text
        assert browser.computed("#play", "display") == "none"
        tip = "document.querySelector('td.measured').title"
        assert "not" in browser.run(tip) or "needs" in browser.run(tip)
    finally:
        browser.call("Emulation.setScriptExecutionDisabled", value=False)
