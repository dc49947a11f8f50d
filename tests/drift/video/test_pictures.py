"""Folders of numbered pictures, animations and y4m as videos, and what is wrong with them."""

import json
import shutil
from fractions import Fraction

import av
import numpy as np
import pytest
from PIL import Image

from drift import ScoreConfig, score_folder
from drift.video.content import content_sha256
from drift.video.decode import BrokenVideoError, open_video
from drift.video.kinds import holds_pictures, is_video_file

pytestmark = pytest.mark.numerics


def read(path, rate=None):
    with open_video(path) as reader:
        frames = list(reader.frames(rate))
        return frames, reader.info


def failure(path):
    with pytest.raises(BrokenVideoError) as caught:
        read(path)
    return caught.value.status, caught.value.reason


def write_pictures(folder, frames, name="frame_{:04}.png", first=1, **options):
    folder.mkdir(parents=True, exist_ok=True)
    for index, frame in enumerate(frames, start=first):
        Image.fromarray(frame).save(folder / name.format(index), **options)
    return folder


@pytest.fixture
def pictures(tmp_path, pan):
    return write_pictures(tmp_path / "v" / "coffee", pan("coffee", 12))


def test_pictures_equal_a_lossless_video_bit_for_bit(tmp_path, pan, make_video):
    frames = pan("coffee", 20)
    write_pictures(tmp_path / "pictures" / "coffee", frames)
    make_video(tmp_path / "files" / "coffee.mp4", frames, "libx264rgb", "rgb24")
    np.testing.assert_array_equal(read(tmp_path / "pictures" / "coffee")[0], frames)
    np.testing.assert_array_equal(read(tmp_path / "files" / "coffee.mp4")[0], frames)
    config = ScoreConfig(fps=8)  # of 16 a second, the rate that pictures are assumed to have
    (tmp_path / "pictures" / "coffee.json").write_text('{"fps": 16}')
    for settings in (None, config):
        both = [
            score_folder(
                tmp_path / kind,
                out=tmp_path / "run" / kind,
                config=settings,
                recursive=True,
                progress=None,
            )
            for kind in ("pictures", "files")
        ]
        (of_pictures,), (of_file,) = (result.videos for result in both)
        assert of_pictures.metrics == of_file.metrics
        assert of_pictures.score == of_file.score > 0
        assert (of_pictures.path, of_file.path) == ("coffee", "coffee.mp4")


@pytest.mark.parametrize(
    ("name", "options", "error"),
    [("{}.jpg", {"quality": 95}, 3), ("x{:03}.webp", {"lossless": True}, 0), ("{:02}.PNG", {}, 0)],
)
def test_kinds_of_pictures_in_the_order_of_their_numbers(tmp_path, pan, name, options, error):
    frames = pan("coffee", 12)
    folder = write_pictures(tmp_path, frames, name, first=8, **options)
    decoded, info = read(folder)
    assert np.abs(np.array(decoded, np.int16) - np.array(frames)).mean() <= error
    assert (info.frames, info.width, info.height, info.pix_fmt) == (12, 128, 96, "rgb24")


def test_the_frame_rate_is_the_sidecars_else_the_one_asked_for_else_assumed(pictures):
    info = read(pictures)[1]
    assert (info.fps, info.assumed_fps, info.duration_s) == (16, True, 0.75)
    frames, info = read(pictures, Fraction(24))
    assert (len(frames), info.fps, info.assumed_fps) == (12, 24, False)
    pictures.with_name("coffee.json").write_text('{"fps": 48}')
    frames, info = read(pictures, Fraction(24))
    assert (len(frames), info.fps, info.assumed_fps) == (6, 48, False)


def test_an_assumed_frame_rate_is_said(pictures, tmp_path):
    result = score_folder(pictures, out=tmp_path / "run", progress=None)
    assert any("16 a second is assumed" in line for line in result.summary["warnings"])
    pictures.with_name("coffee.json").write_text('{"fps": 16, "prompt": "a cup"}')
    result = score_folder(pictures, out=tmp_path / "run", progress=None)
    assert not any("assumed" in line for line in result.summary["warnings"])
    assert result.videos[0].cluster == "a cup"


def test_content_is_the_pictures_and_their_rate(pictures, tmp_path):
    before = content_sha256(pictures)
    shutil.copytree(pictures, tmp_path / "other")
    assert content_sha256(tmp_path / "other") == before
    (tmp_path / "other.json").write_text('{"fps": 24}')
    assert content_sha256(tmp_path / "other") != before
    Image.fromarray(np.zeros((96, 128, 3), np.uint8)).save(pictures / "frame_0003.png")
    assert content_sha256(pictures) != before


def test_a_missing_picture_fails_the_video(pictures):
    (pictures / "frame_0005.png").unlink()
    (pictures / "frame_0006.png").unlink()
    status, reason = failure(pictures)
    assert status == "truncated"
    assert reason.startswith("2 missing between frame_0004.png and frame_0007.png")


def cut(folder):
    data = (folder / "frame_0005.png").read_bytes()
    (folder / "frame_0005.png").write_bytes(data[: len(data) // 2])


def flip(folder):
    data = bytearray((folder / "frame_0005.png").read_bytes())
    data[len(data) // 2] ^= 1
    (folder / "frame_0005.png").write_bytes(data)


def resize(folder):
    Image.new("RGB", (64, 64)).save(folder / "frame_0005.png")


@pytest.mark.parametrize(
    ("damage", "words"),
    [
        (cut, "frame_0005.png cannot be read"),
        (flip, "frame_0005.png cannot be read"),
        (lambda folder: (folder / "frame_0005.png").write_bytes(b""), "frame_0005.png cannot be"),
        (resize, "frame_0005.png is 64x64, those before it 128x96"),
        (lambda folder: Image.new("RGB", (9, 9)).save(folder / "cover.png"), "cover.png is not"),
        (lambda folder: Image.new("RGB", (9, 9)).save(folder / "frame_5.png"), "have one number"),
    ],
)
def test_what_is_wrong_with_pictures_fails_the_video(pictures, tmp_path, damage, words):
    damage(pictures)
    result = score_folder(pictures.parent, out=tmp_path / "run", recursive=True, progress=None)
    assert [row["path"] for row in result.failed] == ["coffee"]
    assert result.failed[0]["status"] == "unreadable"
    assert words in result.failed[0]["reason"]
    assert str(tmp_path) not in result.failed[0]["reason"]


def test_a_cut_jpeg_is_no_whole_picture(tmp_path, pan):
    folder = write_pictures(tmp_path / "v", pan("coffee", 12), "{}.jpg")
    data = (folder / "4.jpg").read_bytes()
    (folder / "4.jpg").write_bytes(data[: len(data) * 3 // 4])
    assert failure(folder)[0] == "unreadable"


def test_exr_is_refused_with_its_reason(tmp_path):
    for number in range(12):
        (tmp_path / f"{number}.exr").write_bytes(b"v/1\x01")
    status, reason = failure(tmp_path)
    assert status == "unreadable"
    assert reason.startswith("exr holds light")


def test_depth_alpha_palette_and_rotation_of_pictures(tmp_path):
    ramp = np.arange(256, dtype=np.uint8).reshape(16, 16)
    for number in range(2):
        Image.fromarray(ramp.astype(np.uint16) * 257).save(tmp_path / f"{number}.png")
    assert np.array_equal(read(tmp_path)[0][0], np.repeat(ramp[..., None], 3, axis=2))
    rgba = np.dstack([ramp, ramp.T, 255 - ramp, np.zeros_like(ramp)])
    Image.fromarray(rgba).save(tmp_path / "0.png")
    Image.fromarray(ramp[:, :8]).convert("P").save(tmp_path / "1.png")
    with open_video(tmp_path) as reader:
        np.testing.assert_array_equal(next(reader.frames()), rgba[..., :3])
    turned = Image.fromarray(ramp[:8])
    exif = turned.getexif()
    exif[274] = 6  # orientation: a quarter turn clockwise
    for number in range(2):
        turned.save(tmp_path / f"{number}.png", exif=exif)
    assert np.array_equal(read(tmp_path)[0][1][..., 0], np.rot90(ramp[:8], -1))


def test_which_folders_are_videos(tmp_path, pan):
    folder = write_pictures(tmp_path / "v", pan("coffee", 2))
    assert holds_pictures(folder)
    (folder / "frame_0001.json").write_text("{}")
    (folder / ".DS_Store").write_bytes(b"")
    assert holds_pictures(folder)
    (folder / "whole.mp4").write_bytes(b"")  # its stills lie beside it
    assert not holds_pictures(folder)
    (folder / "whole.mp4").unlink()
    (folder / "frame_0002.png").rename(folder / "cover.png")
    assert not holds_pictures(folder)


def test_several_folders_of_pictures(tmp_path, pan, command):
    for name in ("astronaut", "deep/coffee", "deep/rocket"):
        write_pictures(tmp_path / "v" / name, pan(name.split("/")[-1], 10))
    code, _, error = command("score", tmp_path / "v", "--out", tmp_path / "run")
    assert (code, error.count("\n")) == (2, 1)
    assert "--recursive" in error
    score = ("score", tmp_path / "v", "--recursive", "--workers", 1, "--json")
    code, text, _ = command(*score, "--out", tmp_path / "run")
    assert code == 0
    assert json.loads(text)["scored"] == 3
    code, _, error = command(*score, "--glob", "deep/*", "--out", tmp_path / "one")
    assert code == 0
    assert "[2/2]" in error


def write_animation(path, frames, **options):
    first, *rest = [Image.fromarray(frame) for frame in frames]
    first.save(path, save_all=True, append_images=rest, **options)
    return path


def test_animated_webp_and_avif(tmp_path, pan):
    frames = pan("coffee", 12)
    webp = write_animation(tmp_path / "a.webp", frames, duration=125, lossless=True)
    decoded, info = read(webp)
    np.testing.assert_array_equal(decoded, frames)
    assert (info.codec, info.fps, info.frames, info.duration_s) == ("webp", 8, 12, 1.5)
    assert len(read(webp, Fraction(4))[0]) == 6
    avif = write_animation(tmp_path / "b.avif", frames, duration=125, quality=90)
    decoded, info = read(avif)
    assert np.abs(np.array(decoded, np.int16) - np.array(frames)).mean() < 4
    assert (info.codec, info.fps, info.frames, info.video_streams) == (info.codec, 8, 12, 1)
    Image.fromarray(frames[0]).save(tmp_path / "still.webp")
    Image.fromarray(frames[0]).save(tmp_path / "still.avif")
    result = score_folder(tmp_path, out=tmp_path / "run", progress=None)
    assert [video.path for video in result.videos] == ["a.webp", "b.avif"]
    assert result.summary["passed_over"] == 2


@pytest.mark.parametrize("name", ["x.webp", "x.avif", "x.y4m"])
def test_a_cut_animation_fails(tmp_path, pan, name):
    frames = pan("coffee", 12)
    whole = tmp_path / name
    if name == "x.y4m":
        write_y4m(whole, frames)
    else:
        write_animation(whole, frames)
    data = whole.read_bytes()
    for length in (18, len(data) // 3, len(data) - 300):
        whole.write_bytes(data[:length])
        assert is_video_file(whole)
        assert failure(whole)[0] in {"truncated", "unreadable"}
    whole.write_bytes(b"")
    assert failure(whole)[0] == "empty"


def write_y4m(path, frames):
    with av.open(str(path), "w") as container:
        stream = container.add_stream("rawvideo", rate=16)
        stream.height, stream.width = frames[0].shape[:2]
        stream.pix_fmt = "yuv444p"
        for frame in frames:
            container.mux(stream.encode(av.VideoFrame.from_ndarray(frame, format="rgb24")))
        container.mux(stream.encode())


def test_y4m(tmp_path, pan):
    frames = pan("coffee", 12)
    write_y4m(tmp_path / "x.y4m", frames)
    decoded, info = read(tmp_path / "x.y4m")
    assert np.abs(np.array(decoded, np.int16) - np.array(frames)).max() <= 3
    assert (info.codec, info.fps, info.frames) == ("rawvideo", 16, 12)
