"""Videos whose prompt changes: levels and changes of the parts, and where prompts come from."""

import json
import shutil

import numpy as np
import pytest

from drift import UsageError, rebuild, score_folder
from drift.score.prompt_parts import prompt_parts
from drift.video.discover import find_videos

pytestmark = pytest.mark.numerics

SCHEDULE = ((0.0, "a cup"), (2.5, "a cat"))


def parts(values, schedule=SCHEDULE, **settings):
    arguments = {"num_frames": 50, "num_segments": 5, "fps": 10.0, "frames": {}, **settings}
    return prompt_parts(values, schedule, **arguments)


def test_parts_have_their_closed_forms():
    # 25 frames rise by 0.04 a slice of five frames, so by four times that; then 25 stay.
    rising = np.repeat(0.1 + 0.04 * np.arange(5), 5)
    first, second = parts({"saturation": [*rising, *[0.7] * 25]})
    assert (first["start_s"], first["end_s"], first["frames"]) == (0, 2.5, 25)
    assert (second["start_s"], second["end_s"], second["prompt"]) == (2.5, 5, "a cat")
    assert first["metrics"]["saturation"]["mean"] == pytest.approx(0.18)
    assert first["metrics"]["saturation"]["total_change"] == pytest.approx(0.16)
    assert second["metrics"]["saturation"] == {"mean": 0.7, "total_change": 0}


def test_the_pair_between_two_prompts_counts_for_neither():
    values = [0.1] * 24 + [9.0] + [0.3] * 24  # 49 pairs; the 25th is the change of prompts
    first, second = parts({"lpips": values})
    assert first["metrics"]["lpips"] == {"mean": pytest.approx(0.1), "total_change": 0}
    assert second["metrics"]["lpips"] == {"mean": pytest.approx(0.3), "total_change": 0}


def test_frames_that_were_skipped_stay_skipped():
    frames = list(range(0, 50, 5))
    first, second = parts({"musiq": [*[10.0] * 5, *[20.0] * 5]}, frames={"musiq": frames})
    assert first["metrics"]["musiq"] == {"mean": 10, "total_change": 0}
    assert second["metrics"]["musiq"] == {"mean": 20, "total_change": 0}


def test_a_part_that_is_short_or_lies_past_the_end_has_no_number():
    short, late = parts({"saturation": [0.5] * 50}, ((0.0, "a"), (4.7, "b"), (9.0, "c")))[1:]
    assert short["metrics"]["saturation"] == {"mean": 0.5, "total_change": None}
    assert (late["frames"], late["metrics"]["saturation"]["mean"]) == (0, None)


@pytest.fixture
def videos(tmp_path, clips):
    (tmp_path / "v").mkdir()
    for name in ("a", "b", "c"):
        shutil.copy(clips / "astronaut.mp4", tmp_path / "v" / f"{name}.mp4")
    prompts = [{"start_s": 1, "prompt": "a cat"}, {"start_s": 0, "prompt": "a cup"}]
    (tmp_path / "v" / "a.json").write_text(json.dumps({"prompts": prompts}))
    table = "file,start_s,prompt\nb.mp4,0,a cup\nb.mp4,1,a cat\nc,,a dog\n"
    (tmp_path / "v" / "prompts.csv").write_text(table)
    return tmp_path / "v"


def test_summary_and_report_show_the_parts(videos, tmp_path):
    result = score_folder(videos, out=tmp_path / "run", progress=None)
    found = result.summary["prompt_changes"]
    assert [video["path"] for video in found["videos"]] == ["a.mp4", "b.mp4"]
    assert [part["videos"] for part in found["parts"]] == [2, 2]
    (first, second) = found["videos"][0]["parts"]
    assert (first["prompt"], second["prompt"], second["start_s"]) == ("a cup", "a cat", 1)
    mean = found["parts"][1]["metrics"]["saturation"]["mean"]
    assert mean == pytest.approx(second["metrics"]["saturation"]["mean"])
    assert result.summary["prompts"] == 2  # two videos share both prompts, and their times
    page = (tmp_path / "run" / "report.html").read_text()
    assert "Prompts that change" in page
    assert rebuild(tmp_path / "run").summary == result.summary


def test_a_run_whose_prompts_stay_has_no_such_table(clips, tmp_path):
    result = score_folder(clips, out=tmp_path / "run", progress=None)
    assert result.summary["prompt_changes"] is None
    assert "Prompts that change" not in (tmp_path / "run" / "report.html").read_text()


@pytest.mark.parametrize(
    ("rows", "words"),
    [
        ("a,0,x\na,0,y\n", "gives a two prompts at 0 s"),
        ("a,1,x\na,2,y\n", "they begin at 1, 2 s"),
        ("a,0,x\na,soon,y\n", "could not convert"),
        ("a,0,x\na,-1,y\n", "they begin at -1, 0 s"),
        ("a,0,x\na,nan,y\n", "they begin at"),
    ],
)
def test_tables_that_cannot_be_used(videos, tmp_path, rows, words):
    table = tmp_path / "table.csv"
    table.write_text("file,start_s,prompt\n" + rows)
    with pytest.raises(UsageError, match=words):
        find_videos([videos], prompts=table, skip=tmp_path)


def test_a_sidecar_whose_prompts_cannot_be_used_is_a_warning(videos, tmp_path):
    (videos / "a.json").write_text('{"prompts": [{"start_s": 3, "prompt": "x"}]}')
    found = find_videos([videos], glob="a.mp4", skip=tmp_path)
    assert any("a.mp4: the prompts of its sidecar are not used" in w for w in found.warnings)
    assert found.videos[0].prompt == ""
