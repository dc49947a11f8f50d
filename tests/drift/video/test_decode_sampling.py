"""--fps: the frame nearest in time, on closed forms, brute force and files of uneven rate."""

import itertools
from dataclasses import asdict
from fractions import Fraction

import av
import numpy as np
import pytest
from h264 import DETERMINISTIC
from hypothesis import given, settings
from hypothesis import strategies as st

from drift import ScoreConfig, UsageError, score_folder
from drift.record.records import load_record, record_path
from drift.video.decode import open_video
from drift.video.resample import as_rate, nearest_in_time, rate_warnings

pytestmark = pytest.mark.numerics


def even(count, rate):
    return [(Fraction(i) / rate, i) for i in range(count)]


@pytest.mark.parametrize(
    ("source", "target", "expected"),
    [
        (16, 16, list(range(12))),
        (16, 8, [0, 2, 4, 6, 8, 10]),
        (24, 16, [0, 1, 3, 4, 6, 7, 9, 10]),  # 1.5 lies between 1 and 2: the earlier
        (8, 16, [0, 0, 1, 1, 2, 2, 3, 3, 4, 4, 5, 5, 6, 6, 7, 7, 8, 8, 9, 9, 10, 10, 11, 11]),
        (30, 10, [0, 3, 6, 9]),
    ],
)
def test_closed_forms(source, target, expected):
    assert list(nearest_in_time(even(12, source), Fraction(target))) == expected


def test_rounded_times_give_the_same_frames():
    """Matroska rounds to milliseconds: 62.5 ms is 62 or 63."""
    rounded = [(Fraction(round(i * 62.5), 1000), i) for i in range(81)]
    assert list(nearest_in_time(rounded, Fraction(16))) == list(range(81))
    assert list(nearest_in_time(rounded, Fraction(8))) == list(range(0, 81, 2))


def test_ends():
    assert list(nearest_in_time([], Fraction(8))) == []
    assert list(nearest_in_time([(Fraction(3), "x")], Fraction(8))) == ["x"]
    back = [(Fraction(0), "a"), (Fraction(1), "b"), (Fraction(1, 2), "c"), (Fraction(2), "d")]
    assert list(nearest_in_time(back, Fraction(1))) == ["a", "b", "d"]  # c counts as at 1 too


@settings(max_examples=40)
@given(
    st.lists(st.integers(1, 300), min_size=1, max_size=12),
    st.integers(1, 30),
    st.integers(0, 5000),
)
def test_equals_a_search_over_all_frames(gaps_ms, rate, start_ms):
    times = [Fraction(t, 1000) for t in itertools.accumulate(gaps_ms, initial=start_ms)]
    ours = list(nearest_in_time(zip(times, range(len(times)), strict=True), Fraction(rate)))
    end = times[-1] + (times[-1] - times[-2]) / 2
    wanted = (times[0] + Fraction(k, rate) for k in itertools.count())
    brute = [
        min(range(len(times)), key=lambda i: (abs(times[i] - t), i))
        for t in itertools.takewhile(lambda t: t <= end, wanted)
    ]
    assert ours == brute


def test_rates_are_exact():
    assert as_rate(29.97) == Fraction(2997, 100)
    assert as_rate(8.0) == 8


def uneven_video(path, images, gaps_ms):
    with av.open(str(path), "w") as container:
        stream = container.add_stream("ffv1", rate=16)
        stream.height, stream.width = images[0].shape[:2]
        stream.pix_fmt = "bgr0"
        stream.codec_context.time_base = Fraction(1, 1000)
        for image, time_ms in zip(images, itertools.accumulate(gaps_ms, initial=0), strict=False):
            frame = av.VideoFrame.from_ndarray(image, format="rgb24")
            frame.pts, frame.time_base = time_ms, Fraction(1, 1000)
            container.mux(stream.encode(frame))
        container.mux(stream.encode())
    return path


def greys(count):
    return [np.full((16, 16, 3), 10 * i, np.uint8) for i in range(count)]


def read(path, rate=None):
    with open_video(path) as reader:
        levels = [int(frame[0, 0, 0]) // 10 for frame in reader.frames(rate)]
        return levels, reader.info


def test_a_video_of_uneven_rate_is_sampled_by_its_own_times(tmp_path):
    # At 0, 100, 200, 700, 800, 900 ms: frame 2 stands for half a second.
    path = uneven_video(tmp_path / "x.mkv", greys(6), [100, 100, 500, 100, 100])
    every, info = read(path)
    assert every == [0, 1, 2, 3, 4, 5]
    assert info.variable_fps
    sampled, info = read(path, Fraction(10))
    assert sampled == [0, 1, 2, 2, 2, 3, 3, 3, 4, 5]  # 500 ms is nearer to 700 than to 200
    assert info.frames == 10


def test_an_even_video_is_not_called_uneven(clips):
    for name in ("astronaut.mp4", "chelsea.mkv", "coffee.webm", "rocket.mov"):
        with open_video(clips / name) as reader:
            assert sum(1 for _ in reader.frames()) == 32
            assert not reader.info.variable_fps
            assert reader.info.duration_s == pytest.approx(2, abs=0.01)


@pytest.mark.parametrize("name", ["astronaut.mp4", "chelsea.mkv", "coffee.webm", "rocket.mov"])
def test_half_the_rate_is_every_second_frame(clips, name):
    with open_video(clips / name) as reader:
        every = list(reader.frames())
    with open_video(clips / name) as reader:
        half = list(reader.frames(Fraction(8)))
    np.testing.assert_array_equal(half, every[::2])


def leap(path, frames, seconds):
    """A video whose last frame comes `seconds` after the one before."""
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=16, options=DETERMINISTIC)
        stream.height, stream.width, stream.pix_fmt = 96, 128, "yuv420p"
        stream.codec_context.time_base = Fraction(1, 16)
        for index, image in enumerate(frames):
            frame = av.VideoFrame.from_ndarray(image, format="rgb24")
            last = index == len(frames) - 1
            frame.pts, frame.time_base = index + last * (16 * seconds - 1), Fraction(1, 16)
            container.mux(stream.encode(frame))
        container.mux(stream.encode())
    return path


def test_a_jump_in_time_is_named_not_filled_with_copies(tmp_path, pan):
    (tmp_path / "v").mkdir()
    frames = pan("coffee", 20)
    leap(tmp_path / "v" / "hour.mkv", frames, 3600)
    leap(tmp_path / "v" / "pause.mkv", frames, 10)
    result = score_folder(
        tmp_path / "v", out=tmp_path / "run", config=ScoreConfig(fps=16), progress=None
    )
    (failed,) = result.failed
    assert (failed["path"], failed["status"]) == ("hour.mkv", "unreadable")
    assert "time jumps from 1.12 s to 3601.12 s" in failed["reason"]
    assert "before frame 20" in failed["reason"]
    assert "--fps" in failed["reason"]
    with open_video(tmp_path / "v" / "hour.mkv") as reader:
        assert len(list(reader.frames())) == 20  # without a rate every frame counts once


def test_the_rate_stands_in_settings_and_records(clips, tmp_path):
    config = ScoreConfig(metrics=("saturation",), fps=8)
    result = score_folder(clips, out=tmp_path, glob="*.mp4", config=config, progress=None)
    assert result.summary["provenance"]["config"]["fps"] == 8
    assert result.summary["media"][0]["frames"] == 16
    (record,) = (tmp_path / "records").iterdir()
    sha256 = record.name[:64]
    assert record == record_path(tmp_path, sha256, 8)
    assert load_record(tmp_path, sha256) is None  # every frame: not measured yet
    kept = load_record(tmp_path, sha256, 8.0)
    assert kept is not None
    assert len(kept.values["saturation"]) == 16


def test_rates_do_not_mix_in_one_run_folder(clips, tmp_path):
    def score(**settings):
        config = ScoreConfig(**settings)
        return score_folder(clips, out=tmp_path, glob="*.mp4", config=config, progress=None).videos

    every = score(metrics=("saturation",))
    score(metrics=("sharpness",), fps=8)
    again = score(metrics=("saturation", "sharpness"))
    assert asdict(every[0])["metrics"]["saturation"] == asdict(again[0])["metrics"]["saturation"]
    assert len(list((tmp_path / "records").iterdir())) == 2


def test_mixed_and_uneven_rates_are_warned_about(tmp_path, pan, make_video):
    make_video(tmp_path / "v" / "a.mp4", pan("coffee", 20))
    uneven_video(tmp_path / "v" / "b.mkv", greys(20), itertools.cycle((40, 200)))
    plain = score_folder(tmp_path / "v", out=tmp_path / "run", progress=None).summary["warnings"]
    assert any(line.startswith("mixed frame rates") for line in plain)
    assert any("unequal times (1 video)" in line for line in plain)
    config = ScoreConfig(fps=12)
    sampled = score_folder(tmp_path / "v", out=tmp_path / "run", config=config, progress=None)
    assert not any("mixed frame rates" in line for line in sampled.summary["warnings"])
    slow = "fewer than 12 frames a second (1 video): frames are repeated"
    assert any(line.startswith(slow) for line in sampled.summary["warnings"])


def test_warnings_count_videos():
    assert rate_warnings([{"fps": 16.0}, {"fps": None}], None) == []
    assert rate_warnings([{"fps": 16.0}], 16) == []
    assert "(2 videos)" in rate_warnings([{"fps": 8.0}, {"fps": 8.0}, {"fps": 30.0}], 16)[0]


@pytest.mark.parametrize("fps", [0, -1, float("nan"), float("inf"), 1e9])
def test_an_impossible_rate_is_refused(fps):
    with pytest.raises(UsageError, match="fps is"):
        ScoreConfig(fps=fps)
