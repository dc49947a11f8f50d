"""Jobs that make videos, by `hiar sample` or `hiar-baselines generate`."""

from __future__ import annotations

from reports.plan.inputs import JobInputs
from reports.plan.jobs import CRASH_RETRIES, Job, flatten
from reports.plan.video_parts import Part

VIDEO_BYTES_PER_S = 500_000
DISK_SOURCE = (
    "0.5 MB a second of video at 480x832; at the sampler's crf 12 a panned photograph takes 0.05 "
    "to 0.07, and 0.7 to 1.2 with grain of 2/255 on each frame (measured); weights are not counted"
)


def sample_job(part: Part, inputs: JobInputs) -> Job:
    """Plans the job that makes a part of a run's videos."""
    run, sample = part.run, part.sample
    count = part.last - part.first
    num_frames = sample.num_frames(run)
    command = {"hiar": _hiar_argv, "baselines": _baselines_argv}[run.tool](part)
    whole = count == sample.prompts.count
    if not whole:
        command += ("--prompt-range", f"{part.first}:{part.last}")
    return Job(
        name=part.name,
        kind="sample",
        argv=("{python}", "-m", *command),
        outputs=(part.folder,),
        required_outputs=(f"{part.folder}/run.json",),
        inputs=inputs.sample(part),
        requires=_sample_requires(part),
        run=run.name,
        videos=count,
        gpus=run.gpus,
        retries=CRASH_RETRIES if run.gpus else 0,
        expected_s=run.cost.seconds(count, num_frames),
        disk_bytes=round(count * num_frames / run.fps * VIDEO_BYTES_PER_S) if run.gpus else 0,
    )


def _hiar_argv(part: Part) -> tuple[str, ...]:
    run, sample = part.run, part.sample
    options = {
        "--model": run.model,
        "--prompts": prompts_path(sample.prompts.file),
        "--out": f"{{out}}/{part.folder}",
        "--order": run.order,
        "--context": run.context,
        "--latent-frames": str(sample.latent_frames),
        "--window": str(sample.window),
        "--seed": str(part.seed),
    }
    if run.context_noise:
        options["--context-noise"] = f"{run.context_noise:.12g}"
    if run.weights:
        options["--weights"] = run.weights
    if run.gpus:
        options |= {"--device": "cuda", "--dtype": "bfloat16", "--batch-size": "1"}
    return ("hiar", "sample", *flatten(options))


def _baselines_argv(part: Part) -> tuple[str, ...]:
    run, sample = part.run, part.sample
    options = {
        "--prompts": prompts_path(sample.prompts.file),
        "--out": f"{{out}}/{part.folder}",
        "--seconds": f"{run.seconds or sample.seconds:g}",
        "--seed": str(part.seed),
    }
    if run.gpus:
        options["--device"] = "cuda"
    return ("baselines", "generate", run.model, *flatten(options))


def prompts_path(file: str) -> str:
    """Returns where a job finds the file of a prompt set."""
    return file if file.startswith("{data}") else f"{{packages}}/{file}"


def _sample_requires(part: Part) -> tuple[str, ...]:
    run, prompts = part.run, part.sample.prompts
    wanted = [] if run.model == "tiny" else [f"model {run.model}"]
    wanted += [f"file {path}" for path in (run.own_weights,) if path]
    wanted += [] if prompts.shipped else [f"file {prompts.file}"]
    return tuple(wanted)
