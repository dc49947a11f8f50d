"""The tiny proxies on videos whose answers are known, and on broken folders."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from record_schema import check_record

from drift.errors import UsageError
from eval.proxies.motion_smoothness import motion_smoothness
from eval.proxies.proxies import PROXIES, make_record, measure_folder
from eval.proxies.temporal_flickering import measure_video
from hiar.tiny import world
from hiar.tiny.detect import prompt_following
from hiar.tiny.dynamics import measure_motion

pytestmark = pytest.mark.numerics

SCENE = world.Scene(
    colour="red", shape="square", texture="plain", motion="right", background="teal", pan="still",
    jitter=(0.0,) * 6,
)  # fmt: skip


@pytest.fixture
def folder(make_video, tmp_path: Path) -> Path:
    """Two videos of the tiny world with sidecars, one that stands still."""
    moving = world.render(SCENE, 24)
    for name, frames in (("moving", moving), ("still", np.repeat(moving[:1], 24, axis=0))):
        make_video(tmp_path / "videos" / f"{name}.mp4", frames)
        sidecar = tmp_path / "videos" / f"{name}.json"
        sidecar.write_text(json.dumps({"prompt": SCENE.prompt}))
    return tmp_path / "videos"


def test_still_and_slow_videos_are_smooth() -> None:
    still = np.repeat(world.render(SCENE, 1), 9, axis=0)
    assert motion_smoothness(still) == pytest.approx(1, abs=1e-4)  # remap interpolates in steps
    assert motion_smoothness(world.render(SCENE, 17)) > 0.99


def test_a_frame_unlike_its_neighbours_costs_its_difference() -> None:
    """Closed form: the neighbours are alike, so what is interpolated is 51 grey levels off."""
    frames = np.full((3, 32, 32, 3), 100, np.uint8)
    frames[1] = 151
    assert motion_smoothness(frames) == pytest.approx(1 - 51 / 255, abs=1e-6)


def test_jumps_between_blocks_are_less_smooth() -> None:
    smooth = world.render(SCENE, 49)
    jumping = np.concatenate(
        [world.render(SCENE, 12, first_frame=start) for start in range(0, 80, 20)]
    )
    assert motion_smoothness(jumping) < motion_smoothness(smooth)
    assert motion_smoothness(smooth[::3]) < motion_smoothness(smooth)
    with pytest.raises(UsageError, match="2 frames"):
        motion_smoothness(smooth[:2])


def test_half_way_along_the_flow_beats_the_mean_of_the_neighbours() -> None:
    """A pattern that moves: warping must do better than blending, or it warps the wrong way."""
    rows, columns = np.mgrid[:48, :48]
    frames = np.stack(
        [
            np.repeat(
                (127 + 100 * np.sin((columns + 2 * t) / 5) * np.cos(rows / 6))[..., None], 3, -1
            )
            for t in range(9)
        ]
    ).astype(np.uint8)
    blended = (frames[:-2:2].astype(float) + frames[2::2]) / 2
    plain = 1 - np.abs(frames[1:-1:2] - blended).mean() / 255
    assert 1 - motion_smoothness(frames) < 0.5 * (1 - plain)


def test_a_folders_record(vbench, folder: Path, tmp_path: Path) -> None:
    out = tmp_path / "proxies.json"
    code, said, err = vbench("proxies", folder, "--out", out)
    assert code == 0, err
    assert "tiny proxies" in said
    record = json.loads(out.read_text())
    assert (record["schema"], record["videos"]) == ("proxies/1", 2)
    check_record(record)
    measures = record["measures"]
    assert list(measures) == [proxy.name for proxy in PROXIES]
    assert all(list(m["videos"]) == ["moving.mp4", "still.mp4"] for m in measures.values())
    degrees = measures["dynamic_degree"]["videos"]
    assert degrees["still.mp4"] < 0.3 < degrees["moving.mp4"]
    flicker = measures["temporal_flickering"]["videos"]
    assert flicker["moving.mp4"] == measure_video(folder / "moving.mp4")
    assert measures["prompt_following"]["mean"] == 1
    assert measures["dynamic_degree"]["ci95"] is None  # one prompt has no interval
    assert str(tmp_path) not in out.read_text()


def test_one_implementation_each(folder: Path) -> None:
    from drift.video.decode import open_video

    with open_video(folder / "moving.mp4") as reader:
        frames = np.stack(list(reader.frames()))
    found = {n: m["videos"]["moving.mp4"] for n, m in measure_folder(folder)["measures"].items()}
    assert (found["dynamic_degree"], found["mean_flow"]) == measure_motion(frames)
    assert 0 < found["mean_flow"] < found["dynamic_degree"]
    assert found["prompt_following"] == prompt_following(frames, SCENE.prompt).mean
    assert found["motion_smoothness"] == motion_smoothness(frames)


def test_the_interval_is_over_prompts() -> None:
    values = {proxy.name: {"a": 0.0, "b": 1.0, "c": 0.5, "d": 0.5} for proxy in PROXIES}
    apart = make_record(values, ["p", "q", "r", "s"])["measures"]["dynamic_degree"]["ci95"]
    together = make_record(values, ["p", "p", "r", "r"])["measures"]["dynamic_degree"]["ci95"]
    assert apart[0] < 0.5 < apart[1]
    assert together == [0.5, 0.5]


def test_what_cannot_be_measured_is_one_line(vbench, make_video, folder: Path) -> None:
    code, _, err = vbench("proxies", folder / "nowhere")
    assert (code, err.count("\n")) == (2, 1)
    other = replace(SCENE, colour="red").prompt.replace("square", "cat")
    (folder / "still.json").write_text(json.dumps({"prompt": other}))
    code, _, err = vbench("proxies", folder)
    assert code == 2
    assert "still.mp4" in err
    assert "tiny world" in err
    (folder / "still.json").unlink()
    code, _, err = vbench("proxies", folder)
    assert (code, "hiar sample" in err) == (2, True)
    (folder / "still.mp4").write_bytes(b"no video")
    (folder / "still.json").write_text(json.dumps({"prompt": SCENE.prompt}))
    code, _, err = vbench("proxies", folder)
    assert (code, "still.mp4" in err) == (2, True)
