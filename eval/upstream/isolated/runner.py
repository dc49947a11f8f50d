"""Runs inside the isolated environment, which has upstream's vbench and nothing of this toolkit.

    python -I runner.py REQUEST ANSWER

Both are JSON files. Libraries print to stdout, so nothing is read from there. The ANSWER exists
only if the action came to its end.
"""

import importlib
import importlib.metadata
import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

Request = dict[str, Any]
H264_OPTIONS = {"threads": "4", "x264-params": "cpu-independent=1"}
"""With these, x264 makes equal files of equal frames, whatever the machine; the same as in
hiar/codecs/video.py, which this environment does not have."""


def main(request_path: str, answer_path: str) -> None:
    """Performs the action of the request; the answer is written to a temporary name first."""
    request = json.loads(Path(request_path).read_text(encoding="utf-8"))
    answer = ACTIONS[request["action"]](request)
    part = Path(answer_path + ".part")
    part.write_text(json.dumps(answer), encoding="utf-8")
    part.replace(answer_path)


def inspect_environment(request: Request) -> dict[str, Any]:
    """Installed packages, packages that lack files, modules that do not import, and devices."""
    forbid_wget()
    packages, broken, failures = {}, {}, {}
    for distribution in importlib.metadata.distributions():
        if reason := find_damage(distribution):
            folder = Path(getattr(distribution, "_path", "unknown"))  # there is no public attribute
            broken[folder.name] = reason
        else:
            packages[distribution.metadata["Name"]] = distribution.version
    for module in request["modules"]:
        try:
            if module.startswith("vbench2_beta_long"):
                provide_write_video()
            importlib.import_module(module)
        except BaseException as error:  # SystemExit too: whatever it is, the module is unusable
            failures[module] = f"{type(error).__name__}: {error}".splitlines()[0]
    return {
        "python": ".".join(map(str, sys.version_info[:3])),
        "packages": packages,
        "broken": broken,
        "failures": failures,
        "cuda_devices": count_cuda_devices() if request["modules"] else 0,
    }


def find_damage(distribution: importlib.metadata.Distribution) -> str:
    """The first installed file that is missing or cut short; empty if all are whole."""
    files = distribution.files
    if files is None or distribution.metadata["Name"] is None:
        return "its metadata is incomplete"  # pip was interrupted
    for file in files:
        # The .dist-info of decord 0.6.0 differs from its own list; bytecode may be made again.
        if file.suffix == ".pyc" or ".dist-info" in file.parts[0]:
            continue
        try:
            num_bytes = Path(str(distribution.locate_file(file))).stat().st_size
        except OSError:
            return f"{file} is missing"
        if file.size is not None and num_bytes < file.size:
            return f"{file} has {num_bytes} of {file.size} bytes"
    return ""


def forbid_wget() -> None:
    """Keeps imports from downloading: upstream's ViCLIP calls wget while it is imported."""
    run = subprocess.run

    def checked(command: Any, *args: Any, **kwargs: Any) -> Any:
        if command[0] == "wget":
            return subprocess.CompletedProcess(command, 0)
        return run(command, *args, **kwargs)

    setattr(subprocess, "run", checked)  # noqa: B010  (mypy forbids the plain assignment)


def count_cuda_devices() -> int:
    """Devices that torch sees, 0 if there is no torch."""
    try:
        return int(importlib.import_module("torch").cuda.device_count())
    except Exception as error:  # a broken driver must not hide the rest of the inspection
        sys.stderr.write(f"no CUDA: {error}\n")
        return 0


def evaluate(request: Request) -> Any:
    """Measures one dimension with upstream's own code.

    Returns:
        The dimension's entry in upstream's result file, [aggregate, per video, ...].
    """
    dimension, name = request["dimension"], "upstream"
    make_benchmark(request).evaluate(
        videos_path=request["videos"],
        name=name,
        dimension_list=[dimension],
        local=request["local"],
        read_frame=False,
        mode=request["mode"],
        **request["options"],
    )
    result = Path(request["work"]) / f"{name}_eval_results.json"
    return json.loads(result.read_text(encoding="utf-8"))[dimension]


def split(request: Request) -> list[str]:
    """Cuts long videos into clips, once for all dimensions."""
    make_benchmark(request).preprocess(request["videos"], request["mode"], **request["options"])
    return sorted(os.listdir(Path(request["videos"]) / "split_clip"))  # noqa: PTH208


def make_benchmark(request: Request) -> Any:
    """Upstream's VBench or VBenchLong on the requested device."""
    list_files_first()
    if request["long"]:
        provide_write_video()
        benchmark = importlib.import_module("vbench2_beta_long").VBenchLong
    else:
        benchmark = importlib.import_module("vbench").VBench
    device = importlib.import_module("torch").device(request["device"])
    return benchmark(device, request["suite"], request["work"])


def list_files_first() -> None:
    """Makes os.listdir return files before folders, in name order.

    VBench-Long takes the suffix of all videos from the first entry of a folder in which it has
    just made folders of its own; with one of these first, it finds no video. VBench takes own
    videos in the order in which the disk lists them, which decides the last bit of a mean.
    """
    listdir = os.listdir

    def ordered(path: str = ".") -> list[str]:
        folder = Path(path)
        return sorted(listdir(path), key=lambda name: ((folder / name).is_dir(), name))

    setattr(os, "listdir", ordered)  # noqa: B010  (mypy forbids the plain assignment)


def provide_write_video() -> None:
    """Gives torchvision.io the write_video that VBench-Long imports and new releases lack."""
    torchvision_io = importlib.import_module("torchvision.io")
    if not hasattr(torchvision_io, "write_video"):
        torchvision_io.write_video = write_video  # type: ignore[attr-defined]


def write_video(
    filename: str,
    video_array: Any,
    fps: float,
    video_codec: str = "libx264",
    options: dict[str, str] | None = None,
) -> None:
    """Encodes frames (T, H, W, 3), 0..255, at a whole frame rate, yuv420p."""
    av = importlib.import_module("av")
    frames = importlib.import_module("numpy").asarray(video_array).astype("uint8")
    with av.open(filename, "w") as container:
        stream = container.add_stream(video_codec, rate=round(fps))
        stream.height, stream.width = frames.shape[1:3]
        stream.pix_fmt = "yuv420p"
        stream.options = (H264_OPTIONS if video_codec == "libx264" else {}) | (options or {})
        for frame in frames:
            container.mux(stream.encode(av.VideoFrame.from_ndarray(frame, format="rgb24")))
        container.mux(stream.encode())


ACTIONS: dict[str, Callable[[Request], Any]] = {
    "inspect": inspect_environment,
    "evaluate": evaluate,
    "split": split,
}

if __name__ == "__main__":
    main(*sys.argv[1:])
