"""Stands in for upstream's VBench-Long: three clips a video, named and grouped as upstream does."""

# Paths are text, as upstream has them.
# ruff: noqa: PTH208

import json
import os
import shutil
import sys
from pathlib import Path
from types import ModuleType

from torchvision.io import write_video  # noqa: F401  (upstream's import, which must not fail)
from vbench import NAMES, VBench

for _name in NAMES:
    sys.modules[f"vbench2_beta_long.{_name}"] = ModuleType(f"vbench2_beta_long.{_name}")


class VBenchLong(VBench):
    """Cuts by copying; takes the suffix of all videos from the first entry, as upstream."""

    def preprocess(
        self, videos_path, mode, *, use_semantic_splitting, clip_length_config, **kwargs
    ):
        json.loads(Path(self.full_info_dir).read_text())  # whatever the mode
        assert Path(clip_length_config).read_text().startswith("subject_consistency: 2.0")
        for name in os.listdir(videos_path):
            if not name.endswith(".mp4"):
                continue
            folder = Path(videos_path) / "split_clip" / name.removesuffix(".mp4")
            folder.mkdir(parents=True)
            for clip in range(3):
                target = folder / f"{folder.name}_{clip:03d}.mp4"
                shutil.copy(Path(videos_path) / name, target)
                with target.open("ab") as file:
                    file.write(b"x" * clip)

    def videos(self, folder, dimension, mode):
        suffix = Path(os.listdir(folder)[0]).suffix
        names = {name.replace(suffix, "") for name in os.listdir(folder)}
        clips = sorted((Path(folder) / "split_clip").glob("*/*.mp4"))
        found = [str(clip) for clip in clips if clip.name.split("_")[0] in names]
        if mode == "long_custom_input":
            return found
        suite = json.loads(Path(self.full_info_dir).read_text())
        wanted = {row["prompt_en"] for row in suite if dimension in row["dimension"]}
        return [c for c in found if Path(c).parent.name.rsplit("-", 1)[0] in wanted]
