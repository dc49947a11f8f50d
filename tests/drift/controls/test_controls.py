"""Control videos: what each fault does to a picture or to time, and the folder that is written."""

import hashlib
import json
from fractions import Fraction
from pathlib import Path

import av
import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from drift.controls import orders
from drift.controls.control import DOSED, DOSES, UNDOSED, Control, all_controls
from drift.controls.degradations import BLOCK, DEGRADATIONS, FIRST_BLOCK, MAX_JUMP
from drift.controls.folder import write_controls
from drift.stats.slopes import slope
from drift.video.encode import CODEC, CRF, DETERMINISTIC, PIXEL_FORMAT
from hiar.codecs import video as hiar_video

pytestmark = pytest.mark.numerics

GREY = np.full((16, 24, 3), 100, np.uint8)


def flat(*rgb: int) -> np.ndarray:
    return np.full((16, 24, 3), rgb, np.uint8)


def test_there_are_five_controls_and_ten_degradations_beside_the_untreated_video():
    assert len(UNDOSED) == 1 + 5
    assert len(DOSED) == 10
    assert len(all_controls()) == 6 + 10 * len(DOSES)
    assert len({control.folder for control in all_controls()}) == len(all_controls())


@pytest.mark.parametrize("name", DEGRADATIONS)
def test_no_strength_leaves_a_picture_as_it_is(name, pan):
    frame = pan("coffee", 1)[0]
    assert np.array_equal(DEGRADATIONS[name](frame, 0.0, 0), frame)


@pytest.mark.parametrize("name", sorted(set(DEGRADATIONS) - {"block_jumps"}))
def test_more_strength_leaves_less_of_a_picture(name, pan):
    frame = pan("coffee", 1, 240, 320)[0]
    errors = [
        np.abs(DEGRADATIONS[name](frame, s, 0).astype(int) - frame).mean() for s in (0, 0.3, 0.6, 1)
    ]
    assert errors == sorted(set(errors))


@pytest.mark.parametrize(
    ("name", "before", "after"),
    [
        ("saturation", (100, 100, 100), (100, 100, 100)),
        ("contrast", (100, 100, 150), (84, 84, 164)),  # 127.5 - 1.6 x 27.5 and + 1.6 x 22.5 = 163.5
        ("colour_cast", (100, 100, 100), (130, 100, 70)),
        ("exposure", (100, 60, 200), (200, 120, 255)),
        ("banding", (15, 17, 100), (0, 32, 96)),
        ("blur", (100, 60, 200), (100, 60, 200)),
    ],
)
def test_flat_pictures_in_closed_form(name, before, after):
    # Levels that end in .5 are rounded to the even one.
    assert DEGRADATIONS[name](flat(*before), 1.0, 0)[3, 4].tolist() == list(after)


def test_blocks_jump_at_their_borders_and_nowhere_else():
    levels = [int(DEGRADATIONS["block_jumps"](GREY, 1.0, i)[0, 0, 0]) for i in range(50)]
    jumps = [i for i in range(49) if levels[i] != levels[i + 1]]
    assert jumps == list(range(FIRST_BLOCK - 1, 49, BLOCK))
    assert {abs(levels[i + 1] - levels[i]) for i in jumps} == {MAX_JUMP}


@given(st.integers(10, 300))
def test_orders_show_frames_of_the_video(num_frames):
    for order in (orders.frozen, orders.looped, orders.reversed_, orders.shuffled):
        shown = order(num_frames)
        assert len(shown) == num_frames
        assert set(shown) <= set(range(num_frames))
    assert sorted(orders.shuffled(num_frames)) == list(range(num_frames))
    assert list(orders.reversed_(num_frames)) == list(range(num_frames))[::-1]


def test_the_order_of_shuffled_fifths_has_no_trend():
    assert slope([float(segment) for segment in orders.SEGMENT_ORDER]) == 0


def test_slowing_ends_at_the_speed_that_is_left():
    whole = orders.slowing(400, 1.0)
    assert whole[0] == 0
    assert whole[1] == 1
    assert whole[-1] - whole[-21] <= 1  # at the end it stands
    half = orders.slowing(400, 0.5)
    assert half[-1] - half[-101] == pytest.approx(100 * (0.5 + 0.0625), abs=1)
    assert list(orders.slowing(50, 0.0)) == list(range(50))


def test_a_degradation_grows_linearly():
    frames = [GREY] * 9
    levels = [int(f[0, 0, 0]) for f in Control(name="colour_cast", dose=3).apply(frames)]
    assert levels == pytest.approx([100 + 30 * i / 8 for i in range(9)], abs=0.51)  # rounded


@pytest.fixture(scope="module")
def written(tmp_path_factory, make_video, pan) -> Path:
    folder = tmp_path_factory.mktemp("sources")
    make_video(folder / "a.mp4", pan("coffee", 20, 48, 64))
    (folder / "a.json").write_text(json.dumps({"prompt": "a cup"}))
    make_video(folder / "b.mkv", pan("chelsea", 20, 49, 65), "libx264rgb", "rgb24")  # odd sizes
    return folder


def small() -> tuple[Control, ...]:
    return (Control(name="untreated"), Control(name="frozen"), Control(name="noise", dose=2))


def read(folder: Path) -> dict[str, object]:
    return {str(p.relative_to(folder)): p.read_bytes() for p in sorted(folder.rglob("*.*"))}


def test_what_is_written_and_that_it_is_written_once(written, tmp_path):
    first = write_controls([written], tmp_path / "c", small())
    assert [(one.source, one.num_new) for one in first] == [("a.mp4", 3), ("b.mkv", 3)]
    before = read(tmp_path / "c")
    assert len(before) == 2 * 2 * 3
    about = json.loads((tmp_path / "c" / "noise-2" / "a.json").read_text())
    assert (about["control"], about["dose"], about["source"]) == ("noise", 2, "a.mp4")
    assert (about["prompt"], about["frames"], about["fps"]) == ("a cup", 20, 16)
    again = write_controls([written], tmp_path / "c", small())
    assert [(one.num_new, one.num_kept) for one in again] == [(0, 3), (0, 3)]
    (tmp_path / "c" / "frozen" / "a.json").write_text("{}")  # as after a kill between the two files
    (tmp_path / "c" / "untreated" / "b.mp4").unlink()
    mended = write_controls([written], tmp_path / "c", small(), workers=2)
    assert [one.num_new for one in mended] == [1, 1]
    assert read(tmp_path / "c") == before  # the same bytes, whoever writes them


def test_a_folder_of_pictures_is_a_source_too(tmp_path, pan):
    frames = pan("coffee", 12, 48, 64)
    for i, frame in enumerate(frames):
        path = tmp_path / "v" / "clip" / f"{i:03}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        cv2.imwrite(str(path), frame[..., ::-1])
    (tmp_path / "v" / "clip.json").write_text(json.dumps({"fps": 30000 / 1001}))
    (one,) = write_controls([tmp_path / "v"], tmp_path / "c", small()[:1], recursive=True)
    assert one.num_new == 1
    (sidecar,) = (tmp_path / "c" / "untreated").rglob("*.json")
    digest = hashlib.sha256(b"".join(frame.tobytes() for frame in frames)).hexdigest()
    assert json.loads(sidecar.read_text())["frames_sha256"] == digest
    with av.open(str(sidecar.with_suffix(".mp4"))) as video:
        assert video.streams.video[0].average_rate == Fraction(30000, 1001)


def test_a_sidecar_tells_its_videos_length_and_a_shorter_one_is_another_video(written, tmp_path):
    write_controls([written], tmp_path / "c", small()[:1])
    with av.open(str(tmp_path / "c" / "untreated" / "b.mp4")) as video:
        assert (video.streams.video[0].width, video.streams.video[0].height) == (64, 48)
    shorter = write_controls([written], tmp_path / "c", small()[:1], seconds=0.5)
    assert [one.num_new for one in shorter] == [1, 1]
    about = json.loads((tmp_path / "c" / "untreated" / "a.json").read_text())
    assert about["frames"] == 8


def test_the_encoder_is_that_of_hiar():
    assert hiar_video.DETERMINISTIC == DETERMINISTIC
    assert (hiar_video.CODEC, hiar_video.CRF, hiar_video.PIXEL_FORMAT) == (CODEC, CRF, PIXEL_FORMAT)


def test_a_video_too_short_to_shuffle_is_named_and_serves_other_controls(
    command, make_video, pan, tmp_path
):
    (tmp_path / "v").mkdir()
    make_video(tmp_path / "v" / "short.mp4", pan("coffee", 4, 48, 64))
    place = (tmp_path / "v", "--out", tmp_path / "c", "--workers", 1)
    code, _, said = command("controls", *place)
    assert (code, said.count("\n")) == (2, 1)
    assert "short.mp4: too_short" in said
    assert command("controls", *place, "--only", "blur")[0] == 0


def test_wrong_use_is_one_line(command, written, tmp_path):
    for options in (["--only", "blurr"], ["--seconds", "0"]):
        code, _, said = command("controls", written, "--out", tmp_path / "c", *options)
        assert code == 2
        assert len(said.splitlines()) == 1
    (tmp_path / "v").mkdir()
    (tmp_path / "v" / "bad.mp4").write_bytes(b"nothing that plays")
    code, _, said = command("controls", tmp_path / "v", "--out", tmp_path / "c", "--workers", 1)
    assert code == 2
    assert "bad.mp4" in said
