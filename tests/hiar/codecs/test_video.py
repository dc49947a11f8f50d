import hashlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
import skimage.data

from hiar.codecs.video import DETERMINISTIC, X264_PARAMS, open_mp4, write_mp4
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


def panned(height: int, width: int, num_frames: int) -> list[Frames]:
    """A camera that moves over a photograph of 800 x 1200 px."""
    image = skimage.data.coffee().repeat(2, axis=0).repeat(2, axis=1)
    return [image[i : i + height, 2 * i : 2 * i + width] for i in range(num_frames)]


def churn(rng: np.random.Generator) -> list[bytearray]:
    """Memory of many sizes, written over: what is allocated next is not as clean as at first."""
    sizes = rng.integers(100, 1_000_000, rng.integers(1, 30))
    return [bytearray([rng.integers(256)]) * int(size) for size in sizes]


def decoded_sha256(path: Path) -> str:
    digest = hashlib.sha256()
    with av.open(str(path)) as container:
        for frame in container.decode(video=0):
            digest.update(frame.to_ndarray(format="yuv420p").tobytes())
    return digest.hexdigest()


@pytest.mark.parametrize(
    ("height", "width", "times"),
    [
        (32, 32, 40),
        (48, 48, 40),
        (96, 160, 40),
        pytest.param(240, 416, 40, marks=pytest.mark.slow),
        pytest.param(480, 832, 12, marks=pytest.mark.slow),
    ],
)
def test_equal_frames_make_equal_files(tmp_path: Path, height: int, width: int, times: int) -> None:
    """With x264's own settings, AVX-512 makes 26 files of 40 at 32 x 32 and 7 at 96 x 160."""
    rng = np.random.default_rng(0)
    tiny = list(render(draw_scene(rng), 20))
    frames = tiny if tiny[0].shape[:2] == (height, width) else panned(height, width, 20)
    files, pictures = set(), set()
    for _ in range(times):
        kept = churn(rng)
        write_mp4(tmp_path / "clip.mp4", frames, 16)
        del kept
        files.add((tmp_path / "clip.mp4").read_bytes())
        pictures.add(decoded_sha256(tmp_path / "clip.mp4"))
    assert (len(files), len(pictures)) == (1, 1)


def test_the_file_does_not_depend_on_the_instruction_set(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """x264 without any vector instruction makes the file that it makes with all it finds."""
    frames = panned(96, 160, 20)
    write_mp4(tmp_path / "all.mp4", frames, 16)
    monkeypatch.setitem(DETERMINISTIC, "x264-params", f"{X264_PARAMS}:asm=0")
    write_mp4(tmp_path / "none.mp4", frames, 16)
    assert (tmp_path / "none.mp4").read_bytes() == (tmp_path / "all.mp4").read_bytes()


def test_the_hash_is_that_of_the_frames_in_a_row(tmp_path: Path, frames: Frames) -> None:
    with open_mp4(tmp_path / "clip.mp4", 16) as writer:
        writer.write(frames[:8])
        writer.write(frames[:, :, ::-1][8:])  # not contiguous in memory
    expected = frames[:8].tobytes() + frames[8:, :, ::-1].tobytes()
    assert writer.frames_sha256 == hashlib.sha256(expected).hexdigest()
