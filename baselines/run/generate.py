"""Makes a folder of videos with one model; an interrupted run can be resumed.

Beside each video lies a JSON sidecar that says how it was made.
"""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from baselines.adapters.adapter import Adapter, Job
from baselines.errors import VideoFailedError
from baselines.run.prompt_list import Prompt
from baselines.spec import Length, ModelSpec
from hiar.codecs.prompts import numbered
from hiar.codecs.sidecars import read_sidecar
from hiar.codecs.video import ENCODING
from hiar.errors import UsageError
from hiar.runtime.files import atomic_write_text, remove_leftovers
from hiar.runtime.progress import Progress
from hiar.runtime.provenance import provenance
from hiar.runtime.ranks import Ranks

VIDEO_SCHEMA = "baselines-video/1"
RUN_SCHEMA = "baselines-run/1"
MOST_FAILURES_IN_A_ROW = 3
"""After so many failures in a row, the other videos are not tried, because they would fail too."""


@dataclass(frozen=True, kw_only=True)
class Run:
    """Settings of a folder of videos.

    Attributes:
        length: Length of each video.
        seed: Seed of the first sample of a prompt; sample i uses seed + i.
        samples: Number of videos for each prompt.
        device: Device on which they are made, for the record.
        prompt_range: Index of the first prompt to make, and of the one after the last; None for
            all prompts.
    """

    length: Length
    seed: int = 0
    samples: int = 1
    device: str = "cpu"
    prompt_range: tuple[int, int] | None = None

    def __post_init__(self) -> None:
        """Rejects a run without videos."""
        if self.samples < 1:
            raise UsageError(f"{self.samples} samples a prompt: there must be at least 1")


@dataclass(frozen=True, kw_only=True)
class Sample:
    """One video of a run; `name` is its file name without suffix."""

    job: Job
    sample_index: int
    name: str


def list_samples(prompts: Sequence[Prompt], run: Run) -> list[Sample]:
    """Lists every video of a run, prompt after prompt."""
    return [
        Sample(
            job=Job(
                prompt=prompt.text,
                prompt_index=prompt.index,
                seed=run.seed + index,
                length=run.length,
            ),
            sample_index=index,
            name=prompt.name(index),
        )
        for _, prompt in numbered(prompts, run.prompt_range)
        for index in range(run.samples)
    ]


def generate_folder(
    spec: ModelSpec,
    adapter: Adapter,
    prompts: Sequence[Prompt],
    out: Path,
    run: Run,
    progress: Progress,
    ranks: Ranks = Ranks(),  # noqa: B008  (frozen)
) -> dict[str, Any]:
    """Make every video that does not exist yet; if one fails, the others are still made.

    Args:
        spec: The model.
        adapter: The model, ready to run.
        prompts: Prompts, and the names of their videos.
        out: Folder of the run.
        run: Settings of the run.
        progress: Progress display, advanced once for each video.
        ranks: This process among those that share the videos.

    Returns:
        The run record, also written to `out/run.json`; `failed` names each missing video and the
        reason.
    """
    samples = list_samples(prompts, run)
    facts = model_facts(spec, adapter)
    if ranks.is_first:
        remove_leftovers(out)
    pending = ranks.from_first([s for s in samples if not is_done(spec, facts, s, out)])
    mine = ranks.share(pending)
    progress.start(len(mine))
    started = time.monotonic()
    adapter.prepare(list(dict.fromkeys(sample.job.prompt for sample in mine)))
    _make_all(spec, adapter, facts, mine, out, run, progress)
    progress.finish()
    ranks.wait()
    missing = [sample for sample in pending if not is_done(spec, facts, sample, out)]
    record = {
        "schema": RUN_SCHEMA,
        "model": spec.key,
        "videos": [f"{sample.name}.mp4" for sample in samples],
        "made": len(pending) - len(missing),
        "already_there": len(samples) - len(pending),
        "failed": [_failure(sample, out) for sample in missing],
        "seconds": round(time.monotonic() - started, 3),
        "num_ranks": ranks.num_ranks,
        "settings": {**_length_facts(spec, run.length), "seed": run.seed, "samples": run.samples},
        "provenance": provenance(run.device),
    }  # fmt: skip
    if ranks.is_first:
        atomic_write_text(out / "run.json", json.dumps(record, indent=1, ensure_ascii=False) + "\n")
    return record


def _make_all(
    spec: ModelSpec,
    adapter: Adapter,
    facts: dict[str, Any],
    samples: Sequence[Sample],
    out: Path,
    run: Run,
    progress: Progress,
) -> None:
    in_a_row = 0
    for sample in samples:
        sidecar = sidecar_path(out, sample)
        # A sidecar left in place would mark the new file as complete while it is being written.
        sidecar.unlink(missing_ok=True)
        failure_path(out, sample).unlink(missing_ok=True)
        try:
            made = adapter.make(sample.job, out / f"{sample.name}.mp4")
        except VideoFailedError as error:
            atomic_write_text(failure_path(out, sample), f"{error}\n")
            in_a_row += 1
            if in_a_row == MOST_FAILURES_IN_A_ROW:
                return
            continue
        in_a_row = 0
        found = describe(spec, facts, sample) | {
            "frames_sha256": made.frames_sha256,
            "latents_sha256": made.latents_sha256,
            "video_bytes": (out / f"{sample.name}.mp4").stat().st_size,
            "seconds": {name: round(value, 3) for name, value in made.seconds.items()},
            "provenance": provenance(run.device),
        }
        atomic_write_text(sidecar, json.dumps(found, indent=1, ensure_ascii=False) + "\n")
        progress.advance()


def model_facts(spec: ModelSpec, adapter: Adapter) -> dict[str, Any]:
    """Facts that decide the content of all videos of a model, as they are read back from JSON."""
    facts: dict[str, Any] = json.loads(json.dumps({"key": spec.key, **adapter.facts()}))
    return facts


def describe(spec: ModelSpec, facts: dict[str, Any], sample: Sample) -> dict[str, Any]:
    """Facts that decide a video's content, and their hash as its key."""
    found: dict[str, Any] = {
        "schema": VIDEO_SCHEMA,
        "video": f"{sample.name}.mp4",
        "prompt": sample.job.prompt,
        "prompt_index": sample.job.prompt_index,
        "sample_index": sample.sample_index,
        "seed": sample.job.seed,
        **_length_facts(spec, sample.job.length),
        "encoding": ENCODING,
        "model": facts,
    }
    key = hashlib.sha256(json.dumps(found, sort_keys=True).encode()).hexdigest()
    return found | {"key": key}


def _length_facts(spec: ModelSpec, length: Length) -> dict[str, Any]:
    return {
        "num_frames": length.num_frames,
        "fps": spec.fps,
        "made_frames": length.frames_made,
        "arguments": dict(length.arguments),
    }


def sidecar_path(out: Path, sample: Sample) -> Path:
    """Path of a video's sidecar."""
    return out / f"{sample.name}.json"


def failure_path(out: Path, sample: Sample) -> Path:
    """Path of the file that says why a video is missing."""
    return out / f"{sample.name}.failed.txt"


def _failure(sample: Sample, out: Path) -> dict[str, str]:
    path = failure_path(out, sample)
    reason = "not tried: too many failed one after the other"
    if path.is_file():
        reason = path.read_text(encoding="utf-8").strip()
    return {"video": f"{sample.name}.mp4", "prompt": sample.job.prompt, "reason": reason}


def is_done(spec: ModelSpec, facts: dict[str, Any], sample: Sample, out: Path) -> bool:
    """Whether the video exists with the size that its sidecar says, made with these settings."""
    found = read_sidecar(out / f"{sample.name}.mp4")
    return found is not None and bool(found.get("key") == describe(spec, facts, sample)["key"])
