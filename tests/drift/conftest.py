"""Real photographs that ship with scikit-image, panned and zoomed, in memory and encoded."""

import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import av
import cv2
import numpy as np
import pytest
import skimage.data
from h264 import DETERMINISTIC

from drift.cli.main import main
from drift.metrics.preset import preset_v1
from drift.metrics.registry import METRICS
from drift.record.tables import RunData, VideoRow
from drift.score.config import ScoreConfig
from drift.score.score import MetricScore, score_metric

Frame = np.ndarray[Any, np.dtype[np.uint8]]
ROOT = Path(__file__).parents[2]
PHOTOS = ("astronaut", "chelsea", "coffee", "rocket")


def photo(name: str) -> Frame:
    return np.ascontiguousarray(getattr(skimage.data, name)())


def pan_and_zoom(name: str, num_frames: int, height: int = 96, width: int = 128) -> list[Frame]:
    """A camera that moves over a photograph and comes closer."""
    image = photo(name)
    frames = []
    for i in range(num_frames):
        scale = 2.4 - 0.8 * i / num_frames
        crop = image[i : i + int(height * scale), i : i + int(width * scale)]
        frames.append(cv2.resize(crop, (width, height), interpolation=cv2.INTER_AREA))
    return frames


def encode(
    path: Path, frames: Sequence[Frame], codec: str = "libx264", pix_fmt: str = "yuv420p"
) -> Path:
    options = {
        "libx264": DETERMINISTIC | {"crf": "18"},
        "libx264rgb": DETERMINISTIC | {"qp": "0"},  # lossless
        "libx265": {"x265-params": "log-level=none"},
        "libvpx-vp9": {"deadline": "realtime", "cpu-used": "8"},
    }.get(codec, {})
    path.parent.mkdir(parents=True, exist_ok=True)
    muxer = {"movflags": "faststart"} if path.suffix in {".mp4", ".mov"} else {}
    with av.open(str(path), "w", options=muxer) as container:
        stream = container.add_stream(codec, rate=16)
        stream.height, stream.width = frames[0].shape[:2]
        stream.pix_fmt, stream.options = pix_fmt, options
        for frame in frames:
            container.mux(stream.encode(av.VideoFrame.from_ndarray(frame, format="rgb24")))
        container.mux(stream.encode())
    return path


@pytest.fixture(scope="session", autouse=True)
def _fixed_commit() -> Iterator[None]:
    """Runs are compared byte by byte; a commit made meanwhile must not show up as a difference."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("drift.provenance._git_state", lambda: (None, None))
        yield


@pytest.fixture(scope="session")
def clips(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Four clips, three codecs and containers, two prompts; a text file beside them."""
    folder = tmp_path_factory.mktemp("clips")
    kinds = (
        ("astronaut", "libx264", "mp4", "a person"),
        ("chelsea", "libx265", "mkv", "a cat"),
        ("coffee", "libvpx-vp9", "webm", ""),
        ("rocket", "libx264", "mov", "a person"),
    )
    for name, codec, suffix, prompt in kinds:
        encode(folder / f"{name}.{suffix}", pan_and_zoom(name, 32), codec)
        if prompt:
            (folder / f"{name}.json").write_text(json.dumps({"prompt": prompt}))
    (folder / "notes.txt").write_text("no video")
    return folder


@pytest.fixture(scope="session")
def broken(tmp_path_factory: pytest.TempPathFactory, clips: Path) -> Path:
    """One good clip, one of each way to fail, and files that are passed over."""
    folder = tmp_path_factory.mktemp("broken")
    whole = (clips / "astronaut.mp4").read_bytes()
    (folder / "good.mp4").write_bytes(whole)
    (folder / "cut.mp4").write_bytes(whole[: len(whole) * 6 // 10])
    for name in ("chelsea.mkv", "coffee.webm"):
        data = (clips / name).read_bytes()
        (folder / f"cut-{name}").write_bytes(data[: len(data) * 7 // 10])
    (folder / "garbage.mp4").write_bytes(np.random.default_rng(0).bytes(5000))
    (folder / "text.avi").write_text("this is no video\n" * 50)
    (folder / "nothing.mp4").write_bytes(b"")
    encode(folder / "short.mp4", pan_and_zoom("coffee", 9))
    (folder / "readme.txt").write_text("no video")
    (folder / "._good.mp4").write_bytes(b"resource fork")
    return folder


@pytest.fixture(scope="session")
def score_frames() -> Callable[..., MetricScore]:
    """Scores one metric over frames in memory, five segments."""

    def score(frames: Sequence[Frame], metric: str) -> MetricScore:
        values = METRICS[metric].new_metric()(frames)
        term = preset_v1().term(metric)
        return score_metric(values, METRICS[metric], term, len(frames), 5)

    return score


@pytest.fixture(scope="session")
def drift_command() -> Callable[..., subprocess.CompletedProcess[str]]:
    """Runs the real command in a process of its own."""

    def run(*arguments: object) -> subprocess.CompletedProcess[str]:
        path = os.pathsep.join(filter(None, (str(ROOT), os.environ.get("PYTHONPATH"))))
        return subprocess.run(
            [sys.executable, "-m", "drift", *map(str, arguments)],
            capture_output=True,
            text=True,
            check=False,
            timeout=120,
            env={**os.environ, "PYTHONPATH": path},
        )

    return run


@pytest.fixture(scope="session")
def make_video() -> Callable[..., Path]:
    """Encodes frames to a file."""
    return encode


@pytest.fixture(scope="session")
def pan() -> Callable[..., list[Frame]]:
    """Frames of a moving camera over a photograph."""
    return pan_and_zoom


@pytest.fixture(scope="session")
def make_run() -> Callable[..., RunData]:
    """A run in memory from per-frame values, as if measured: path -> metric -> values."""

    def build(
        values: Mapping[str, Mapping[str, Sequence[float]]],
        *,
        prompts: Mapping[str, str] | None = None,
        media: Mapping[str, Any] | None = None,
        **settings: Any,
    ) -> RunData:
        metrics = tuple(next(iter(values.values())))
        rows = []
        for path, series in sorted(values.items()):
            about = {"codec": "h264", "pix_fmt": "yuv420p", "width": 832, "height": 480}
            about |= {"fps": 16.0, "frames": len(series[metrics[-1]]), **(media or {})}
            row = VideoRow(
                path=path,
                prompt=(prompts or {}).get(path, ""),
                status="ok",
                reason="",
                sha256="0" * 64,
                media=about,
                values={name: list(map(float, each)) for name, each in series.items()},
            )
            rows.append(row)
        return RunData(
            config=ScoreConfig(metrics=metrics, **settings),
            rows=tuple(rows),
            passed_over=0,
            warnings=(),
            provenance={"config": {}},
        )

    return build


@pytest.fixture
def command(capsys: pytest.CaptureFixture[str]) -> Callable[..., tuple[int, str, str]]:
    """Runs the command in this process: exit code, stdout, stderr."""

    def run(*arguments: object) -> tuple[int, str, str]:
        try:
            code = main(list(map(str, arguments)))
        except SystemExit as stop:  # argparse
            code = stop.code
        return code, *capsys.readouterr()

    return run
