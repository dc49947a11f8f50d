"""Kinds of video that break decoders: tiny, huge, deep, transparent, turned, and lying names."""

import shutil
from fractions import Fraction

import av
import cv2
import numpy as np
import pytest
from h264 import DETERMINISTIC

from drift import score_folder
from drift.video.decode import BrokenVideoError, open_video

pytestmark = pytest.mark.numerics


def read(path):
    with open_video(path) as reader:
        frames = list(reader.frames())
        return frames, reader.info


def write(path, frames, codec, pix_fmt, source="rgb24"):
    with av.open(str(path), "w") as container:
        stream = container.add_stream(codec, rate=16)
        stream.height, stream.width = frames[0].shape[:2]
        stream.pix_fmt = pix_fmt
        for frame in frames:
            container.mux(stream.encode(av.VideoFrame.from_ndarray(frame, format=source)))
        container.mux(stream.encode())
    return path


def score(folder, out):
    return score_folder(folder, out=out, progress=None)


def test_one_pixel(tmp_path):
    frames = [np.full((1, 1, 3), (5 * i, 100, 30), np.uint8) for i in range(12)]
    path = write(tmp_path / "x.mkv", frames, "ffv1", "bgr0")
    decoded, info = read(path)
    np.testing.assert_array_equal(decoded, frames)
    assert (info.width, info.height) == (1, 1)
    result = score(tmp_path, tmp_path / "run")
    assert result.videos[0].metrics["sharpness"].slope == 0
    assert result.videos[0].metrics["saturation"].drift > 0


def test_three_frames_are_too_short(tmp_path, pan, make_video):
    make_video(tmp_path / "x.mp4", pan("coffee", 3))
    (failed,) = score(tmp_path, tmp_path / "run").failed
    assert (failed["status"], failed["reason"]) == ("too_short", "3 frames; 5 segments need 10")


def test_4k(tmp_path):
    ramp = np.linspace(0, 255, 3840).astype(np.uint8)
    image = np.ascontiguousarray(np.broadcast_to(ramp[None, :, None], (2160, 3840, 3)))
    write(tmp_path / "x.mp4", [image] * 10, "mpeg4", "yuv420p")
    result = score(tmp_path, tmp_path / "run")
    assert result.summary["media"][0] | {"videos": 1} == {
        "codec": "mpeg4", "pix_fmt": "yuv420p", "width": 3840, "height": 2160, "fps": 16.0,
        "frames": 10, "videos": 1,
    }  # fmt: skip
    assert (tmp_path / "run" / "report.html").stat().st_size < 400_000


@pytest.mark.parametrize(
    ("codec", "pix_fmt", "suffix", "error"),
    [
        ("libx265", "yuv420p10le", "mp4", 12),
        ("libsvtav1", "yuv420p10le", "mp4", 12),
        ("prores_ks", "yuv422p10le", "mov", 5),
        ("ffv1", "gbrp10le", "mkv", 1),
    ],
)
def test_ten_bits_are_rounded_to_eight(tmp_path, pan, codec, pix_fmt, suffix, error):
    frames = pan("coffee", 12)
    path = tmp_path / f"x.{suffix}"
    with av.open(str(path), "w") as container:
        stream = container.add_stream(codec, rate=16)
        stream.height, stream.width, stream.pix_fmt = 96, 128, pix_fmt
        if codec == "libx265":
            stream.options = {"x265-params": "log-level=none"}
        for frame in frames:
            container.mux(stream.encode(av.VideoFrame.from_ndarray(frame, format="rgb24")))
        container.mux(stream.encode())
    decoded, info = read(path)
    assert info.pix_fmt == pix_fmt
    assert decoded[0].dtype == np.uint8
    assert np.abs(np.array(decoded, int) - np.array(frames, int)).mean() < error


@pytest.mark.parametrize(
    ("codec", "pix_fmt", "suffix", "source", "error"),
    [
        ("qtrle", "argb", "mov", "rgba", 0),
        ("png", "rgba", "mov", "rgba", 0),
        ("prores_ks", "yuva444p10le", "mov", "rgba", 4),
        ("libvpx-vp9", "yuva420p", "webm", "rgba", 12),
    ],
)
def test_alpha_is_ignored(tmp_path, pan, codec, pix_fmt, suffix, source, error):
    colours = pan("coffee", 12)
    half = np.zeros((96, 128, 1), np.uint8)
    half[:, 64:] = 255  # the left half is wholly transparent
    frames = [np.concatenate([frame, half], axis=2) for frame in colours]
    decoded, _ = read(write(tmp_path / f"x.{suffix}", frames, codec, pix_fmt, source))
    assert len(decoded) == 12
    assert decoded[0].shape == (96, 128, 3)
    right = np.abs(np.array(decoded, int) - np.array(colours, int))[:, :, 64:].mean()
    assert right <= error
    if error < 12:  # a lossy alpha codec may drop colours that nobody sees
        left = np.abs(np.array(decoded, int) - np.array(colours, int))[:, :, :64].mean()
        assert left <= error


def test_portrait(tmp_path, pan, make_video):
    frames = pan("chelsea", 12, height=128, width=96)
    decoded, info = read(make_video(tmp_path / "x.mp4", frames))
    assert (info.width, info.height) == (96, 128)
    assert decoded[0].shape == (128, 96, 3)


def quarter_turn(path):
    """Writes a quarter turn into the matrix of an mp4's track header, as phones do."""
    data = bytearray(path.read_bytes())
    start = data.index(b"tkhd") + 4 + 40  # after version, times, ids, duration, layer, volume
    matrix = (0, 0x10000, 0, -0x10000, 0, 0, 0, 0, 0x40000000)
    data[start : start + 36] = b"".join(v.to_bytes(4, "big", signed=True) for v in matrix)
    path.write_bytes(data)


def test_a_turned_phone_video_stands_upright(tmp_path, pan, make_video):
    frames = pan("chelsea", 12)
    path = make_video(tmp_path / "x.mp4", frames)
    flat, _ = read(path)
    quarter_turn(path)
    turned, info = read(path)
    assert (info.width, info.height) == (96, 128)
    np.testing.assert_array_equal(turned, [np.rot90(frame, -1) for frame in flat])


@pytest.mark.parametrize(("source", "name"), [("coffee.webm", "x.mp4"), ("astronaut.mp4", "x.gif")])
def test_a_wrong_suffix_does_not_matter(clips, tmp_path, source, name):
    shutil.copy(clips / source, tmp_path / name)
    right, wrong = read(clips / source), read(tmp_path / name)
    np.testing.assert_array_equal(right[0], wrong[0])
    assert right[1] == wrong[1]


def test_a_picture_with_the_suffix_of_a_video_is_too_short(tmp_path):
    cv2.imwrite(str(tmp_path / "x.png"), np.zeros((32, 32, 3), np.uint8))
    (tmp_path / "x.png").rename(tmp_path / "x.mp4")
    (failed,) = score(tmp_path, tmp_path / "run").failed
    assert failed["status"] == "too_short"


def test_frames_that_change_size_are_refused(tmp_path, pan):
    """Motion JPEG: every packet says its own size."""
    path = tmp_path / "x.mkv"
    with av.open(str(path), "w") as container:
        stream = container.add_stream("mjpeg", rate=16)
        stream.height, stream.width, stream.pix_fmt = 96, 128, "yuvj420p"
        for index, image in enumerate(pan("coffee", 14)):
            part = image if index < 12 else image[:64, :96]
            done, data = cv2.imencode(".jpg", part[..., ::-1])
            assert done
            packet = av.Packet(data.tobytes())
            packet.stream, packet.pts, packet.dts = stream, index, index
            packet.time_base, packet.is_keyframe = Fraction(1, 16), True
            container.mux(packet)
    with pytest.raises(BrokenVideoError, match="128x96 to 96x64 after 12 frames") as caught:
        read(path)
    assert caught.value.status == "unreadable"


def test_metadata_that_is_no_text_does_not_matter(tmp_path, pan):
    path = tmp_path / "x.mp4"
    with av.open(str(path), "w") as container:
        container.metadata["title"] = "TITLEHERE"
        stream = container.add_stream("libx264", rate=16, options=DETERMINISTIC)
        stream.height, stream.width, stream.pix_fmt = 96, 128, "yuv420p"
        for frame in pan("coffee", 12):
            container.mux(stream.encode(av.VideoFrame.from_ndarray(frame, format="rgb24")))
        container.mux(stream.encode())
    data = path.read_bytes()
    assert data.count(b"TITLEHERE") == 1
    path.write_bytes(data.replace(b"TITLEHERE", b"\xff\xfe\xfd\xff\xfe\xfd\xff\xfe\xfd"))
    assert len(read(path)[0]) == 12


def test_sound_beside_the_picture_does_not_matter(tmp_path, pan):
    path, frames = tmp_path / "x.mkv", pan("coffee", 12)
    with av.open(str(path), "w") as container:
        sound = container.add_stream("pcm_s16le", rate=16000, layout="mono")
        stream = container.add_stream("ffv1", rate=16)
        stream.height, stream.width, stream.pix_fmt = 96, 128, "bgr0"
        tone = av.AudioFrame.from_ndarray(np.zeros((1, 48000), np.int16), "s16", "mono")
        tone.rate = 16000  # three seconds, four times as long as the picture
        container.mux(sound.encode(tone))
        for frame in frames:
            container.mux(stream.encode(av.VideoFrame.from_ndarray(frame, format="rgb24")))
        for each in (sound, stream):
            container.mux(each.encode())
    np.testing.assert_array_equal(read(path)[0], frames)


def two_pictures(path, first, second, *, cover=False):
    """A file with two video streams; the second may be a cover picture."""
    with av.open(str(path), "w") as container:
        streams = []
        for frames in (first, second):
            stream = container.add_stream("png", rate=16)
            stream.height, stream.width = frames[0].shape[:2]
            stream.pix_fmt = "rgb24"
            streams.append(stream)
        if cover:
            streams[1].disposition = av.stream.Disposition.attached_pic
        for stream, frames in zip(streams, (first, second), strict=True):
            for frame in frames:
                container.mux(stream.encode(av.VideoFrame.from_ndarray(frame, format="rgb24")))
            container.mux(stream.encode())


def test_of_several_video_streams_one_is_measured_and_the_report_says_so(tmp_path, pan):
    (tmp_path / "v").mkdir()
    both = {48: pan("chelsea", 12, 48, 64), 96: pan("coffee", 14)}
    two_pictures(tmp_path / "v" / "x.mp4", *both.values())
    frames, info = read(tmp_path / "v" / "x.mp4")
    assert info.video_streams == 2
    np.testing.assert_array_equal(frames, both[info.height])  # FFmpeg chooses; never a mixture
    (warning,) = (
        line
        for line in score(tmp_path / "v", tmp_path / "run").summary["warnings"]
        if "several video streams" in line
    )
    assert "(1 video)" in warning
    assert "several video streams" in (tmp_path / "run" / "report.html").read_text()


def test_a_cover_picture_is_no_second_video(tmp_path, pan):
    path, frames = tmp_path / "x.mp4", pan("coffee", 12)
    two_pictures(path, frames, pan("chelsea", 1), cover=True)
    decoded, info = read(path)
    assert info.video_streams == 1
    np.testing.assert_array_equal(decoded, frames)
