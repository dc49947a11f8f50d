"""A folder of videos: what is there is kept, what failed is named, sidecars tell how."""

import hashlib
import json
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from killed import leave_behind
from numpy.typing import NDArray
from record_schema import check_record

from baselines.adapters.adapter import Job, Made, Timing, random_seed
from baselines.adapters.videos import read_frames, to_uint8, write_video
from baselines.errors import VideoFailedError
from baselines.registry import find_model
from baselines.run.generate import Run, generate_folder
from baselines.run.prompt_list import Prompt
from baselines.spec import Length
from hiar.errors import UsageError
from hiar.runtime.progress import Progress
from hiar.runtime.ranks import Ranks

SPEC = find_model("nova")
LENGTH = Length(num_frames=5)
ReadVideo = Callable[[Path], NDArray[np.uint8]]


@dataclass
class Grey:
    """A model whose videos are one grey, which says what they were made of."""

    strength: float = 1.0
    made: list[str] = field(default_factory=list)
    fails: tuple[str, ...] = ()
    prepared: list[str] = field(default_factory=list)

    def facts(self) -> dict[str, Any]:
        return {"strength": self.strength, "list": (1, 2)}

    def prepare(self, prompts: Sequence[str]) -> None:
        self.prepared = list(prompts)

    def make(self, job: Job, path: Path) -> Made:
        if job.prompt in self.fails:
            raise VideoFailedError(f"no picture of {job.prompt}")
        self.made.append(f"{job.prompt_index}/{job.seed}")
        level = 20 * job.prompt_index + job.seed
        frames = np.full((job.length.frames_made, 16, 16, 3), level, np.uint8)
        sha256 = write_video(path, [frames], job.length, SPEC.fps)
        return Made(seconds={"total": 0.5}, frames_sha256=sha256)

    def time(self, length: Length, *, warmup: int, repeats: int) -> Timing:
        raise NotImplementedError

    def close(self) -> None: ...


def run_folder(
    model: Grey, out: Path, prompts: Iterable[str | Prompt] = "ab", **settings: Any
) -> Any:
    ranks = settings.pop("ranks", Ranks())
    run = Run(**{"length": LENGTH, **settings})
    texts = [p if isinstance(p, Prompt) else Prompt(text=p, index=i) for i, p in enumerate(prompts)]
    return generate_folder(SPEC, model, texts, out, run, Progress("test", None), ranks)


def test_videos_and_sidecars_appear(tmp_path: Path, read_video: ReadVideo) -> None:
    record = run_folder(Grey(), tmp_path, samples=2)
    assert record == json.loads((tmp_path / "run.json").read_text())
    assert (record["made"], record["already_there"], record["failed"]) == (4, 0, [])
    assert sorted(path.name for path in tmp_path.glob("*.mp4")) == sorted(record["videos"])
    sidecar = json.loads((tmp_path / record["videos"][3]).with_suffix(".json").read_text())
    check_record(sidecar)
    assert (sidecar["prompt"], sidecar["seed"], sidecar["sample_index"]) == ("b", 1, 1)
    assert (sidecar["num_frames"], sidecar["fps"]) == (5, SPEC.fps)
    assert sidecar["model"] == {"key": "nova", "strength": 1.0, "list": [1, 2]}
    frames = read_video(tmp_path / record["videos"][3])
    assert frames.shape == (5, 16, 16, 3)
    assert abs(int(frames[0, 0, 0, 0]) - 21) <= 2  # the level of prompt 1, seed 1


def test_what_a_killed_process_left_is_removed_by_the_next_run(tmp_path: Path) -> None:
    """Half a video, and the folder in which a program of others was at work."""
    left = [
        leave_behind("hiar.runtime.files", tmp_path / "video.mp4"),
        leave_behind("hiar.runtime.files", tmp_path, "working_folder"),
    ]
    assert (left[1] / "half").exists()
    run_folder(Grey(), tmp_path)
    assert not any(path.exists() for path in left)


def test_a_range_keeps_the_places_in_the_whole_list(tmp_path: Path) -> None:
    model = Grey()
    record = run_folder(model, tmp_path, "abcd", prompt_range=(1, 3))
    assert model.made == ["1/0", "2/0"]
    assert len(record["videos"]) == 2


def test_videos_get_the_names_that_a_list_has(tmp_path: Path) -> None:
    prompt = Prompt(text="a longer prompt", index=0, names=("a cat. short-0", "a cat. short-1"))
    record = run_folder(Grey(), tmp_path, [prompt], samples=2)
    assert record["videos"] == ["a cat. short-0.mp4", "a cat. short-1.mp4"]
    sidecar = json.loads((tmp_path / "a cat. short-1.json").read_text())
    assert (sidecar["prompt"], sidecar["video"]) == ("a longer prompt", "a cat. short-1.mp4")
    assert run_folder(Grey(), tmp_path, [prompt], samples=2)["made"] == 0


def test_only_what_is_missing_is_made(tmp_path: Path) -> None:
    model = Grey()
    first = run_folder(model, tmp_path)
    assert model.made == ["0/0", "1/0"]
    video = tmp_path / first["videos"][1]
    before = json.loads(video.with_suffix(".json").read_text())
    # All five frames are of level 20: 20 times the prompt's index, and seed 0.
    pixels = bytes([20]) * (5 * 16 * 16 * 3)
    assert before["frames_sha256"] == hashlib.sha256(pixels).hexdigest()
    video.unlink()
    assert run_folder(model, tmp_path)["made"] == 1
    assert model.made[2:] == ["1/0"]
    assert model.prepared == ["b"]
    after = json.loads(video.with_suffix(".json").read_text())
    assert after["frames_sha256"] == before["frames_sha256"]
    assert run_folder(model, tmp_path)["made"] == 0


@pytest.mark.parametrize(
    "damage",
    [
        lambda video: video.write_bytes(video.read_bytes()[:-9]),
        lambda video: video.with_suffix(".json").unlink(),
        lambda video: video.with_suffix(".json").write_text("{"),
        lambda video: video.with_suffix(".json").write_text("[]"),
    ],
)
def test_a_video_that_nothing_vouches_for_is_made_again(
    tmp_path: Path, damage: Callable[[Path], object]
) -> None:
    model = Grey()
    damage(tmp_path / run_folder(model, tmp_path)["videos"][0])
    assert run_folder(model, tmp_path)["made"] == 1
    assert model.made[2:] == ["0/0"]


@pytest.mark.parametrize(
    ("change", "settings"),
    [({"strength": 2.0}, {}), ({}, {"seed": 3}), ({}, {"length": Length(num_frames=4)})],
)
def test_other_settings_make_all_again(
    tmp_path: Path, change: dict[str, Any], settings: dict[str, Any]
) -> None:
    run_folder(Grey(), tmp_path)
    assert run_folder(Grey(**change), tmp_path, **settings)["made"] == 2


def test_a_failure_is_named_and_the_others_are_made(tmp_path: Path) -> None:
    record = run_folder(Grey(fails=("b",)), tmp_path, "abc")
    assert record["made"] == 2
    [failure] = record["failed"]
    assert failure["prompt"] == "b"
    assert failure["reason"] == "no picture of b"
    assert not (tmp_path / failure["video"]).exists()
    again = run_folder(Grey(), tmp_path, "abc")
    assert (again["made"], again["failed"]) == (1, [])
    assert not list(tmp_path.glob("*.failed.txt"))


def test_three_failures_in_a_row_end_the_run(tmp_path: Path) -> None:
    model = Grey(fails=tuple("bcdef"))
    record = run_folder(model, tmp_path, "abcdef")
    assert record["made"] == 1
    reasons = [failure["reason"] for failure in record["failed"]]
    assert reasons[:3] == [f"no picture of {prompt}" for prompt in "bcd"]
    assert reasons[3:] == ["not tried: too many failed one after the other"] * 2


def test_duplicate_prompts_are_videos_of_their_own(tmp_path: Path) -> None:
    assert len(set(run_folder(Grey(), tmp_path, ["same", "same"])["videos"])) == 2


def test_ranks_share_the_videos(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Two processes one after the other, without the wait and the broadcast between them."""
    monkeypatch.setattr(Ranks, "wait", lambda _: None)
    monkeypatch.setattr(Ranks, "from_first", lambda _, value: value)
    models = [Grey(), Grey()]
    for rank, model in enumerate(models):
        run_folder(model, tmp_path / str(rank), "abcde", ranks=Ranks(rank=rank, num_ranks=2))
    assert models[0].made == ["0/0", "2/0", "4/0"]
    assert models[1].made == ["1/0", "3/0"]


def test_no_samples_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="0 samples"):
        run_folder(Grey(), tmp_path, samples=0)


def test_a_short_video_never_appears(tmp_path: Path) -> None:
    path = tmp_path / "video.mp4"
    chunks = [np.zeros((3, 16, 16, 3), np.uint8), np.zeros((1, 16, 16, 3), np.uint8)]
    with pytest.raises(VideoFailedError, match="too short: 4 of 5 frames"):
        write_video(path, chunks, LENGTH, 16)
    assert list(tmp_path.iterdir()) == []


def test_what_is_cut_off_is_never_made(tmp_path: Path, read_video: ReadVideo) -> None:
    asked = []

    def chunks() -> Iterable[NDArray[np.uint8]]:
        for index in range(9):
            asked.append(index)
            yield np.full((2, 16, 16, 3), 10 * index, np.uint8)

    write_video(tmp_path / "video.mp4", chunks(), LENGTH, 16)
    assert asked == [0, 1, 2]
    levels = read_video(tmp_path / "video.mp4").mean(axis=(1, 2, 3))
    np.testing.assert_allclose(levels, [0, 0, 10, 10, 20], atol=2)


def test_levels_are_rounded_and_nan_is_an_error() -> None:
    levels = np.array([0.0, 0.5 / 255, 0.51 / 255, 1.0, 1.7, -3.0])
    np.testing.assert_array_equal(to_uint8(levels), [0, 0, 1, 255, 255, 0])
    with pytest.raises(VideoFailedError, match="not finite"):
        to_uint8(np.array([0.0, np.nan]))


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (np.zeros((2, 4, 4)), r"float64 \(2, 4, 4\)"),
        (np.zeros((2, 4, 4, 4), np.uint8), r"uint8 \(2, 4, 4, 4\)"),
        (b"\x93NUMPY", "cannot be read"),
    ],
)
def test_arrays_that_are_no_frames(tmp_path: Path, content: Any, message: str) -> None:
    path = tmp_path / "frames.npy"
    if isinstance(content, bytes):
        path.write_bytes(content)
    else:
        np.save(path, content)
    with pytest.raises(VideoFailedError, match=message):
        list(read_frames(path))


def test_one_seed_a_video() -> None:
    seeds = {random_seed(seed, index) for seed in range(20) for index in range(50)}
    assert len(seeds) == 1000
    assert all(0 <= seed < 2**31 for seed in seeds)
    # printf 0/0 | sha256sum begins with 55 13 e3 ea; the last byte is the highest.
    assert random_seed(0, 0) == 0xEAE31355 >> 1
