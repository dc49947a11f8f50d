"""A stand-in for `hiar-vbench proxies`: the drawn videos show no prompt of the tiny world.

Copied as `eval/__main__.py` beside the stand-in for the hiar commands.
"""

import argparse
import json
from pathlib import Path


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("command", choices=["proxies"])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--out", type=Path, required=True)
    args = parser.parse_args()
    videos = {path.name: 0.5 + 0.1 * i for i, path in enumerate(sorted(args.folder.glob("*.mp4")))}
    names = ("dynamic_degree", "motion_smoothness", "prompt_following", "temporal_flickering")
    mean = sum(videos.values()) / len(videos)
    measures = {
        name: {"mean": mean, "ci95": [0.4, 0.7], "unit": "", "stands_for": name, "how": "drawn",
               "videos": videos}
        for name in names
    }  # fmt: skip
    record = {"schema": "proxies/1", "scale": "tiny", "videos": len(videos), "measures": measures}
    args.out.parent.mkdir(parents=True, exist_ok=True)
    args.out.write_text(json.dumps(record))


if __name__ == "__main__":
    main()
