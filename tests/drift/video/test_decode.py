"""Decoding: real codecs, lossless frames bit by bit, and files that do not hold what they say."""

import itertools
from fractions import Fraction

import av
import numpy as np
import pytest
from h264 import DETERMINISTIC

from drift.video.decode import BrokenVideoError, open_video

pytestmark = pytest.mark.numerics


def read(path):
    with open_video(path) as reader:
        frames = list(reader.frames())
        return frames, reader.info


@pytest.mark.parametrize(
    ("name", "codec"),
    [("astronaut.mp4", "h264"), ("chelsea.mkv", "hevc"), ("coffee.webm", "vp9")],
)
def test_real_codecs(clips, pan, name, codec):
    frames, info = read(clips / name)
    assert (info.codec, info.width, info.height, info.fps) == (codec, 128, 96, 16.0)
    assert info.frames == len(frames) == 32
    assert {(f.shape, f.dtype) for f in frames} == {((96, 128, 3), np.dtype(np.uint8))}
    original = pan(name.split(".")[0], 32)
    error = np.abs(np.array(frames, np.int16) - np.array(original)).mean(axis=(0, 1, 2))
    assert (error < 12).all()  # lossy; red and blue swapped would be off by far more
    swapped = np.abs(np.array(frames, np.int16)[..., ::-1] - np.array(original)).mean()
    assert swapped > 2 * error.mean()


def test_lossless_frames_come_back_bit_by_bit(tmp_path, make_video, pan):
    original = pan("coffee", 12)
    frames, _ = read(make_video(tmp_path / "x.mp4", original, "libx264rgb", "rgb24"))
    np.testing.assert_array_equal(frames, original)


@pytest.mark.parametrize(
    ("name", "status"),
    [
        ("cut.mp4", "truncated"),
        ("cut-chelsea.mkv", "truncated"),
        ("cut-coffee.webm", "truncated"),
        ("garbage.mp4", "unreadable"),
        ("text.avi", "unreadable"),
        ("nothing.mp4", "empty"),
    ],
)
def test_what_is_broken_says_so(broken, name, status):
    with pytest.raises(BrokenVideoError) as caught:
        read(broken / name)
    assert caught.value.status == status
    assert str(broken) not in caught.value.reason


def test_a_lost_mp4_index_is_unreadable(tmp_path, clips):
    whole = (clips / "astronaut.mp4").read_bytes()
    (tmp_path / "x.mp4").write_bytes(whole[:200])
    with pytest.raises(BrokenVideoError) as caught:
        read(tmp_path / "x.mp4")
    assert caught.value.status == "unreadable"


def test_a_cut_gif_is_truncated(tmp_path, make_video, pan):
    whole = make_video(tmp_path / "x.gif", pan("rocket", 12), "gif", "rgb8")
    assert read(whole)[1].frames == 12
    (tmp_path / "cut.gif").write_bytes(whole.read_bytes()[:-200])
    with pytest.raises(BrokenVideoError) as caught:
        read(tmp_path / "cut.gif")
    assert caught.value.status == "truncated"


def test_sound_without_picture_is_unreadable(tmp_path):
    path = tmp_path / "sound.mp4"
    with av.open(str(path), "w") as container:
        stream = container.add_stream("aac", rate=16000, layout="mono")
        frame = av.AudioFrame.from_ndarray(np.zeros((1, 1024), np.float32), "fltp", "mono")
        frame.rate = 16000
        container.mux(stream.encode(frame))
        container.mux(stream.encode())
    with pytest.raises(BrokenVideoError, match="no video stream"):
        read(path)


def test_uneven_times_give_each_frame_once(tmp_path, pan):
    path = tmp_path / "x.mkv"
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=16, options=DETERMINISTIC)
        stream.height, stream.width, stream.pix_fmt = 96, 128, "yuv420p"
        stream.codec_context.time_base = Fraction(1, 1000)
        times = itertools.accumulate(itertools.cycle((40, 90, 65)), initial=0)
        for image, time_ms in zip(pan("coffee", 20), times, strict=False):
            frame = av.VideoFrame.from_ndarray(image, format="rgb24")
            frame.pts, frame.time_base = time_ms, Fraction(1, 1000)
            container.mux(stream.encode(frame))
        container.mux(stream.encode())
    assert read(path)[1].frames == 20


def test_frames_are_not_held(clips):
    with open_video(clips / "astronaut.mp4") as reader:
        frames = reader.frames()
        next(frames)
        assert reader.info.frames < 32  # one pass: the rest is not decoded yet
