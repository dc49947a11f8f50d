"""Videos of a high dynamic range, and frame rates that files and sidecars tell differently."""

import json
import shutil

import av
import pandas as pd
import pytest

from drift import score_folder


def write_hdr(path, frames, transfer):
    with av.open(str(path), "w") as container:
        stream = container.add_stream("ffv1", rate=16)
        stream.height, stream.width = frames[0].shape[:2]
        stream.pix_fmt = "yuv444p10le"
        stream.codec_context.color_trc = transfer
        for frame in frames:
            container.mux(stream.encode(av.VideoFrame.from_ndarray(frame, format="rgb24")))
        container.mux(stream.encode())


@pytest.fixture
def mixed(tmp_path, pan):
    folder = tmp_path / "v"
    folder.mkdir()
    for name, transfer in (("hlg", 18), ("pq", 16), ("sdr", 1)):
        write_hdr(folder / f"{name}.mkv", pan("coffee", 12), transfer)
    return folder


def test_hdr_is_left_out_with_its_reason(mixed, tmp_path):
    result = score_folder(mixed, out=tmp_path / "run", progress=None)
    assert [video.path for video in result.videos] == ["sdr.mkv"]
    assert [(row["path"], row["status"]) for row in result.failed] == [
        ("hlg.mkv", "hdr"),
        ("pq.mkv", "hdr"),
    ]
    assert result.failed[0]["reason"].startswith("HLG transfer")
    assert result.failed[1]["reason"].startswith("PQ transfer")


def test_hdr_is_scored_where_allowed_and_left_out_again(mixed, tmp_path, monkeypatch):
    score_folder(mixed, out=tmp_path / "run", progress=None)
    monkeypatch.setattr("drift.run.measure.open_video", None)  # measured already
    allowed = score_folder(mixed, out=tmp_path / "run", allow_hdr=True, progress=None)
    assert len(allowed.videos) == 3
    assert any("HDR (2 videos)" in line for line in allowed.summary["warnings"])
    again = score_folder(mixed, out=tmp_path / "run", progress=None)
    assert [row["status"] for row in again.failed] == ["hdr", "hdr"]


def test_the_command_fails_at_hdr_unless_allowed(mixed, tmp_path, command):
    score = ("score", mixed, "--out", tmp_path / "run", "--workers", 1)
    code, _, error = command(*score)
    assert code == 1
    assert "pq.mkv: hdr: PQ transfer" in error
    assert command(*score, "--allow-hdr")[0] == 0


def test_a_sidecar_with_another_frame_rate_is_told(clips, tmp_path):
    folder = tmp_path / "v"
    folder.mkdir()
    for name, fps in (("a", 24), ("b", 16), ("c", None)):
        shutil.copy(clips / "astronaut.mp4", folder / f"{name}.mp4")
        (folder / f"{name}.json").write_text(json.dumps({"prompt": "x", "fps": fps}))
    result = score_folder(folder, out=tmp_path / "run", progress=None)
    (line,) = [line for line in result.summary["warnings"] if "frame rate than the file" in line]
    assert "(1 video, such as 24 and 16)" in line
    table = pd.read_csv(tmp_path / "run" / "videos.csv")
    assert list(table.fps) == [16, 16, 16]
    assert list(table.sidecar_fps[:2]) == [24, 16]
    assert table.sidecar_fps.isna()[2]
    (folder / "c.json").write_text('{"fps": "many"}')
    result = score_folder(folder, out=tmp_path / "run", progress=None)
    assert any("c.mp4: its sidecar says 'many'" in line for line in result.summary["warnings"])
