"""`drift validate` on photographs under a moving camera: what must be seen, and what cannot be."""

import json

import pytest
from record_schema import check_record

from drift.controls.control import UNDOSED

pytestmark = [pytest.mark.numerics, pytest.mark.slow]

NUM_FRAMES = 45  # four borders of blocks


@pytest.fixture(scope="module")
def sources(tmp_path_factory, make_video, pan):
    folder = tmp_path_factory.mktemp("real")
    for name in ("coffee", "chelsea"):
        make_video(folder / f"{name}.mp4", pan(name, NUM_FRAMES, 96, 128))
    return folder


@pytest.fixture(scope="module")
def work(sources, tmp_path_factory):
    """Controls, run and record of one validation."""
    from drift.cli.main import main

    work = tmp_path_factory.mktemp("work")
    arguments = ["validate", str(sources), "--work", str(work), "--workers", "2"]
    assert main([*arguments, "--out", str(work / "v.json"), "--figure", str(work / "v.png")]) == 0
    return work


@pytest.fixture(scope="module")
def record(work):
    return json.loads((work / "v.json").read_text())


@pytest.mark.parametrize(
    ("metric", "degradation", "sign"),
    [
        ("saturation", "saturation", 1),
        ("sharpness", "blur", -1),
        ("sharpness", "noise", 1),
        ("brightness", "exposure", 1),
        ("contrast", "contrast", 1),
        ("clipped", "exposure", 1),
        ("difference", "noise", 1),
        ("difference", "frozen_motion", -1),
        ("seams", "block_jumps", 1),
    ],
)
def test_a_metric_sees_what_it_is_made_for(record, metric, degradation, sign):
    column = record["columns"][metric]
    sight = column["degradations"][degradation]
    # Blurs shrink with the picture: the smallest doses on pictures of 96 lines are lost in the
    # noise of the coder, and so may two of the twelve pairs of doses be.
    assert sight["accuracy"] >= 10 / 12
    assert sign * sight["effects"][-1] > max(0, sign * sight["effects"][0])
    assert degradation not in column["blind_to"]


def test_what_no_metric_of_light_can_see(record):
    for metric in ("saturation", "brightness", "contrast", "clipped"):
        assert "frozen_motion" in record["columns"][metric]["blind_to"]
    assert "saturation" in record["columns"]["brightness"]["blind_to"]


def test_a_frozen_video_reads_no_drift_and_is_marked(record):
    assert record["frozen"]["frozen"] == 2
    assert not {"untreated", "looped", "reversed", "slow_pan"} & set(record["frozen"])
    drifts = record["columns"]["score"]["controls"]
    assert drifts["frozen"] < 0.05 < drifts["untreated"]


def test_reversing_keeps_the_size_of_a_drift_and_shuffling_loses_it(record):
    for name in ("saturation", "brightness"):
        drifts = record["columns"][name]["controls"]
        # The fifths of a reversed video are cut one frame apart; the coder adds a little too.
        assert drifts["reversed"] == pytest.approx(drifts["untreated"], abs=0.05)
    assert set(record["columns"]["score"]["controls"]) == set(UNDOSED)


def test_the_picture_is_there_and_a_second_call_decodes_nothing(work, record, command):
    assert (work / "v.png").read_bytes().startswith(b"\x89PNG")
    code, out, said = command("validate", work / "controls", "--work", work, "--json")
    assert code == 0
    assert json.loads(out)["columns"] == record["columns"]
    check_record(record)
    assert said.count("kept from before") == 72


def test_a_missing_control_is_named(work, command):
    lost = work / "controls" / "blur-2" / "coffee.mp4"
    kept = lost.read_bytes()
    lost.unlink()
    code, _, said = command("validate", work / "controls", "--work", work)
    lost.write_bytes(kept)
    assert code == 2
    assert "blur-2" in said
    assert "coffee.mp4" in said.splitlines()[-1]


def test_a_folder_of_other_videos_is_no_folder_of_controls(tmp_path, make_video, pan, command):
    make_video(tmp_path / "v" / "untreated" / "a.mp4", pan("coffee", 12, 48, 64))
    code, _, said = command("validate", tmp_path / "v", "--work", tmp_path / "w")
    assert (code, len(said.splitlines())) == (2, 1)
