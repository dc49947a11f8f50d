"""Thumbnails: right frames from one pass, small, bounded, and kept with the record."""

import base64

import cv2
import numpy as np
import pytest

from drift import score_folder
from drift.record.records import load_record
from drift.video.thumbnails import GAP_PX, MAX_HELD, Filmstrip, shrink, shrunk_size, strip_size

pytestmark = pytest.mark.numerics


def numbered(count):
    """Frames whose only pixel value is their number."""
    for index in range(count):
        yield np.full((9, 16, 3), index % 256, np.uint8) + np.uint8(0)


def chosen(count):
    strip = Filmstrip()
    for frame in numbered(count):
        strip.add(frame)
    return [int(frame[0, 0, 0]) for frame in strip.frames()]


@pytest.mark.parametrize("count", [*range(1, 40), 63, 64, 65, 81, 127, 200, 256])
def test_first_middle_and_last(count):
    first, middle, last = chosen(count)
    assert (first, last) == (0, count - 1)
    assert abs(middle - (count - 1) / 2) <= max(0.5, count / 32)


def test_memory_does_not_depend_on_the_length():
    strip = Filmstrip()
    for frame in numbered(5000):
        strip.add(frame)
        assert len(strip._held) <= MAX_HELD


def test_no_frame_gives_no_picture():
    assert Filmstrip().encode() == b""


@pytest.mark.parametrize(
    ("width", "height", "small"),
    [
        (832, 480, (156, 90)),
        (480, 832, (52, 90)),
        (3840, 2160, (160, 90)),
        (1, 1, (1, 1)),
        (100, 50, (100, 50)),
        (5000, 1, (160, 1)),
    ],
)
def test_sizes(width, height, small):
    assert shrunk_size(width, height) == small
    assert shrink(np.zeros((height, width, 3), np.uint8)).shape == (small[1], small[0], 3)
    assert strip_size(width, height) == (3 * small[0] + 2 * GAP_PX, small[1])


def test_the_picture_shows_the_frames_in_their_colours(pan):
    strip, frames = Filmstrip(), pan("coffee", 21, 240, 416)
    for frame in frames:
        strip.add(frame)
    data = strip.encode()
    assert len(data) < 12_000
    image = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR)[..., ::-1]
    width, height = strip_size(416, 240)
    assert image.shape == (height, width, 3)
    step = shrunk_size(416, 240)[0] + GAP_PX
    for place, index in enumerate((0, 10, 20)):
        part = image[:, place * step : place * step + step - GAP_PX].astype(int)
        small = shrink(frames[index]).astype(int)
        assert np.abs(part - small).mean() < 8
        assert np.abs(part[..., ::-1] - small).mean() > 16  # red and blue not swapped


def test_a_record_holds_them(clips, tmp_path):
    result = score_folder(clips, out=tmp_path, glob="astronaut*", progress=None)
    (path,) = (tmp_path / "records").iterdir()
    record = load_record(tmp_path, path.stem)
    assert record is not None
    assert base64.b64decode(record.thumbnails)[8:12] == b"WEBP"
    assert record.thumbnails in (result.out / "report.html").read_text()
