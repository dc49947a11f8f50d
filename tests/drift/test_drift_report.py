"""The page is well-formed, self-contained and shows every curve and failure."""

import html.parser
import re
import shutil
import xml.etree.ElementTree as ET

import pytest

from drift import score_folder
from drift.curves import segment_chart

VOID = {"meta", "link", "br", "img", "input", "hr"}


class Balance(html.parser.HTMLParser):
    """Fails on a tag that is closed in the wrong place."""

    def __init__(self):
        super().__init__()
        self.open: list[str] = []

    def handle_starttag(self, tag, attrs):
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag


@pytest.fixture(scope="module")
def page(broken, clips, tmp_path_factory):
    folder = tmp_path_factory.mktemp("report")
    shutil.copytree(clips, folder / "v")
    shutil.copy(broken / "garbage.mp4", folder / "v" / "<b>&.mp4")
    score_folder(folder / "v", out=folder / "run", progress=None)
    return (folder / "run" / "report.html").read_text()


def test_tags_are_balanced_and_nothing_is_fetched(page):
    parser = Balance()
    parser.feed(page)
    parser.close()
    assert parser.open == []
    assert not re.search(r"<script|<link|src=|href=|@import|url\(", page)


def test_every_metric_has_its_curve_with_mean_band_and_videos(page):
    charts = re.findall(r"<svg.*?</svg>", page, re.DOTALL)
    assert len(charts) == 2
    for chart in charts:
        root = ET.fromstring(chart)
        kinds = [element.get("class") for element in root]
        assert (kinds.count("video"), kinds.count("mean"), kinds.count("band")) == (4, 1, 1)


def test_names_are_escaped_and_failures_and_warnings_shown(page):
    assert "&lt;b&gt;&amp;.mp4" in page
    assert "<b>&" not in page
    assert "1 of 5 videos failed" in page
    assert "mixed codecs" in page
    assert "Partial score" in page


def test_a_chart_of_equal_values_is_drawn():
    root = ET.fromstring(segment_chart([[0.0] * 5], [0.0] * 5, [[0.0, 0.0]] * 5))
    assert "nan" not in ET.tostring(root, encoding="unicode")
