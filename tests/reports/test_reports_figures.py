from dataclasses import replace
from pathlib import Path

import av
import numpy as np
import pytest
from matplotlib import image

from reports.figures import FIGURES
from reports.figures.contact_sheet import build_mosaic, pick_frames
from reports.measurements import Measurements
from reports.records import VideoRecord

PNG = b"\x89PNG"


def write_ramp(path: Path, num_frames: int) -> None:
    """Frame i is flat grey of level 40 + 2 i."""
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=16, options={"crf": "1"})
        stream.width, stream.height, stream.pix_fmt = 48, 48, "yuv420p"
        for index in range(num_frames):
            frame = np.full((48, 48, 3), 40 + 2 * index, np.uint8)
            container.mux(stream.encode(av.VideoFrame.from_ndarray(frame, format="rgb24")))
        container.mux(stream.encode())


def video(path: Path, num_frames: int, prompt: str = "a $5 red_disc") -> VideoRecord:
    return VideoRecord(
        path=path,
        prompt=prompt,
        prompt_index=0,
        seed=0,
        num_frames=num_frames,
        fps=16.0,
        model={},
    )


def test_frames_are_those_of_their_times(tmp_path: Path) -> None:
    write_ramp(tmp_path / "v.mp4", 81)
    frames = pick_frames(video(tmp_path / "v.mp4", 81), [0.0, 2.0, 5.0, 99.0])
    levels = [float(frame.mean()) for frame in frames]
    # Frames 0, 32, 80 and, past the end, 80 again; h264 at crf 1 and 8-bit YUV cost a level or two.
    assert levels == pytest.approx([40, 104, 200, 200], abs=2.5)


def test_mosaic_keeps_pictures_whole_and_in_place() -> None:
    rows = [[np.full((10, 20, 3), 10 * r + c, np.uint8) for c in range(3)] for r in range(2)]
    mosaic = build_mosaic(rows)
    assert mosaic.shape == (2 * 11, 3 * 21, 3)
    assert mosaic[11, 21, 0] == 11
    assert mosaic[0, 20, 0] == 255


def test_contact_sheet_is_drawn_from_real_videos(
    tmp_path: Path, measurements: Measurements
) -> None:
    write_ramp(tmp_path / "v.mp4", 65)
    runs = [run.name for run in measurements.preset.runs[:2]]
    videos = {run: [video(tmp_path / "v.mp4", 65, "<b> $x$ _y_ 🎈")] for run in runs}
    paths = FIGURES["contact_sheet"].draw(replace(measurements, videos=videos), tmp_path / "f")
    assert [path.name for path in paths] == ["contact_sheet.png", "contact_sheet.pdf"]
    pixels = image.imread(paths[0])
    assert min(pixels.shape[:2]) > 300
    assert float(pixels[..., :3].min()) < 0.3


def test_segment_curves_are_drawn(tmp_path: Path, measurements: Measurements) -> None:
    png, pdf = FIGURES["segment_curves"].draw(measurements, tmp_path)
    assert png.read_bytes().startswith(PNG)
    assert pdf.read_bytes().startswith(b"%PDF")


def test_no_runs_no_figures(tmp_path: Path, measurements: Measurements) -> None:
    empty = replace(measurements, drifts={}, videos={})
    assert [figure.draw(empty, tmp_path) for figure in FIGURES.values()] == [[], []]
