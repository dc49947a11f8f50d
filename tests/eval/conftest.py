"""Real mp4 files, small suites, and an isolated environment whose vbench is a fake."""

import json
import os
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
from h264 import DETERMINISTIC

from eval.cli.main import main
from eval.protocol.dimensions import DIMENSIONS

Frames = np.ndarray[Any, np.dtype[np.uint8]]
FAKES = Path(__file__).parent / "fake_vbench"
NAMES = tuple(dimension.name for dimension in DIMENSIONS)


def encode(path: Path, frames: Frames, *, codec: str = "libx264", rate: int = 16) -> Path:
    """Writes frames (T, H, W, 3)."""
    path.parent.mkdir(parents=True, exist_ok=True)
    options = {"movflags": "faststart"} if path.suffix == ".mp4" else {}
    with av.open(str(path), "w", options=options) as container:
        settings = DETERMINISTIC if codec == "libx264" else {}
        stream = container.add_stream(codec, rate=rate, options=settings)
        stream.height, stream.width = frames.shape[1:3]
        stream.pix_fmt = "rgb8" if codec == "gif" else "yuv420p"
        for frame in frames:
            container.mux(stream.encode(av.VideoFrame.from_ndarray(frame, format="rgb24")))
        container.mux(stream.encode())
    return path


def moving_box(num_frames: int = 16, seed: int = 0, size: int = 64) -> Frames:
    """A box that moves over noise; each seed is another video."""
    noise = np.random.default_rng(seed).integers(0, 128, (size, size, 3), dtype=np.uint8)
    frames = np.repeat(noise[None], num_frames, axis=0)
    for t in range(num_frames):
        x = (3 * t + seed) % (size - 16)
        frames[t, 20:36, x : x + 16] = 255
    return frames


@pytest.fixture(scope="session")
def box() -> Callable[..., Frames]:
    return moving_box


@pytest.fixture(scope="session")
def make_video() -> Callable[..., Path]:
    return encode


@pytest.fixture
def make_suite(tmp_path: Path) -> Callable[..., Path]:
    """Writes a suite in upstream's format: prompt -> dimensions."""

    def make(entries: Sequence[tuple[str, Sequence[str]]], name: str = "suite.json") -> Path:
        path = tmp_path / name
        rows = [{"prompt_en": text, "dimension": list(names)} for text, names in entries]
        path.write_text(json.dumps(rows))
        return path

    return make


@pytest.fixture
def make_folder(tmp_path: Path) -> Callable[..., Path]:
    """A complete folder of videos: prompts x samples, each with its own content."""

    def make(prompts: Sequence[str], samples: int = 2, name: str = "videos") -> Path:
        folder = tmp_path / name
        seed = 0
        for prompt in prompts:
            for sample in range(samples):
                seed += 1
                encode(folder / f"{prompt}-{sample}.mp4", moving_box(8, seed))
        return folder

    return make


@pytest.fixture
def fake_environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Path]:
    """An environment whose python is this one and whose vbench does what it is told.

    `python -I` ignores PYTHONPATH, so the interpreter is a script that adds the fakes.
    """
    monkeypatch.setenv("VBENCH_CACHE_DIR", str(tmp_path / "cache" / "vbench"))
    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "cache" / "torch"))
    monkeypatch.setenv("HF_HOME", str(tmp_path / "cache" / "hf"))

    def make(**behaviour: str) -> Path:
        """Behaviour by dimension: see fake_vbench/vbench/__init__.py."""
        folder = tmp_path / "env"
        (folder / "bin").mkdir(parents=True, exist_ok=True)
        site = folder / "lib" / "python3.11" / "site-packages"
        info = site / "vbench-0.1.5.dist-info"
        info.mkdir(parents=True, exist_ok=True)
        (info / "METADATA").write_text("Metadata-Version: 2.1\nName: vbench\nVersion: 0.1.5\n")
        (info / "RECORD").write_text("vbench-0.1.5.dist-info/METADATA,,\n")
        (folder / "pyvenv.cfg").write_text("home = nowhere\n")
        (folder / "behaviour.json").write_text(json.dumps(behaviour))
        starter = folder / "bin" / "start.py"
        starter.write_text(
            "import json, os, runpy, sys\n"
            f"sys.path[:0] = [{str(FAKES)!r}, {str(site)!r}]\n"
            f"os.environ['FAKE_VBENCH'] = {str(folder / 'behaviour.json')!r}\n"
            "sys.argv = sys.argv[1:]\n"
            "runpy.run_path(sys.argv[0], run_name='__main__')\n"
        )
        python = folder / "bin" / "python"
        python.write_text(
            f'#!/bin/sh\nshift 2\nexec "{sys.executable}" -I -S -u "{starter}" "$@"\n'
        )
        python.chmod(0o755)
        return folder

    return make


@pytest.fixture
def put_weights(tmp_path: Path) -> Callable[..., None]:
    """Puts a file of some bytes where a weight belongs."""

    def put(*names: str) -> None:
        from eval.upstream.weights import WEIGHTS, weight_roots

        for name in names:
            weight = WEIGHTS[name]
            path = weight_roots()[weight.root] / weight.path.replace("*", "revision")
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(b"weights")

    return put


@pytest.fixture
def vbench(capsys: pytest.CaptureFixture[str]) -> Callable[..., tuple[int, str, str]]:
    """Runs the command in this process: exit code, stdout, stderr."""

    def run(*arguments: object) -> tuple[int, str, str]:
        try:
            code = main(list(map(str, arguments)))
        except SystemExit as stop:  # argparse
            code = int(stop.code or 0)
        captured = capsys.readouterr()
        return code, captured.out, captured.err

    return run


@pytest.fixture(scope="session")
def real_environment() -> Path:
    """The environment of ``hiar-vbench setup``, from HIAR_VBENCH_TEST_ENV."""
    named = os.environ.get("HIAR_VBENCH_TEST_ENV")
    if not named:
        pytest.skip(
            "NOT RUN: set HIAR_VBENCH_TEST_ENV to an environment that `hiar-vbench setup --long` "
            "made"
        )
    return Path(named)
