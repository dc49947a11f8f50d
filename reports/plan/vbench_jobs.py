"""Jobs that run VBench on the videos of a run."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial

from eval.protocol.protocols import PROTOCOLS
from reports.paper.spec_types import RunSpec, VBenchSpec
from reports.plan.inputs import JobInputs
from reports.plan.jobs import CRASH_RETRIES, Job
from reports.plan.sample_jobs import VIDEO_BYTES_PER_S, prompts_path
from reports.plan.video_parts import Part, videos_of

LONG_FROM_S = 5.0
"""VBench's own rule: VBench-Long, which cuts videos into clips, is for videos of 5 s and more."""


def vbench_jobs(
    spec: VBenchSpec, run: RunSpec, parts: list[Part], inputs: JobInputs
) -> Iterator[Job]:
    """Plans three jobs: links under VBench's names, its dimensions, its score.

    One job runs all dimensions, each in a process of its own. They share the clips of VBench-Long,
    and a job that is cut short keeps the dimensions that it has measured.
    """
    mine, videos, _ = videos_of(run, parts, spec.prompts)
    seconds = run.seconds or mine[0].sample.seconds
    video_s = seconds * sum(part.last - part.first for part in mine)
    long = seconds >= LONG_FROM_S
    protocol = PROTOCOLS["vbench" + "-long" * long + "-custom" * spec.custom]
    folder, gather, measure = f"vbench/{run.name}", f"gather-{run.name}", f"vbench-{run.name}"
    job = partial(Job, inputs=inputs.vbench, run=run.name)
    names = prompts_path(spec.prompts.name_file)
    argv: tuple[str, ...] = (
        "reports.cli.gather", f"{{out}}/{videos}", "--names", names, "--out",
        f"{{out}}/{folder}/videos", "--listing", f"{{out}}/{folder}/gathered.txt",
    )  # fmt: skip
    own = ("--custom", names) if spec.custom else ()
    yield job(
        name=gather,
        kind="gather",
        argv=("{python}", "-m", *argv, *(("--numbered",) if spec.custom else ())),
        outputs=(f"{folder}/gathered.txt",),
        required_outputs=(f"{folder}/gathered.txt",),
        dependencies=tuple(part.name for part in mine),
        requires=(f"file {spec.prompts.name_file}",),
        expected_s=60.0,
    )
    argv = ("run", f"{{out}}/{folder}/videos", "--samples", str(len(mine[0].sample.seeds)),
            "--protocol", protocol.name, "--out", f"{{out}}/{folder}/run", *own)  # fmt: skip
    yield job(
        name=measure,
        kind="vbench",
        argv=("{python}", "-m", "eval", *argv),
        outputs=(f"{folder}/run",),
        required_outputs=tuple(f"{folder}/run/{d}_eval_results.json" for d in protocol.dimensions),
        dependencies=(gather,),
        requires=("vbench",),
        gpus=1,
        retries=CRASH_RETRIES,
        expected_s=60.0 + video_s * spec.seconds_per_video_s,
        disk_bytes=round(video_s * VIDEO_BYTES_PER_S) if protocol.long else 0,
    )
    argv = ("score", f"{{out}}/{folder}/run", "--out", f"{{out}}/{folder}.json")
    yield job(
        name=f"vbench-score-{run.name}",
        kind="vbench score",
        argv=("{python}", "-m", "eval", *argv),
        outputs=(f"{folder}.json",),
        required_outputs=(f"{folder}.json",),
        dependencies=(measure,),
    )
