import csv
import json
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from matplotlib import image

from drift.errors import UsageError
from hiar.codecs.video import write_mp4
from reports.figures import FIGURES, write_figure
from reports.figures.correlation import pearson_with_interval
from reports.figures.fig4 import fit_line
from reports.figures.frame_grid import build_mosaic, pick_frames
from reports.figures.single_step import measure_sharpening, rise
from reports.records.figure_records import read_dynamics, read_lengths, read_strips
from reports.records.measurements import Measurements
from reports.records.video_records import VideoRecord

PNG = b"\x89PNG"


def write_ramp(path: Path, num_frames: int) -> None:
    """Frame i is flat grey of level 40 + 2 i."""
    frames = (np.full((48, 48, 3), 40 + 2 * index, np.uint8) for index in range(num_frames))
    write_mp4(path, frames, 16, crf=1)


def video(path: Path, num_frames: int, prompt: str = "a $5 red_disc") -> VideoRecord:
    return VideoRecord(
        path=path,
        prompt=prompt,
        prompt_index=0,
        seed=0,
        num_frames=num_frames,
        fps=16.0,
        model={},
    )


def test_frames_are_those_of_their_indices(tmp_path: Path) -> None:
    write_ramp(tmp_path / "v.mp4", 81)
    frames = pick_frames(tmp_path / "v.mp4", [0, 32, 80, 1584])
    levels = [float(frame.mean()) for frame in frames]
    # Past the end the last frame again; h264 at crf 1 and 8-bit YUV cost a level or two.
    assert levels == pytest.approx([40, 104, 200, 200], abs=2.5)


def test_mosaic_keeps_pictures_whole_and_in_place() -> None:
    rows = [[np.full((10, 20, 3), 10 * r + c, np.uint8) for c in range(3)] for r in range(2)]
    mosaic = build_mosaic(rows)
    assert mosaic.shape == (2 * 11, 3 * 21, 3)
    assert mosaic[11, 21, 0] == 11
    assert mosaic[0, 20, 0] == 255


@pytest.fixture
def sampled(tmp_path: Path, measurements: Measurements) -> Measurements:
    """Two runs with a real video each, whose prompt is awkward."""
    write_ramp(tmp_path / "v.mp4", 65)
    runs = [run.name for run in measurements.preset.runs[:2]]
    videos = {run: [video(tmp_path / "v.mp4", 65, "<b> $x$ _y_ 🎈")] for run in runs}
    return replace(measurements, videos=videos)


@pytest.mark.parametrize("name", ["fig1", "fig3"])
def test_frames_over_time_are_drawn_from_real_videos(
    name: str, tmp_path: Path, sampled: Measurements
) -> None:
    drawn = write_figure(FIGURES[name], sampled, tmp_path / "f")
    assert {path.suffix for path in drawn.paths} == {".png", ".pdf", ".md", ".tex", ".json", ".csv"}
    pixels = image.imread(tmp_path / "f" / f"{name}.png")
    assert min(pixels.shape[:2]) > 200
    assert float(pixels[..., :3].min()) < 0.3
    data = json.loads((tmp_path / "f" / f"{name}.json").read_text())
    times = sampled.preset.figures.sheet_times_s
    assert [point["time_s"] for point in data["data"]] == [*times, *times]
    # 4 s x 16 frames/s is frame 64, the last; later times show it again.
    assert [point["frame"] for point in data["data"]][:3] == [0, 64, 64]


def test_fig1_says_which_part_is_missing(tmp_path: Path, sampled: Measurements) -> None:
    drawn = write_figure(FIGURES["fig1"], sampled, tmp_path)
    assert drawn.needs == (
        "videos of a bidirectional model, for (a) bidirectional",
        "videos of a step-first run, for (c) step-first, without training",
    )
    assert "Needs videos of a bidirectional model" in (tmp_path / "fig1.md").read_text()


def test_segment_curves_are_drawn_with_their_numbers(
    tmp_path: Path, measurements: Measurements
) -> None:
    drawn = write_figure(FIGURES["segment_curves"], measurements, tmp_path)
    assert drawn.png is not None
    assert drawn.png.read_bytes().startswith(PNG)
    assert (tmp_path / "segment_curves.pdf").read_bytes().startswith(b"%PDF")
    lines = list(csv.DictReader((tmp_path / "segment_curves.csv").open()))
    assert len(lines) == 4 * 2 * 5  # runs, metrics, segments
    assert [float(line["mean"]) for line in lines[:5]] == [0.1, 0.2, 0.3, 0.4, 0.5]


def lengths_record(**changes: Any) -> dict[str, Any]:
    """Two runs at two lengths, as `drift lengths --out` writes them."""

    def run(name: str, scores: tuple[float, float]) -> dict[str, Any]:
        lengths = [
            {"seconds": seconds, "metrics": {},
             "score": {"value": value, "ci95": [value - 0.01, value + 0.01], "noise_floor": 0.02}}
            for seconds, value in zip((20, 60), scores, strict=True)
        ]  # fmt: skip
        about = {
            "videos": 8,
            "prompts": 8,
            "segments": 5,
            "metrics": ["saturation"],
            "missing_metrics": [],
            "preset": {"name": "v1", "sha256": "0"},
            "provenance": {},
        }
        return {"name": name, "lengths": lengths, **about, **changes.get(name, {})}

    runs = [run("tiny-self-forcing", (0.1, 0.3)), run("tiny-hiar", (0.05, 0.2))]
    bootstrap = {"resamples": 2000, "seed": 0, "level": 0.95, "unit": "prompt"}
    return {"schema": "drift-lengths/1", "seconds": [20, 60], "runs": runs, "bootstrap": bootstrap}


def test_drift_by_length_draws_every_run_and_length(
    tmp_path: Path, measurements: Measurements
) -> None:
    (tmp_path / "lengths.json").write_text(json.dumps(lengths_record()))
    record = read_lengths(tmp_path / "lengths.json")
    given = replace(measurements, lengths=record)
    drawn = write_figure(FIGURES["drift_by_length"], given, tmp_path / "f")
    assert drawn.png is not None
    assert drawn.png.read_bytes().startswith(PNG)
    lines = list(csv.DictReader((tmp_path / "f" / "drift_by_length.csv").open()))
    assert [(line["run"], line["seconds"], line["score"]) for line in lines] == [
        ("tiny-self-forcing", "20.0", "0.1"),
        ("tiny-self-forcing", "60.0", "0.3"),
        ("tiny-hiar", "20.0", "0.05"),
        ("tiny-hiar", "60.0", "0.2"),
    ]
    assert "cut into 5 segments" in drawn.notes[0]


def test_lengths_of_runs_scored_differently_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "lengths.json"
    path.write_text(json.dumps(lengths_record(**{"tiny-hiar": {"segments": 4}})))
    with pytest.raises(UsageError, match="runs differ in videos, segments, metrics, preset"):
        read_lengths(path)


def test_nothing_measured_is_said_and_nothing_drawn(
    tmp_path: Path, measurements: Measurements
) -> None:
    empty = replace(measurements, drifts={}, videos={})
    for name, entry in FIGURES.items():
        drawn = write_figure(entry, empty, tmp_path)
        assert drawn.png is None
        assert drawn.needs
        assert json.loads((tmp_path / f"{name}.json").read_text())["status"] == "not run"
        assert r"\fbox" in (tmp_path / f"{name}.tex").read_text()
    assert not list(tmp_path.glob("*.png")) + list(tmp_path.glob("*.pdf"))


def write_dynamics(path: Path, points: list[tuple[int, float, float]], **changes: Any) -> Path:
    """A record, with a log as `hiar train` writes it beside it."""
    data = {
        "schema": "reports-dynamics/1",
        "scale": "tiny",
        "measure": "Farneback flow",
        "unit": "pixels a frame",
        "training": "tiny, DMD without forward KL",
        "log": "dynamics.jsonl",
        **changes,
    }
    path.write_text(json.dumps(data))
    lines = [
        {"step": s, "bidirectional": b, "causal": c,
         "videos": {"bidirectional": [b, b], "causal": [c, c]}}
        for s, b, c in points
    ]  # fmt: skip
    (path.parent / "dynamics.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    return path


def test_fig4_gives_the_correlation_with_its_interval(
    tmp_path: Path, measurements: Measurements
) -> None:
    points = [(300, 0.3, 0.2), (100, 0.7, 0.6), (200, 0.5, 0.45), (400, 0.1, 0.15)]
    record = read_dynamics(write_dynamics(tmp_path / "d.json", points))
    assert [point.step for point in record.points] == [100, 200, 300, 400]
    assert record.videos == 2
    drawn = write_figure(FIGURES["fig4"], replace(measurements, dynamics=record), tmp_path)
    assert drawn.png is not None
    assert [line["step"] for line in csv.DictReader((tmp_path / "fig4.csv").open())] == [
        "100", "200", "300", "400",
    ]  # fmt: skip


def test_a_line_says_how_soon_motion_could_be_halved() -> None:
    # y = 4 - x / 10 with residuals (1, -2, 1) / 10: slope -0.1, stderr sqrt(0.06 / 1 / 200).
    line = fit_line([0, 10, 20], [4.1, 2.8, 2.1])
    assert (line.start, line.slope) == (pytest.approx(4.0), pytest.approx(-0.1))
    half = 12.7062 * (0.06 / 200) ** 0.5
    assert line.interval == pytest.approx((-0.1 - half, -0.1 + half), rel=1e-4)
    assert "halved after 0 steps, at the earliest" in line.text("causal")
    assert "no fall" in fit_line([0, 10, 20, 30], [1.0, 2.0, 3.0, 4.0]).text("causal")


def test_correlation_is_pearson_s_with_fisher_s_interval() -> None:
    x, y = [1.0, 2.0, 3.0, 4.0, 5.0], [1.0, 3.0, 2.0, 5.0, 4.0]
    found = pearson_with_interval(x, y)
    # By hand: deviations (-2 -1 0 1 2) and (-2 0 -1 2 1): 4 + 0 + 0 + 2 + 2 = 8, over 10.
    assert found.r == pytest.approx(0.8)
    # tanh(atanh(0.8) +- 1.96 / sqrt(2)), with atanh(0.8) = ln(9) / 2 = 1.0986.
    half = 1.959964 / 2**0.5
    assert found.interval == pytest.approx((np.tanh(1.0986123 - half), np.tanh(1.0986123 + half)))
    assert pearson_with_interval([1.0, 1.0, 1.0], [1.0, 2.0, 3.0]).r is None


@pytest.mark.parametrize(
    ("points", "changes", "words"),
    [
        ([(1, 0.5, 0.5)], {}, "steps [1]; a line needs two points or more"),
        ([(1, 0.5, 0.5), (1, 0.4, 0.4)], {}, "steps [1, 1]"),
        (
            [(1, float("nan"), 0.5), (2, 0.4, 0.4)],
            {},
            "line 1.bidirectional is nan",
        ),
        ([], {"schema": "reports-dynamics/2"}, "this version reads 'reports-dynamics/1'"),
    ],
)
def test_a_log_that_cannot_be_drawn_is_refused(
    tmp_path: Path, points: list[tuple[int, float, float]], changes: dict[str, Any], words: str
) -> None:
    path = write_dynamics(tmp_path / "d.json", points, **changes)
    with pytest.raises(UsageError, match=re.escape(words)):
        read_dynamics(path)


def test_a_log_that_a_kill_cut_is_read_up_to_the_cut(tmp_path: Path) -> None:
    path = write_dynamics(tmp_path / "d.json", [(1, 0.5, 0.4), (2, 0.4, 0.4)])
    log = tmp_path / "dynamics.jsonl"
    log.write_text(log.read_text() + '{"step": 3, "bidir')
    assert len(read_dynamics(path).points) == 2
    log.write_text("{cut\n" + log.read_text())
    with pytest.raises(UsageError, match="line 1 is no JSON"):
        read_dynamics(path)


def write_blur(path: Path, sigmas: list[float]) -> None:
    """A picture blurred by a sigma a frame."""
    rng = np.random.default_rng(0)
    noise = rng.integers(0, 255, (48, 48, 3), np.uint8)
    frames = (np.asarray(cv2.GaussianBlur(noise, (0, 0), s), np.uint8) for s in sigmas)
    write_mp4(path, frames, 16, crf=1)


def write_strips(folder: Path, clips: int = 2) -> Path:
    """Clips that keep their blur under bidirectional attention and lose it under causal."""
    items = []
    for index in range(clips):
        write_blur(folder / f"{index}-b.mp4", [2.0] * 16)
        write_blur(folder / f"{index}-c.mp4", list(np.linspace(2.0, 1.0 + 0.1 * index, 16)))
        items.append({"prompt": f"prompt {index} $", "seed": index,
                      "bidirectional": f"{index}-b.mp4", "causal": f"{index}-c.mp4"})  # fmt: skip
    data = {
        "schema": "reports-strips/1",
        "scale": "tiny",
        "timestep": 1000.0,
        "clips": items,
        "provenance": {},
    }
    (folder / "strips.json").write_text(json.dumps(data))
    return folder / "strips.json"


def test_fig5_is_drawn_from_real_clips(tmp_path: Path, measurements: Measurements) -> None:
    record = read_strips(write_strips(tmp_path))
    drawn = write_figure(FIGURES["fig5"], replace(measurements, strips=record), tmp_path / "f")
    assert drawn.png is not None
    lines = list(csv.DictReader((tmp_path / "f/fig5.csv").open()))
    assert [line["attention"] for line in lines] == ["bidirectional"] * 16 + ["causal"] * 16
    causal = [float(line["ln_sharpness"]) for line in lines[16:]]
    assert causal[-1] > causal[0] + 1
    found = measure_sharpening(record)
    assert found.clips == 2
    # Blur falls along the causal clips alone: they rise, the others stay.
    assert found.causal.interval is not None
    assert found.causal.interval[0] > 0.5
    assert found.bidirectional.value == pytest.approx(0, abs=0.05)
    assert found.difference.value == pytest.approx(found.causal.value - found.bidirectional.value)


def test_rise_compares_the_outer_quarters() -> None:
    assert rise([1.0, 1.0, 9.0, 9.0, 9.0, 9.0, 4.0, 6.0]) == 4.0
    assert rise([2.0, 5.0]) == 3.0


def test_a_strip_without_its_clip_is_refused(tmp_path: Path) -> None:
    path = write_strips(tmp_path)
    (tmp_path / "1-c.mp4").unlink()
    with pytest.raises(UsageError, match=r"1-c\.mp4 is not there; copy it beside the record"):
        read_strips(path)
