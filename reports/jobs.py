"""The pure plan: a preset and hashes in, a graph of jobs with stable ids out."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from reports.spec import Preset, RunSpec


@dataclass(frozen=True, kw_only=True)
class Job:
    """One command and what it depends on.

    Attributes:
        name: Unique; names the record and the log.
        kind: sample, score or bench; jobs of one kind take about the same time.
        argv: Command with `{python}`, `{out}` and `{packages}` in place of this machine's paths,
            so that an id does not depend on where a reproduction lies.
        outputs: Files or folders relative to the reproduction folder; a folder is the job's own.
        proofs: Files that must exist for the job to have succeeded.
        inputs: sha256 by file or package-source name.
        needs: Names of the jobs whose outputs this one reads.
        expected_s: Rough duration, for the ETA until better is known.
        id: sha256 over all of the above that a result depends on, ids of needed jobs included.
    """

    name: str
    kind: str
    argv: tuple[str, ...]
    outputs: tuple[str, ...]
    proofs: tuple[str, ...]
    inputs: Mapping[str, str] = field(default_factory=dict)
    needs: tuple[str, ...] = ()
    expected_s: float = 1.0
    id: str = ""

    def command(self, places: Mapping[str, str]) -> list[str]:
        """Returns argv with this machine's paths filled in."""
        words = list(self.argv)
        for key, value in places.items():
            words = [word.replace(f"{{{key}}}", value) for word in words]
        return words


@dataclass(frozen=True, kw_only=True)
class InputHashes:
    """sha256 by name: the files a sampling run reads, and the sources of the two packages."""

    sample_files: Mapping[str, str]
    hiar_source: str
    drift_source: str


def plan_jobs(preset: Preset, hashes: InputHashes) -> tuple[Job, ...]:
    """Lists a preset's jobs in an order in which they can run.

    Args:
        preset: What to run.
        hashes: Hashes of everything the jobs read.

    Returns:
        Jobs with ids; each stands after the jobs that it needs.
    """
    samples = [_sample_job(preset, run, hashes) for run in preset.runs]
    scores = [_score_job(preset, run, hashes) for run in preset.runs]
    return with_ids([*samples, *scores, _bench_job(preset, hashes)])


def sample_name(run: str) -> str:
    """Names the job that samples a run."""
    return f"sample-{run}"


def score_name(run: str) -> str:
    """Names the job that scores a run."""
    return f"score-{run}"


BENCH_NAME = "bench"


def _sample_job(preset: Preset, run: RunSpec, hashes: InputHashes) -> Job:
    spec = preset.sample
    folder = f"videos/{run.name}"
    options = {
        "--model": spec.model,
        "--prompts": f"{{packages}}/{spec.prompts}",
        "--out": f"{{out}}/{folder}",
        "--order": run.order,
        "--context": run.context,
        "--latent-frames": str(spec.latent_frames),
        "--window": str(spec.window),
        "--seed": str(spec.seed),
    }
    return Job(
        name=sample_name(run.name),
        kind="sample",
        argv=("{python}", "-m", "hiar", "sample", *_flatten(options)),
        outputs=(folder,),
        proofs=(f"{folder}/run.json",),
        inputs={**hashes.sample_files, "source of hiar": hashes.hiar_source},
        expected_s=spec.expected_s,
    )


def _score_job(preset: Preset, run: RunSpec, hashes: InputHashes) -> Job:
    folder = f"drift/{run.name}"
    argv = ("drift", "score", f"{{out}}/videos/{run.name}", "--out", f"{{out}}/{folder}")
    return Job(
        name=score_name(run.name),
        kind="score",
        argv=("{python}", "-m", *argv),
        outputs=(folder,),
        proofs=tuple(f"{folder}/{n}" for n in ("summary.json", "videos.csv", "frames.parquet")),
        inputs={"source of drift": hashes.drift_source},
        needs=(sample_name(run.name),),
        expected_s=preset.score.expected_s,
    )


def _bench_job(preset: Preset, hashes: InputHashes) -> Job:
    spec = preset.bench
    options = {
        "--config": spec.config,
        "--orders": ",".join(spec.orders),
        "--latent-frames": str(spec.latent_frames),
        "--window": str(spec.window),
        "--warmup": str(spec.warmup),
        "--repeats": str(spec.repeats),
        "--out": "{out}/bench.json",
    }
    return Job(
        name=BENCH_NAME,
        kind="bench",
        argv=("{python}", "-m", "hiar", "bench", *_flatten(options)),
        outputs=("bench.json",),
        proofs=("bench.json",),
        inputs={**hashes.sample_files, "source of hiar": hashes.hiar_source},
        expected_s=spec.expected_s,
    )


def _flatten(options: Mapping[str, str]) -> tuple[str, ...]:
    return tuple(word for pair in options.items() for word in pair)


def with_ids(jobs: Iterable[Job]) -> tuple[Job, ...]:
    """Orders jobs so that each follows its needs, and gives each its id.

    Raises:
        ValueError: When a need is unknown or the graph has a cycle.
    """
    waiting = list(jobs)
    done: dict[str, Job] = {}
    while waiting:
        ready = next((job for job in waiting if all(need in done for need in job.needs)), None)
        if ready is None:
            names = ", ".join(job.name for job in waiting)
            raise ValueError(f"jobs need each other or a job that is not there: {names}")
        waiting.remove(ready)
        done[ready.name] = _with_id(ready, {need: done[need].id for need in ready.needs})
    return tuple(done.values())


def _with_id(job: Job, need_ids: Mapping[str, str]) -> Job:
    parts = {
        "argv": job.argv,
        "inputs": dict(job.inputs),
        "needs": dict(need_ids),
        "outputs": job.outputs,
    }
    text = json.dumps(parts, sort_keys=True)
    values = {**job.__dict__, "id": hashlib.sha256(text.encode()).hexdigest()}
    return Job(**values)


def select_jobs(jobs: Iterable[Job], wanted: Iterable[str]) -> tuple[Job, ...]:
    """Keeps the wanted jobs and all that they need, in order."""
    ordered = list(jobs)
    keep = set(wanted)
    for job in reversed(ordered):
        if job.name in keep:
            keep.update(job.needs)
    return tuple(job for job in ordered if job.name in keep)
