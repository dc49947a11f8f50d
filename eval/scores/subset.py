"""How far the score of a subset of the prompts lies from that of all of them.

Subsets are drawn at random, without putting prompts back, from a record over all prompts. Videos
whose names differ in a last number, such as `0007-0.mp4` and `0007-1.mp4`, are of one prompt.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections import defaultdict
from collections.abc import Mapping, Sequence
from pathlib import Path, PurePosixPath
from statistics import fmean
from typing import TYPE_CHECKING, Any

from drift.errors import UsageError
from eval.protocol.clips import video_of
from eval.protocol.dimensions import DIMENSIONS
from eval.protocol.protocols import PROTOCOLS
from eval.scores.results import RawResults, RunFacts, result_path

if TYPE_CHECKING:
    import numpy as np

NUM_DRAWS = 2000
SHARE = 0.95
"""Share of the drawn subsets that lie within the error."""
QUALITY = "quality"
_SAMPLE = re.compile(r"-\d{1,2}$")


def subset_errors(
    folder: Path, results: RawResults, run: RunFacts, sizes: Sequence[int]
) -> dict[str, dict[str, float]]:
    """Estimates the error of subsets of some sizes.

    Args:
        folder: Folder of the results.
        results: What `read_results` read there.
        run: What the records beside the results say.
        sizes: Numbers of prompts, each below that of every dimension.

    Returns:
        For each size, by dimension, the distance from the value over all prompts within which 95 %
        of the subsets lie, in the unit of the raw value. `quality` is the same of Quality, where
        its seven dimensions are there; dimensions of the same prompts share their subsets.

    Raises:
        UsageError: A dimension has too few prompts, or no values of single videos.
    """
    prompts = {name: _by_prompt(folder, name, run) for name in results.raw}
    for name, values in prompts.items():
        if not 0 < max(sizes) < len(values):
            raise UsageError(
                f"--subset {max(sizes)}: {name} was measured on {len(values)} prompts; give fewer "
                "than that, or measure more"
            )
    return {str(size): _errors(prompts, results.raw, size) for size in sizes}


def _errors(
    prompts: Mapping[str, Mapping[str, float]], raw: Mapping[str, float], size: int
) -> dict[str, float]:
    import numpy as np  # noqa: PLC0415  (keeps --help light)

    off = {name: _distances(values, raw[name], size) for name, values in prompts.items()}
    members = [d for d in DIMENSIONS if d.group == QUALITY]
    if all(member.name in off for member in members):
        normalised = [off[member.name] / (member.high - member.low) for member in members]
        off[QUALITY] = np.average(normalised, axis=0, weights=[m.weight for m in members])
    return {name: float(np.quantile(np.abs(found), SHARE)) for name, found in off.items()}


def _distances(values: Mapping[str, float], raw: float, size: int) -> np.ndarray[Any, Any]:
    """Distances of drawn subsets from all prompts, in the unit of the aggregate.

    Upstream's values of single videos may have another unit: imaging_quality's are 100 times its
    aggregate.
    """
    import numpy as np  # noqa: PLC0415

    names = sorted(values)
    # The seed is of the prompts, so that dimensions of the same prompts draw the same subsets.
    seed = int.from_bytes(hashlib.sha256(json.dumps(names).encode()).digest()[:8])
    order = np.random.default_rng(seed).random((NUM_DRAWS, len(names))).argsort(axis=1)
    found = np.array([values[name] for name in names])
    unit = raw / found.mean() if found.mean() else 1.0
    distances: np.ndarray[Any, Any] = unit * (found[order[:, :size]].mean(axis=1) - found.mean())
    return distances


def _by_prompt(folder: Path, dimension: str, run: RunFacts) -> dict[str, float]:
    """Mean value of each prompt: over the clips of a video, then over videos."""
    path = result_path(folder, dimension)
    entry = json.loads(path.read_bytes()).get(dimension) if path.is_file() else None
    if not entry or len(entry) < 2 or not all("video_results" in video for video in entry[1]):
        raise UsageError(f"--subset: {path} has no values of single videos; run {dimension} again")
    protocol = run.records.get(dimension, {}).get("protocol")
    long = protocol in PROTOCOLS and PROTOCOLS[protocol].long
    videos: dict[str, list[float]] = defaultdict(list)
    for video in entry[1]:
        shown = video["video_path"]
        stem = video_of(shown) if long else PurePosixPath(shown).stem
        videos[stem].append(float(video["video_results"]))
    prompts: dict[str, list[float]] = defaultdict(list)
    for stem, values in videos.items():
        prompts[_SAMPLE.sub("", stem)].append(fmean(values))
    return {prompt: fmean(values) for prompt, values in prompts.items()}
