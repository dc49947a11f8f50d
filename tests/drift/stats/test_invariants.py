"""What every drift score must obey, from values, from frames and from real files."""

import itertools
import math
from functools import partial

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from drift import score_folder
from drift.metrics.preset import preset_v1
from drift.metrics.registry import FAST, METRICS
from drift.score.score import score_metric, score_video
from drift.stats.slopes import framepack_delta15

pytestmark = pytest.mark.numerics

NUM_FRAMES = 50
SINGLE = ("musiq", "clip_iqa", "saturation", "sharpness")
LINEAR = ("musiq", "clip_iqa", "saturation")
PAIR = ("dino_coherence", "lpips")
values_of = partial(st.lists, min_size=NUM_FRAMES, max_size=NUM_FRAMES)
unit_values = values_of(st.floats(0.0, 1.0))
few = settings(max_examples=40)


def score(name, values, num_frames=NUM_FRAMES):
    return score_metric(values, METRICS[name], preset_v1().term(name), num_frames, 5)


def score_all(values, num_frames=NUM_FRAMES):
    return score_video(
        "v.mp4", "v", values, preset=preset_v1(), num_frames=num_frames, num_segments=5
    )


# From values


@pytest.mark.parametrize("name", METRICS)
@few
@given(value=st.floats(0, 100), pairs=st.booleans())
def test_a_constant_video_has_drift_exactly_0(name, value, pairs):
    part = score(name, [value] * (NUM_FRAMES - pairs))
    assert (part.slope, part.drift, part.drift_floor, part.slope_floor) == (0, 0, 0, 0)
    assert (part.label, part.shape.kind, part.framepack_delta15) == ("steady", "flat", 0)


@pytest.mark.parametrize("name", SINGLE)
@few
@given(values=unit_values)
def test_time_reversal_negates_every_slope_and_keeps_the_drift(name, values):
    forward, back = score(name, values), score(name, values[::-1])
    assert back.slope == pytest.approx(-forward.slope, abs=1e-12)
    assert back.drift == pytest.approx(forward.drift, abs=1e-12)
    assert back.drift_floor == pytest.approx(forward.drift_floor, abs=1e-12)
    assert framepack_delta15(values[::-1]) == pytest.approx(framepack_delta15(values), abs=1e-12)


@few
@given(values=st.lists(st.floats(0, 1), min_size=NUM_FRAMES - 1, max_size=NUM_FRAMES - 1))
def test_time_reversal_of_pairs_is_off_by_the_boundary_pairs_only(values):
    # The pair (9, 10) is of segment 1 forward and, as (39, 40), of segment 4 backward, not 5: each
    # segment mean changes by at most 1/9, where 9 is the least number of pairs in a segment.
    forward, back = score("lpips", values), score("lpips", values[::-1])
    assert back.slope == pytest.approx(-forward.slope, abs=(2 + 1) / 10 * 2 / 9)


@pytest.mark.parametrize("name", LINEAR)
@few
@given(height=st.floats(-1, 1), base=st.floats(-1, 1))
def test_a_ramp_has_its_closed_form(name, height, base):
    # Frame i has base + height i / 50: segment means are height / 5 apart.
    part = score(name, [base + height * i / NUM_FRAMES for i in range(NUM_FRAMES)])
    assert part.slope == pytest.approx(height / 5, abs=1e-12)
    assert part.drift == pytest.approx(min(1, abs(4 / 5 * height) / preset_v1().term(name).scale))
    assert part.shape.curvature == pytest.approx(0, abs=1e-12)


@few
@given(factor=st.floats(1.0, 3.0), start=st.floats(2.0, 1e3))
def test_an_exponential_of_sharpness_has_its_closed_form(factor, start):
    # ln of the variance is a ramp of ln(factor) a segment.
    part = score("sharpness", [start * factor ** (i / 10) for i in range(NUM_FRAMES)])
    assert part.slope == pytest.approx(math.log(factor), abs=1e-9)


@pytest.mark.parametrize(("k", "share"), [(1, 0.2), (2, 0.3), (3, 0.3), (4, 0.2)])
@few
@given(height=st.floats(-1, 1), base=st.floats(0, 1))
def test_a_step_after_k_segments_has_slope_02_03_03_02_of_its_height(k, share, height, base):
    part = score("saturation", [base] * 10 * k + [base + height] * 10 * (5 - k))
    assert part.slope == pytest.approx(share * height, abs=1e-12)
    if abs(height) > 1e-6:
        assert (part.shape.kind, part.shape.step_at) == ("sudden", k)


@pytest.mark.parametrize("name", LINEAR)
@few
@given(values=unit_values, gain=st.floats(-3, 3), offset=st.floats(-5, 5))
def test_offset_leaves_the_slope_and_gain_scales_it(name, values, gain, offset):
    plain, moved = score(name, values), score(name, [gain * v + offset for v in values])
    assert moved.slope == pytest.approx(gain * plain.slope, abs=1e-10)
    assert moved.slope_floor == pytest.approx(abs(gain) * plain.slope_floor, abs=1e-10)


@few
@given(values=values_of(st.floats(2, 1e4)), gain=st.floats(1, 100))
def test_gain_leaves_the_slope_of_sharpness(values, gain):
    moved = score("sharpness", [gain * v for v in values])
    assert moved.slope == pytest.approx(score("sharpness", values).slope, abs=1e-9)


@pytest.mark.parametrize("name", SINGLE)
@few
@given(values=unit_values)
def test_doubled_frames_change_nothing(name, values):
    doubled = score(name, [v for v in values for _ in range(2)], 2 * NUM_FRAMES)
    assert doubled.segment_means == pytest.approx(score(name, values).segment_means, abs=1e-12)


@few
@given(values=values_of(st.floats(0, 1)))
def test_doubled_frames_halve_the_slope_of_pairs_but_for_the_boundaries(values):
    # Pairs of equal frames are 0, and they alternate with the old pairs.
    pairs = values[:-1]
    doubled = [p for v in pairs for p in (0.0, v)] + [0.0]
    once, twice = score("lpips", pairs), score("lpips", doubled, 2 * NUM_FRAMES)
    # Every segment has 20 pairs, ten of them 0; the last has 19 and 9 old ones of the same 9.
    halves = [mean / 2 for mean in once.segment_means[:4]]
    assert twice.segment_means[:4] == pytest.approx(halves, abs=1e-12)
    assert twice.segment_means[4] == pytest.approx(once.segment_means[4] * 9 / 19, abs=1e-12)


@few
@given(values=st.lists(st.floats(0, 1), min_size=10, max_size=10))
def test_five_copies_of_a_clip_do_not_drift(values):
    assert score("musiq", values * 5).slope == 0


@few
@given(values=unit_values, order=st.permutations(range(5)))
def test_permuted_segments_keep_mean_and_floor(values, order):
    pieces = [values[10 * i : 10 * i + 10] for i in order]
    plain, mixed = score("musiq", values), score("musiq", [v for piece in pieces for v in piece])
    assert sorted(mixed.segment_means) == pytest.approx(sorted(plain.segment_means))
    assert mixed.slope_floor == pytest.approx(plain.slope_floor, abs=1e-12)
    assert mixed.drift_floor == pytest.approx(plain.drift_floor, abs=1e-12)


@few
@given(values=unit_values, place=st.integers(0, NUM_FRAMES - 1))
def test_a_glitch_of_one_frame_is_bounded(values, place):
    broken = [*values[:place], 1.0 - values[place], *values[place + 1 :]]
    # One of ten frames moves its segment by at most 0.1, and the slope by at most 0.2 of that.
    change = score("saturation", broken).slope - score("saturation", values).slope
    assert abs(change) <= 0.02 + 1e-12


@few
@given(values=unit_values)
def test_the_score_is_between_its_parts_and_in_0_to_1(values):
    video = score_all(dict.fromkeys(SINGLE, values))
    drifts = [part.drift for part in video.metrics.values()]
    assert 0 <= min(drifts) <= video.score + 1e-12
    assert video.score - 1e-12 <= max(drifts) <= 1


# From frames


def degraded(image, kind, strength, num_frames=25):
    """A still photograph that gets worse: the frames of one degradation, growing linearly."""
    noise = np.random.default_rng(0).normal(size=image.shape)
    frames = []
    for i in range(num_frames):
        amount = strength * i / (num_frames - 1)
        if kind == "blur":
            frame = cv2.GaussianBlur(image, (0, 0), 4 * amount) if amount > 0.02 else image
        elif kind == "noise":
            frame = image + 30 * amount * noise
        else:
            hsv = cv2.cvtColor(image, cv2.COLOR_RGB2HSV).astype(np.float32)
            hsv[..., 1] *= 1 + amount if kind == "saturate" else 1 - amount
            whole = hsv.round().clip(0, 255).astype(np.uint8)
            frame = cv2.cvtColor(whole, cv2.COLOR_HSV2RGB)
        frames.append(np.clip(np.round(frame), 0, 255).astype(np.uint8))
    return frames


SEES = {"blur": "sharpness", "noise": "sharpness", "saturate": "saturation", "fade": "saturation"}
LABELS = {"blur": "blurring", "noise": "sharpening", "saturate": "saturating", "fade": "fading"}
STRENGTHS = (0.0, 0.1, 0.2, 0.4, 0.7, 1.0)


@pytest.mark.parametrize("kind", SEES)
@pytest.mark.parametrize("name", ["astronaut", "chelsea", "coffee", "rocket"])
def test_a_stronger_degradation_never_scores_lower(score_frames, pan, kind, name):
    image = pan(name, 1, 144, 192)[0]
    parts = [score_frames(degraded(image, kind, s), SEES[kind]) for s in STRENGTHS]
    drifts = [part.drift for part in parts]
    # Blur that has removed all detail by the second segment leaves nothing to fall: beyond 0.4
    # the slope may shrink while the drift stays at 1.
    slopes = [abs(part.slope) for part, s in zip(parts, STRENGTHS, strict=True) if s <= 0.4]
    assert drifts[0] == 0
    assert drifts == sorted(drifts)
    assert all(a < b for a, b in itertools.pairwise(slopes))
    assert {part.label for part in parts[1:]} == {LABELS[kind]}
    assert {part.shape.kind for part in parts[1:]} <= {"gradual", "sudden"}


@pytest.mark.parametrize("metric", FAST)
def test_a_flip_leaves_the_fast_metrics_exactly(score_frames, pan, metric):
    frames = pan("coffee", 25)
    flipped = [np.ascontiguousarray(frame[:, ::-1]) for frame in frames]
    assert score_frames(flipped, metric) == score_frames(frames, metric)


# From files; worker count and resume against fresh stand in test_drift_run.py


@pytest.fixture(scope="module")
def doses(make_video, pan, tmp_path_factory):
    """Lossless mp4 files of one photograph, each degraded more than the one before."""
    folder = tmp_path_factory.mktemp("doses")
    image = pan("chelsea", 1, 96, 128)[0]
    for i, strength in enumerate(STRENGTHS):
        for kind in ("blur", "fade"):
            frames = degraded(image, kind, strength)
            make_video(folder / f"{kind}{i}.mp4", frames, "libx264rgb", "rgb24")
    return folder


def test_a_stronger_degradation_never_scores_lower_in_lossless_files(doses, tmp_path):
    result = score_folder(doses, out=tmp_path / "run", progress=None)
    for kind, metric in (("blur", "sharpness"), ("fade", "saturation")):
        videos = [video for video in result.videos if video.path.startswith(kind)]
        drifts = [video.metrics[metric].drift for video in videos]
        assert drifts[0] == 0
        assert drifts == sorted(drifts)
        assert drifts[-1] > 0.5


def test_the_order_of_folders_and_names_changes_no_number(doses, tmp_path):
    """The same files under names that sort the other way, in two folders given either way."""
    for i, source in enumerate(sorted(doses.glob("*.mp4"))):
        folder = tmp_path / ("x" if i % 2 else "y")
        folder.mkdir(exist_ok=True)
        (folder / f"{99 - i}.mp4").write_bytes(source.read_bytes())
    plain = score_folder(doses, out=tmp_path / "a", progress=None)
    for out, folders in (("b", "xy"), ("c", "yx")):
        mixed = score_folder(
            [tmp_path / name for name in folders], out=tmp_path / out, progress=None
        )
        assert mixed.drift_score == plain.drift_score
        for name, entry in plain.summary["metrics"].items():
            other = mixed.summary["metrics"][name]
            for field in ("mean_slope", "mean_abs_slope", "noise_floor", "drift", "segment_means"):
                assert other[field] == entry[field], field
        assert sorted(v.score for v in mixed.videos) == sorted(v.score for v in plain.videos)
