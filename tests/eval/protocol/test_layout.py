"""hiar-vbench layout: missing, stray, uneven, copied, broken and wrongly named videos."""

import json
import os
import unicodedata
from collections import Counter
from pathlib import Path

import pytest

from drift.errors import UsageError
from eval.protocol.layout import Layout, Video, check_own, check_suite, make_view
from eval.protocol.prompts import Prompt

A, B, FACADE = "a cat", "a dog", "rock-carved façades"


def prompts(*texts: str, dimensions=("scene",)) -> list[Prompt]:
    return [
        Prompt(index=i, text=text, dimensions=dimensions, generate=text)
        for i, text in enumerate(texts)
    ]


def kinds(layout: Layout) -> Counter:
    return Counter(problem.kind for problem in layout.problems)


def look(folder: Path, *texts: str, **options) -> Layout:
    return check_suite(folder, prompts(*texts), dimensions=["scene"], samples=2, **options)


def test_complete_folder(make_folder) -> None:
    layout = look(make_folder([A, B]), A, B)
    assert layout.problems == ()
    assert layout.expected == 4
    first = layout.files[0]
    assert (first.name, first.frames, first.width, first.height) == (f"{A}-0.mp4", 8, 64, 64)
    assert first.seconds == 0.5  # 8 frames at 16 a second


def test_every_missing_file_is_named(make_folder) -> None:
    layout = look(make_folder([A]), A, B)
    assert [p.name for p in layout.problems] == [f"{B}-0.mp4", f"{B}-1.mp4"]
    assert kinds(layout) == {"missing": 2}  # none of B is there: not uneven


def test_uneven_counts_and_samples_past_the_last(make_folder, make_video, box) -> None:
    folder = make_folder([A, B])
    (folder / f"{B}-1.mp4").unlink()
    make_video(folder / f"{A}-2.mp4", box(8, 99))
    layout = look(folder, A, B)
    assert kinds(layout) == {"missing": 1, "uneven": 1}
    assert layout.problems[1].detail == "1 of 2 videos"
    assert layout.passed_over == (f"{A}-2.mp4",)


def test_stray_files_are_passed_over_whatever_comes_first(make_folder) -> None:
    folder = make_folder([A])
    for name in (".DS_Store", "00.txt", "zz.json"):
        (folder / name).write_text("")
    layout = look(folder, A)
    assert layout.problems == ()
    assert set(layout.passed_over) == {".DS_Store", "00.txt", "zz.json"}


def test_folders_of_dimensions(make_folder) -> None:
    root = make_folder([A], name="root/scene").parent
    layout = check_suite(
        root,
        prompts(A, dimensions=("scene", "background_consistency")),
        dimensions=["scene", "background_consistency"],
        samples=2,
    )
    assert layout.problems == ()
    assert layout.expected == 2  # one set of videos serves both
    assert len(layout.videos["background_consistency"]) == 2


def test_one_prompt_on_two_lines_needs_one_set(make_folder) -> None:
    layout = look(make_folder([A]), A, A)
    assert layout.problems == ()
    assert layout.expected == len(layout.videos["scene"]) == 2


@pytest.mark.parametrize("other", ["A CAT", "decomposed"])
def test_other_case_or_unicode_form_is_pointed_out(make_folder, other: str) -> None:
    text = FACADE if other == "decomposed" else A
    there = unicodedata.normalize("NFD", text) if other == "decomposed" else other
    layout = look(make_folder([there]), text)
    assert kinds(layout) == {"missing": 2}
    assert f"{there}-0.mp4" in layout.problems[0].detail


def test_case_only_pair_served_by_one_file(make_folder) -> None:
    # What a disk that ignores case makes of two names: here a hard link and a link.
    folder = make_folder(["a fantasy landscape"])
    os.link(folder / "a fantasy landscape-0.mp4", folder / "A fantasy landscape-0.mp4")
    (folder / "A fantasy landscape-1.mp4").symlink_to("a fantasy landscape-1.mp4")
    layout = look(folder, "a fantasy landscape", "A fantasy landscape")
    assert kinds(layout) == {"copy": 2}


def test_one_seed_used_twice(make_folder) -> None:
    folder = make_folder([A])
    (folder / f"{A}-1.mp4").write_bytes((folder / f"{A}-0.mp4").read_bytes())
    layout = look(folder, A)
    assert kinds(layout) == {"copy": 1}
    assert f"{A}-0.mp4" in layout.problems[0].detail


def test_two_suffixes(make_folder, make_video, box) -> None:
    folder = make_folder([A])
    make_video(folder / f"{A}-0.gif", box(8), codec="gif")
    assert kinds(look(folder, A)) == {"two suffixes": 1}


def test_gif_folder(make_video, box, tmp_path: Path) -> None:
    for sample in (0, 1):
        make_video(tmp_path / f"{A}-{sample}.gif", box(8, sample), codec="gif")
    layout = look(tmp_path, A)
    assert layout.problems == ()
    assert layout.files[0].name == f"{A}-0.gif"


def test_unreadable_files(make_folder) -> None:
    folder = make_folder([A, B, "a hat"])
    (folder / f"{A}-0.mp4").write_bytes(b"")
    (folder / f"{A}-1.mp4").write_bytes(b"no video" * 100)
    (folder / f"{B}-0.mp4").unlink()
    (folder / f"{B}-0.mp4").symlink_to("nowhere.mp4")
    layout = look(folder, A, B, "a hat")
    assert kinds(layout) == {"unreadable": 3}
    assert {p.name for p in layout.problems} == {f"{A}-0.mp4", f"{A}-1.mp4", f"{B}-0.mp4"}
    quick = look(folder, A, B, "a hat", headers=False)  # an empty file is seen all the same
    assert {p.name for p in quick.problems} == {f"{A}-0.mp4", f"{B}-0.mp4"}


def test_own_videos(make_folder, tmp_path: Path) -> None:
    folder = make_folder(["x_y", "z"])
    (folder / "._z-0.mp4").write_bytes(b"resource fork")
    layout = check_own(folder, ["scene"])
    assert [video.name for video in layout.videos["scene"]] == [
        "x_y-0.mp4", "x_y-1.mp4", "z-0.mp4", "z-1.mp4"
    ]  # fmt: skip
    assert layout.passed_over == ("._z-0.mp4",)
    (tmp_path / "empty").mkdir()
    for bad in (tmp_path / "empty", tmp_path / "gone"):
        with pytest.raises(UsageError):
            check_own(bad, ["scene"])


def test_view_holds_the_videos_and_nothing_else(make_folder, tmp_path: Path) -> None:
    folder = make_folder([A])
    files = [Video(name=path.name, path=path) for path in sorted(folder.iterdir())]
    view = tmp_path / "view"
    for shown in (files, files[:1], files):
        make_view(shown, view, {video.path: video.name for video in shown})
        assert {e.name: e.resolve() for e in view.iterdir()} == {v.name: v.path for v in shown}
    moved = {files[0].path: files[1].name}
    make_view(files[:1], view, moved)
    assert {e.name: e.resolve() for e in view.iterdir()} == {files[1].name: files[0].path}


def test_command(make_folder, make_suite, vbench) -> None:
    suite = make_suite([(A, ["scene"]), (B, ["color"])])
    folder = make_folder([A])
    code, out, _ = vbench("layout", folder, "--suite", suite, "--samples", 2)
    assert code == 1
    assert f"missing: {B}-0.mp4\n" in out
    assert "problems: 2 missing" in out
    assert "2 of 4 videos" in out
    code, out, _ = vbench(
        "layout", folder, "--suite", suite, "--samples", 2, "--dimensions", "scene", "--json"
    )
    assert code == 0
    record = json.loads(out)
    assert record["problems"] == []
    assert record["videos"] == {"scene": 2}


def test_length_against_the_authors_rule(make_video, box, vbench, tmp_path: Path) -> None:
    make_video(tmp_path / "long.mp4", box(81, size=32), rate=16)  # 5.06 s, as Wan makes them
    code, out, err = vbench("layout", tmp_path, "--protocol", "vbench-custom")
    assert code == 0
    assert "length: 5.06 to 5.06 s" in out
    assert "VBench-Long from 5.0 s on" in err
    _, _, err = vbench("layout", tmp_path, "--protocol", "vbench-long-custom")
    assert err == ""
