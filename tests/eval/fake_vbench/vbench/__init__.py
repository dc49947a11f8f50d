"""Stands in for upstream's vbench in tests: measures file sizes, and fails as it is told.

FAKE_VBENCH names a JSON file of behaviour by dimension: ok, exit, stderr, nan, video_nan, infinite,
nothing, killed, hang, leave_out, stranger, no_module.
"""

# Paths are text, as upstream has them.
# ruff: noqa: PTH116, PTH118, PTH208, T201

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from types import ModuleType

NAMES = [
    "subject_consistency",
    "background_consistency",
    "temporal_flickering",
    "motion_smoothness",
    "dynamic_degree",
    "aesthetic_quality",
    "imaging_quality",
    "object_class",
    "multiple_objects",
    "human_action",
    "color",
    "spatial_relationship",
    "scene",
    "appearance_style",
    "temporal_style",
    "overall_consistency",
]
BEHAVIOUR = json.loads(Path(os.environ["FAKE_VBENCH"]).read_text())
for _name in NAMES:
    if BEHAVIOUR.get(_name) != "no_module":
        sys.modules[f"vbench.{_name}"] = ModuleType(f"vbench.{_name}")


class VBench:
    """Same signature and files as upstream's."""

    def __init__(self, device, full_info_dir, output_path):
        self.device, self.full_info_dir, self.output_path = device, full_info_dir, output_path

    def evaluate(self, videos_path, name, dimension_list, local, read_frame, mode, **kwargs):
        (dimension,) = dimension_list
        print(f"noise on stdout, {dimension} on {self.device}, CUDA devices", end=" ")
        print(os.environ.get("CUDA_VISIBLE_DEVICES"), "local", local, mode, sorted(kwargs))
        entries = [
            {"video_path": path, "video_results": self.value(path)}
            for path in self.videos(videos_path, dimension, mode)
        ]
        entry = [sum(e["video_results"] for e in entries) / max(1, len(entries)), entries]
        result = {dimension: misbehave(BEHAVIOUR.get(dimension, "ok"), entry)}
        if result[dimension] is not None:
            path = Path(self.output_path) / f"{name}_eval_results.json"
            path.write_text(json.dumps(result))

    def videos(self, folder, dimension, mode):
        names = os.listdir(folder)  # in the order of the disk, as upstream
        if mode == "custom_input":
            return [os.path.join(folder, name) for name in names]
        suite = json.loads(Path(self.full_info_dir).read_text())
        wanted = [
            f"{row['prompt_en']}-{i}.mp4"
            for row in suite
            for i in range(5)
            if dimension in row["dimension"]
        ]
        return [os.path.join(folder, name) for name in wanted if name in names]

    @staticmethod
    def value(path):
        """A number that only the content decides."""
        return (os.stat(path).st_size % 1000) / 1000


def misbehave(kind, entry):
    if kind == "exit":
        sys.exit(3)
    if kind == "stderr":
        raise RuntimeError("CUDA out of memory. Tried to allocate 20.00 GiB")
    if kind == "killed":
        os.kill(os.getpid(), signal.SIGKILL)
    if kind == "hang":
        child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
        Path(os.environ["FAKE_VBENCH"]).with_name("child.pid").write_text(str(child.pid))
        time.sleep(600)
    return {
        "nothing": None,
        "nan": [float("nan"), entry[1]],
        "video_nan": [entry[0], [entry[1][0] | {"cur_sim": float("nan")}, *entry[1][1:]]],
        "infinite": [float("inf"), entry[1]],
        "leave_out": [entry[0], entry[1][:-1]],
        "stranger": [entry[0], [*entry[1], {"video_path": "/x/other.mp4", "video_results": 1.0}]],
    }.get(kind, entry)
