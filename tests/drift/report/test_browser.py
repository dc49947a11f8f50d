"""The report in headless Chromium: sorting, filtering, layout, dark mode, and nothing fetched."""

import base64
import json
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest
from accessibility import faults_of
from chromium import Chromium, luminance

from drift import score_folder
from drift.record.summary import score_videos
from drift.record.tables import read_frames
from drift.report.page import render_report
from drift.report.videos import WORST
from drift.video.discover import printable
from drift.video.thumbnails import LARGE, strip_size

pytestmark = pytest.mark.browser

NAMES = (
    '"quoted" & <script>alert(1)<\u2044script>.mp4',
    "new\nline.mp4",
    "emoji 👩‍🔬.mp4",
    "عربي \u202egpj.mp4",
    "<img src=x onerror=alert(2)>.mp4",
    "plain 2.mp4",
    "plain 10.mp4",
)
PROMPTS = ('</script><script>alert("x")</script>', "a cat, asleep", "")


@pytest.fixture(scope="module")
def report(tmp_path_factory, pan, make_video) -> Path:
    """Seven videos with awkward names that drift by different amounts, and a broken one."""
    folder = tmp_path_factory.mktemp("browser")
    for index, name in enumerate(NAMES):
        frames = [
            cv2.addWeighted(frame, 1, np.full_like(frame, 255), index * i / 200, 0)
            for i, frame in enumerate(pan(("coffee", "chelsea", "rocket")[index % 3], 20))
        ]
        video = make_video(folder / "v" / name, frames)
        video.with_suffix(".json").write_text(json.dumps({"prompt": PROMPTS[index % 3]}))
    (folder / "v" / "broken <b>.mp4").write_bytes(b"no video" * 100)
    score_folder(folder / "v", out=folder / "run", progress=None)
    return folder / "run" / "report.html"


@pytest.fixture
def wide(browser, report):
    browser.open(report, width=1440)
    return browser


def shown(browser: Chromium, column: int) -> list[str]:
    """Values of a column in the order on the page, of the rows that are shown."""
    return browser.run(
        "Array.from(document.querySelectorAll('#videos tbody')).filter(b => b.offsetHeight)"
        f".map(b => b.rows[0].cells[{column}].dataset.value)"
    )


def click_head(browser: Chromium, column: int) -> str:
    head = f"document.querySelectorAll('#videos thead th')[{column}]"
    browser.run(f"{head}.querySelector('button').click()")
    return browser.run(f"{head}.getAttribute('aria-sort')")


@pytest.mark.parametrize("width", [1440, 768, 390, 320])
@pytest.mark.parametrize("dark", [False, True])
def test_no_error_no_request_no_overflow(browser, report, width, dark):
    browser.open(report, width=width, dark=dark)
    assert browser.problems() == []
    requests = [e for e in browser.events if e.get("method") == "Network.requestWillBeSent"]
    files = [e["params"]["request"]["url"] for e in requests]
    assert [url for url in files if not url.startswith("data:")] == [report.as_uri()]
    browser.run("document.querySelectorAll('details').forEach(d => { d.open = true; })")
    assert browser.run("document.documentElement.scrollWidth") == width
    assert browser.run("document.querySelectorAll('#videos tbody').length") == len(NAMES)


def test_awkward_names_are_text(wide):
    names = wide.run("Array.from(document.querySelectorAll('.name summary'), s => s.textContent)")
    assert set(names) == {printable(name) for name in NAMES}
    assert wide.run("document.images.length") == len(NAMES) + WORST  # no image from a name
    assert wide.run("document.scripts.length") == 1
    assert "broken <b>.mp4" in wide.run("document.body.innerText")


def test_every_thumbnail_is_a_picture(wide):
    wide.run("document.querySelectorAll('img').forEach(i => { i.loading = 'eager'; })")
    sizes = wide.run(
        "Promise.all(Array.from(document.images, i => i.decode().then(() =>"
        " [i.naturalWidth, i.naturalHeight, i.width > 50])))",
    )
    assert sizes == [
        *[[*strip_size(128, 96, LARGE), True]] * WORST,
        *[[*strip_size(128, 96), True]] * len(NAMES),
    ]


def test_sorts_by_every_column_both_ways(wide):
    scores = [float(v) for v in shown(wide, 2)]
    assert scores == sorted(scores, reverse=True)
    assert click_head(wide, 2) == "ascending"  # it was descending
    assert [float(v) for v in shown(wide, 2)] == sorted(scores)
    for column in (3, 4):
        assert click_head(wide, column) == "descending"
        drifts = [float(v) for v in shown(wide, column)]
        assert drifts == sorted(drifts, reverse=True)
        assert click_head(wide, column) == "ascending"
    assert click_head(wide, 0) == "ascending"
    names = shown(wide, 0)
    assert names.index("plain 2.mp4") < names.index("plain 10.mp4")  # as a person counts
    assert click_head(wide, 0) == "descending"
    assert shown(wide, 0) == names[::-1]
    heads = "document.querySelectorAll('#videos th[aria-sort]').length"
    assert wide.run(heads) == 1
    assert wide.problems() == []


def test_the_order_menu_sorts_too(wide):
    wide.run("order.value = '4 up'; order.dispatchEvent(new Event('change'))")
    drifts = [float(v) for v in shown(wide, 4)]
    assert drifts == sorted(drifts)
    click_head(wide, 0)
    assert wide.run("order.value") == "0 up"


def test_filters_by_words_and_direction(wide):
    everything = shown(wide, 0)
    wide.type("find", "PLAIN")
    assert sorted(shown(wide, 0)) == ["plain 10.mp4", "plain 2.mp4"]
    assert wide.run("shown.textContent") == f"2 of {len(NAMES)} shown"
    wide.type("find", "asleep cat")  # words of a prompt, in any order
    assert len(shown(wide, 0)) == 2
    wide.type("find", "no such video")
    assert shown(wide, 0) == []
    wide.type("find", "")
    assert shown(wide, 0) == everything
    choices = wide.run("Array.from(direction.options, o => o.value)")
    for name in ("saturation", "sharpness"):
        count = 0
        for choice in (c for c in choices if c.startswith(name)):
            wide.run(f"direction.value = '{choice}'; direction.dispatchEvent(new Event('change'))")
            count += len(shown(wide, 0))
            label = choice.split(":")[1]
            cells = wide.run(
                "Array.from(document.querySelectorAll('#videos tbody')).filter(b => b.offsetHeight)"
                f".every(b => b.innerText.includes('{label}'))"
            )
            assert cells
        assert count == len(NAMES)
    assert wide.problems() == []


def test_a_click_opens_and_closes_a_video(wide):
    row = "document.querySelector('#videos tbody')"
    more = f"{row}.rows[1].offsetHeight"
    assert wide.run(more) == 0
    wide.run(f"{row}.rows[0].cells[2].click()")
    assert wide.run(more) > 50
    wide.run(f"{row}.rows[0].cells[2].click()")
    assert wide.run(more) == 0


def test_without_script_everything_is_there(browser, report):
    browser.call("Emulation.setScriptExecutionDisabled", value=True)
    try:
        browser.open(report, width=1440)
        text = browser.body()
        for word in ("drift score", "plain 2.mp4", "broken", "Settings and provenance"):
            assert word in text
        assert browser.computed("#controls", "display") == "none"
        assert browser.computed("#videos .more", "display") == "none"
        browser.set_attribute("#videos details", "open", "")  # what a click on the name does
        assert browser.computed("#videos .more", "display") == "table-row"
    finally:
        browser.call("Emulation.setScriptExecutionDisabled", value=False)


@pytest.mark.parametrize("dark", [False, True])
def test_colours_follow_the_scheme_and_have_contrast(browser, report, dark):
    browser.open(report, width=1440, dark=dark)
    page = luminance(browser.computed("body", "background-color"))
    assert (page < 0.05) == dark
    for element in ("body", ".soft", ".note", "#videos .prompt", "a", ".finding b"):
        ink = luminance(browser.computed(element, "color"))
        ratio = (max(ink, page) + 0.05) / (min(ink, page) + 0.05)
        assert ratio >= 4.5, (element, ratio)
    rising, falling = (
        luminance(browser.computed(f".key.{way}", "background-color")) for way in ("up", "down")
    )
    assert abs(rising - falling) > 0.1  # told apart in grey


def test_a_reader_and_a_keyboard_get_all_of_it(browser, report):
    assert faults_of(browser, report) == []


def test_keys_alone_sort_and_open(wide):
    focused = "document.activeElement"
    wide.run("document.getElementById('order').focus()")
    wide.press("Tab")  # the table, which scrolls sideways on a phone
    assert wide.run(f"{focused}.className") == "wide"
    wide.press("Tab")
    assert wide.run(f"{focused}.className") == "sort"
    wide.press("Enter")
    assert wide.run(f"{focused}.closest('th').getAttribute('aria-sort')") == "ascending"
    heads = wide.run("document.querySelectorAll('#videos .sort').length")
    wide.press("Tab", heads)
    assert wide.run(f"{focused}.tagName") == "SUMMARY"
    wide.press("Enter")
    assert wide.run(f"{focused}.closest('tbody').rows[1].offsetHeight") > 50


def test_prints_on_paper(browser, report):
    browser.open(report, width=1440, dark=True)
    dark = {"name": "prefers-color-scheme", "value": "dark"}
    browser.call("Emulation.setEmulatedMedia", media="print", features=[dark])
    assert browser.computed("#controls", "display") == "none"
    assert luminance(browser.computed("body", "background-color")) == pytest.approx(1)
    assert luminance(browser.computed("body", "color")) < 0.05
    pdf = base64.b64decode(browser.call("Page.printToPDF")["data"])
    assert pdf.startswith(b"%PDF")
    browser.call("Emulation.setEmulatedMedia", media="")


def test_a_thousand_videos_stay_light(browser, report, tmp_path):
    data = read_frames(report.parent / "frames.parquet")
    scored = [row for row in data.rows if row.status == "ok"]
    rows = tuple(
        replace(scored[i % len(scored)], path=f"{i:04} of many.mp4", sha256=f"{i:064x}")
        for i in range(1000)
    )
    many = replace(data, rows=rows)
    scores = score_videos(many, many.preset)
    summary = json.loads((report.parent / "summary.json").read_text())
    picture = base64.b64encode(bytes(6000)).decode()  # as large as three photographs
    page = render_report(many, scores, summary, {row.sha256: picture for row in rows})
    assert len(page.encode()) < 25_000_000
    (tmp_path / "many.html").write_text(page)
    browser.open(tmp_path / "many.html", width=1440)
    assert len(shown(browser, 0)) == 1000
    browser.call("Performance.enable", timeDomain="threadTicks")  # CPU time: others work here too
    before = browser.cpu_s()
    browser.run("document.querySelectorAll('.sort')[0].click(); document.body.offsetHeight")
    assert browser.cpu_s() - before < 3
    assert shown(browser, 0) == sorted(row.path for row in rows)
