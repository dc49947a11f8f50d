"""Submissions: what is packed, what is refused, and what the page shows."""

import json
import re
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from accessibility import faults_of
from chromium import Chromium

from drift.errors import UsageError
from drift.files import file_sha256
from reports.cli.main import main
from reports.report.manifest import MANIFEST_SCHEMA
from reports.submissions.rows import model_rows, speed_rows
from reports.submissions.submission import (
    ENTRIES,
    RECORDS,
    SUBMISSION_NAME,
    read_submission,
    read_submissions,
)

OURS = "tiny-2-cores"


@pytest.fixture
def entries(tmp_path: Path) -> Path:
    """A folder of submissions that holds ours."""
    return Path(shutil.copytree(ENTRIES / OURS, tmp_path / "entries" / OURS)).parent


@pytest.fixture
def run(tmp_path: Path) -> Path:
    """A reproduction with our submission's records, a video and a picture."""
    folder = Path(shutil.copytree(ENTRIES / OURS / RECORDS, tmp_path / "run"))
    said = json.loads((ENTRIES / OURS / SUBMISSION_NAME).read_text())
    names = [path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()]
    manifest = {
        "schema": MANIFEST_SCHEMA,
        **{key: said[key] for key in ("preset", "preset_sha256", "environment")},
        "jobs": {
            "sample-tiny-hiar": {
                "argv": ["{python}", "-m", "hiar", "sample", "--model", "tiny",
                         "--out", "{out}/videos/tiny-hiar"],
                "status": "skipped", "reason": None,
            },
            "sample-sf-0": {
                "argv": ["{python}", "-m", "baselines", "generate", "nobody's",
                         "--out", "{out}/videos/sf/0"],
                "status": "skipped", "reason": None,
            },
        },
        "artifacts": {name: {"sha256": file_sha256(folder / name), "jobs": []} for name in names
                      if not name.startswith("tables/")},
    }  # fmt: skip
    (folder / "manifest.json").write_text(json.dumps(manifest))
    (folder / "videos").mkdir()
    (folder / "videos" / "a.mp4").write_bytes(b"video")
    return folder


def submit(run: Path, entries: Path, *more: str, name: str = "mine") -> int:
    return main(
        ["submit", str(run), "--entries", str(entries), "--name", name, "--lab", "us",
         "--machine", "a laptop", *more]
    )  # fmt: skip


def test_every_submission_that_ships_is_whole() -> None:
    found = read_submissions()
    assert OURS in [submission.name for _, submission in found]
    for folder, submission in found:
        assert not [path for path in folder.rglob("*") if path.suffix in {".mp4", ".png"}]
        for row in model_rows([(folder, submission)]):
            assert row.evaluated_s > 0
            assert row.drift[1] <= row.drift[0] <= row.drift[2]


def test_rows_hold_what_a_fair_reader_asks_for() -> None:
    found = [(ENTRIES / OURS, read_submission(ENTRIES / OURS))]
    hiar = next(row for row in model_rows(found) if row.label.startswith("HiAR"))
    assert hiar.scale == "tiny"
    assert hiar.trained_s == 81 / 16  # 21 latent frames
    assert hiar.evaluated_s == 321 / 16  # 81 latent frames
    passes = {row.what: (row.cards, row.passes) for row in speed_rows(found)}
    assert passes["block_first"] == ("CPU, 1 process", 5)  # 4 steps and a context pass
    assert passes["pipelined"] == ("CPU, 2 processes", 8)  # 4 steps, each with a context pass
    assert all("no decoding" in row.counted for row in speed_rows(found))


def test_a_run_is_packed_without_its_videos(run: Path, tmp_path: Path) -> None:
    (tmp_path / "new").mkdir()
    assert submit(run, tmp_path / "new") == 0
    submission = read_submission(tmp_path / "new" / "mine")
    assert submission.scale == "tiny"
    assert submission.trained_s == {"tiny-hiar": 81 / 16, "sf": None}
    assert "bench.json" in submission.files
    assert not any(name.endswith((".mp4", "manifest.json")) for name in submission.files)
    assert list((tmp_path / "new").iterdir()) == [tmp_path / "new" / "mine"]


REFUSED: dict[str, Callable[[Path], object]] = {
    "a changed record": lambda run: (run / "bench.json").write_text("{}"),
    "a NaN": lambda run: rewrite(run, '"threads": 1', '"threads": NaN'),
    "an infinity": lambda run: rewrite(run, '"threads": 1', '"threads": 1e999'),
    "a path": lambda run: rewrite(run, '"threads": 1', '"threads": "/home/someone/videos"'),
    "no table": lambda run: shutil.rmtree(run / "tables"),
    "no manifest": lambda run: (run / "manifest.json").unlink(),
}


def rewrite(run: Path, old: str, new: str) -> None:
    """Changes the bench record and its hash in the manifest."""
    path = run / "bench.json"
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new))
    manifest = json.loads((run / "manifest.json").read_text())
    manifest["artifacts"]["bench.json"]["sha256"] = file_sha256(path)
    (run / "manifest.json").write_text(json.dumps(manifest))


@pytest.mark.parametrize("change", REFUSED.values(), ids=REFUSED)
def test_what_is_not_whole_is_not_packed(
    run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], change: Callable[[Path], object]
) -> None:
    change(run)
    assert submit(run, tmp_path / "new") == 2
    assert capsys.readouterr().err.count("\n") == 1
    assert not (tmp_path / "new" / "mine").exists()


@pytest.mark.parametrize("name", ["../mine", "Mine", "", "a/b", OURS])
def test_a_name_is_new_and_no_path(run: Path, entries: Path, name: str) -> None:
    before = sorted(entries.rglob("*"))
    assert submit(run, entries, name=name) == 2
    assert sorted(entries.rglob("*")) == before


BROKEN: dict[str, Callable[[Path], object]] = {
    "a changed record": lambda folder: (folder / RECORDS / "bench.json").write_text("{}"),
    "a missing record": lambda folder: (folder / RECORDS / "bench.json").unlink(),
    "a further file": lambda folder: (folder / RECORDS / "a.mp4").write_bytes(b""),
    "another name": lambda folder: folder.rename(folder.with_name("other")),
    "an older schema": lambda folder: say(folder, schema="submission/0"),
    "no lab": lambda folder: say(folder, lab=" "),
    "an unknown field": lambda folder: say(folder, fps=100),
    "a copy": lambda folder: say(Path(shutil.copytree(folder, folder.with_name("copy"))),
                                 name="copy"),
}  # fmt: skip


def say(folder: Path, **changes: object) -> None:
    path = folder / SUBMISSION_NAME
    path.write_text(json.dumps(json.loads(path.read_text()) | changes))


@pytest.mark.parametrize("change", BROKEN.values(), ids=BROKEN)
def test_a_broken_submission_is_refused(entries: Path, change: Callable[[Path], object]) -> None:
    assert len(read_submissions(entries)) == 1
    change(entries / OURS)
    with pytest.raises(UsageError):
        read_submissions(entries)


def test_the_page_marks_the_tiny_world_and_asks_for_nothing(entries: Path, tmp_path: Path) -> None:
    say(entries / OURS, note="<script>alert(1)</script>")
    page = tmp_path / "page.html"
    assert main(["submissions", "--entries", str(entries), "--page", str(page)]) == 0
    text = page.read_text()
    assert "The tiny world" in text
    assert "Full models" not in text
    assert "<script" not in text
    assert not re.search(r'(src|href)="', text)


@pytest.mark.browser
def test_a_reader_and_a_keyboard_get_all_of_the_page(browser: Chromium, tmp_path: Path) -> None:
    page = tmp_path / "page.html"
    assert main(["submissions", "--page", str(page)]) == 0
    assert faults_of(browser, page) == []
