"""From a preset and hashes to a graph of jobs with stable ids; reads no file."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from itertools import chain

from reports.paper.spec import Preset
from reports.plan.inputs import InputHashes, JobInputs
from reports.plan.jobs import (
    LENGTHS_RECORD,
    LONG,
    Job,
    lengths_name,
    long_name,
    score_name,
    with_ids,
)
from reports.plan.sample_jobs import sample_job
from reports.plan.score_jobs import proxy_jobs, score_job
from reports.plan.speed_jobs import bench_job, timing_jobs
from reports.plan.vbench_jobs import vbench_jobs
from reports.plan.video_parts import Part, video_parts


def plan_jobs(preset: Preset, hashes: InputHashes) -> tuple[Job, ...]:
    """Lists a preset's jobs in an order in which they can run.

    Args:
        preset: What to run.
        hashes: Hashes of everything that the jobs read.

    Returns:
        Jobs with ids; each stands after the jobs that it depends on.

    Raises:
        UsageError: Jobs of the spec depend on one another, or on a job that is not there.
    """
    inputs = JobInputs(hashes)
    parts = {run.name: list(video_parts(preset, run)) for run in preset.runs}
    jobs = chain(
        (sample_job(part, inputs) for part in chain.from_iterable(parts.values())),
        (score_job(preset, run, parts[run.name], inputs) for run in preset.runs),
        proxy_jobs(preset, parts, inputs),
        _length_jobs(preset, inputs),
        (bench_job(preset.bench, inputs),),
        timing_jobs(preset, inputs),
        chain.from_iterable(
            vbench_jobs(preset.vbench, run, parts[run.name], inputs)
            for run in preset.runs
            if preset.vbench is not None
        ),
        _extra_jobs(preset, inputs),
    )
    return with_ids(jobs)


def _length_jobs(preset: Preset, inputs: JobInputs) -> Iterator[Job]:
    """Plans drift by length, of longer videos of some runs or of the runs' own.

    Longer videos are made and scored as the others. These jobs have no `run`, since no table
    depends on them.
    """
    spec = preset.lengths
    if spec is None:
        return
    if not spec.longer:
        yield _lengths_job(preset, inputs, {score_name(r): f"drift/{r}" for r in spec.runs})
        return
    sample = replace(preset.sample, latent_frames=spec.latent_frames)
    scores = []
    for name in spec.runs:
        run, seed = preset.run(name), sample.seed
        part = Part(
            run=run,
            sample=sample,
            seed=seed,
            first=0,
            last=spec.num_prompts,
            alone=True,
            is_long=True,
        )
        yield replace(sample_job(part, inputs), kind="long sample", run="")
        score = score_job(preset, run, [part], inputs, folder=f"{LONG}/drift/{name}")
        scores.append(replace(score, name=long_name(score.name), kind="long score", run=""))
    yield from scores
    yield _lengths_job(preset, inputs, {score.name: score.outputs[0] for score in scores})


def _lengths_job(preset: Preset, inputs: JobInputs, scores: Mapping[str, str]) -> Job:
    """Plans the drift by length of scored runs, given as folders by the name of their job."""
    assert preset.lengths is not None
    at = ",".join(f"{seconds:g}" for seconds in preset.lengths.at_s)
    folders = [f"{{out}}/{folder}" for folder in scores.values()]
    return Job(
        name=lengths_name(preset.name),
        kind="lengths",
        argv=("{python}", "-m", "drift", "lengths", *folders, "--at", at,
              "--out", f"{{out}}/{LENGTHS_RECORD}"),
        outputs=(LENGTHS_RECORD,),
        required_outputs=(LENGTHS_RECORD,),
        inputs=inputs.score,
        dependencies=tuple(scores),
        expected_s=3.0,
    )  # fmt: skip


def _extra_jobs(preset: Preset, inputs: JobInputs) -> Iterator[Job]:
    """Plans the jobs that the spec itself spells out."""
    for job in preset.jobs:
        yield Job(
            name=job.name,
            kind="own",
            argv=job.argv,
            outputs=job.outputs,
            required_outputs=job.proofs or job.outputs,
            inputs=inputs.own,
            dependencies=job.needs,
            gpus=job.gpus,
            retries=job.retries,
            expected_s=job.expected_s,
        )
