from collections.abc import Iterator
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest

from hiar.codecs.video import write_mp4
from hiar.tiny.world import draw_scene, render

pytestmark = pytest.mark.numerics

Frames = np.ndarray[Any, np.dtype[np.uint8]]


@pytest.fixture(scope="module")
def frames() -> Frames:
    return render(draw_scene(np.random.default_rng(0)), 21)


@pytest.mark.parametrize("fps", [16, 24])
def test_what_is_written_can_be_read(tmp_path: Path, frames: Frames, fps: int) -> None:
    path = tmp_path / "new" / "folder" / "clip.mp4"
    assert write_mp4(path, iter(frames), fps) == 21
    with av.open(str(path)) as container:
        stream = container.streams.video[0]
        assert stream.average_rate == fps
        assert (stream.codec_context.name, stream.codec_context.pix_fmt) == ("h264", "yuv420p")
        decoded = np.stack([f.to_ndarray(format="rgb24") for f in container.decode(stream)])
    assert decoded.shape == frames.shape
    # Levels of 255: H.264 at CRF 12 and half-resolution colour; a swapped channel costs 30.
    assert np.abs(decoded.astype(float) - frames).mean() < 3
    assert [p.name for p in path.parent.iterdir()] == ["clip.mp4"]


@pytest.mark.parametrize("error", [RuntimeError("no more"), KeyboardInterrupt()])
@pytest.mark.parametrize("good_frames", [0, 1, 100])
def test_a_failing_iterator_leaves_nothing(
    tmp_path: Path, frames: Frames, error: BaseException, good_frames: int
) -> None:
    def failing() -> Iterator[Frames]:
        for i in range(good_frames):  # 100 are enough for the coder to have begun the file
            yield frames[i % len(frames)]
        raise error

    with pytest.raises(type(error)):
        write_mp4(tmp_path / "clip.mp4", failing(), 16)
    assert list(tmp_path.iterdir()) == []


def test_a_failure_keeps_the_old_file(tmp_path: Path, frames: Frames) -> None:
    def failing() -> Iterator[Frames]:
        yield frames[0]
        raise RuntimeError

    (tmp_path / "clip.mp4").write_bytes(b"old")
    with pytest.raises(RuntimeError):
        write_mp4(tmp_path / "clip.mp4", failing(), 16)
    assert (tmp_path / "clip.mp4").read_bytes() == b"old"
    assert len(list(tmp_path.iterdir())) == 1
