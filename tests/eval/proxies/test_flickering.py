"""temporal_flickering on real videos: closed forms, an independent decode, broken files."""

import json
from pathlib import Path

import cv2
import numpy as np
import pytest

from drift.errors import UsageError
from eval.proxies.temporal_flickering import (
    flicker_score,
    frame_difference,
    measure_video,
    measure_videos,
)

pytestmark = pytest.mark.numerics


def grey(levels: list[int]) -> np.ndarray:
    return np.stack([np.full((32, 32, 3), level, np.uint8) for level in levels])


def test_closed_forms() -> None:
    black, white = grey([0, 255])
    assert frame_difference(black, white) == 255
    assert flicker_score([np.float32(0)] * 7) == 1.0
    assert flicker_score([np.float32(255)] * 7) == 0.0
    # Differences of 51 and 102 of 255: 1 - (0.2 + 0.4) / 2 = 0.7, exact in float32 up to rounding.
    assert flicker_score([np.float32(51), np.float32(102)]) == pytest.approx(0.7, rel=1e-7)


def test_still_video_scores_1_and_flicker_scores_low(make_video, tmp_path: Path) -> None:
    still = make_video(tmp_path / "still.mp4", grey([128] * 12))
    assert measure_video(still) == 1.0
    flicker = make_video(tmp_path / "flicker.mp4", grey([0, 255] * 6))
    assert measure_video(flicker) < 0.05  # compression keeps it from 0


def test_equals_a_plain_computation(make_video, box, tmp_path: Path) -> None:
    path = make_video(tmp_path / "box.mp4", box(16))
    capture, frames = cv2.VideoCapture(str(path)), []
    while (read := capture.read())[0]:
        frames.append(read[1].astype(np.float64))
    steps = np.abs(np.diff(np.stack(frames), axis=0)).mean(axis=(1, 2, 3))
    # Float64 throughout; ours is upstream's float32, whose mean is good to some 1e-6.
    assert measure_video(path) == pytest.approx(1 - steps.mean() / 255, rel=1e-6)


def test_order_of_videos_changes_no_score(make_video, box, tmp_path: Path) -> None:
    paths = [make_video(tmp_path / f"{seed}.mp4", box(8, seed)) for seed in range(3)]
    forward, backward = measure_videos(paths), measure_videos(paths[::-1])
    assert forward[1] == backward[1][::-1]
    assert forward[0] == pytest.approx(backward[0], rel=1e-15)


def test_broken_videos_are_errors_not_left_out(make_video, box, tmp_path: Path) -> None:
    whole = make_video(tmp_path / "whole.mp4", box(32)).read_bytes()
    broken = {
        "cut.mp4": whole[: len(whole) * 6 // 10],
        "garbage.mp4": b"no video" * 99,
        "empty.mp4": b"",
    }
    for name, content in broken.items():
        (tmp_path / name).write_bytes(content)
        with pytest.raises(UsageError, match=name):
            measure_video(tmp_path / name)
    with pytest.raises(UsageError, match="1 of 2 frames"):
        measure_video(make_video(tmp_path / "one.mp4", box(1)))


def test_command_without_an_environment(make_folder, make_suite, vbench, tmp_path: Path) -> None:
    suite = make_suite([("a cat", ["temporal_flickering"])])
    folder = make_folder(["a cat"])
    code, _, err = vbench(
        "run", folder, "--out", tmp_path / "run", "--suite", suite, "--samples", 2, "--in-process"
    )
    assert code == 0, err
    entry = json.loads((tmp_path / "run" / "temporal_flickering_eval_results.json").read_text())
    scores = [measure_video(folder / f"a cat-{i}.mp4") for i in (0, 1)]
    assert entry["temporal_flickering"][0] == np.mean(scores)
    record = json.loads((tmp_path / "run" / "temporal_flickering_run.json").read_text())
    assert record["by"] == "hiar-toolkit"
