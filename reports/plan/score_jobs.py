"""Jobs that score the drift of a run's videos, and measure proxies of VBench's dimensions."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from reports.paper.spec import Preset
from reports.paper.spec_types import RunSpec
from reports.plan.inputs import JobInputs
from reports.plan.jobs import CRASH_RETRIES, Job, proxies_name, score_name
from reports.plan.video_parts import Part, videos_of


def score_job(
    preset: Preset, run: RunSpec, parts: list[Part], inputs: JobInputs, folder: str = ""
) -> Job:
    """Plans the drift score of a run; `folder` is where it goes, if not to `drift/`."""
    spec = preset.score
    mine, videos, num_frames = videos_of(run, parts, spec.prompts)
    folder = folder or f"drift/{run.name}"
    options: tuple[str, ...] = ("--metrics", ",".join(spec.metrics))
    if spec.gpus:
        options += ("--device", "cuda")
    recursive = () if mine[0].alone else ("--recursive",)
    argv = ("drift", "score", f"{{out}}/{videos}", "--out", f"{{out}}/{folder}")
    return Job(
        name=score_name(run.name),
        kind="score",
        argv=("{python}", "-m", *argv, *recursive, *options),
        outputs=(folder,),
        required_outputs=tuple(
            f"{folder}/{n}" for n in ("summary.json", "videos.csv", "frames.parquet")
        ),
        inputs=inputs.score,
        dependencies=tuple(part.name for part in mine),
        requires=tuple(f"metric {name}" for name in spec.metrics if name != "fast"),
        run=run.name,
        gpus=spec.gpus,
        retries=CRASH_RETRIES if spec.gpus else 0,
        expected_s=spec.cost.seconds(1, num_frames),
    )


def proxy_jobs(preset: Preset, parts: Mapping[str, list[Part]], inputs: JobInputs) -> Iterator[Job]:
    """Plans the proxies of VBench's dimensions, one job for each run."""
    for run in preset.runs if preset.proxies else ():
        assert preset.proxies is not None
        mine, folder, num_frames = videos_of(run, parts[run.name], preset.proxies.prompts)
        file = f"proxies/{run.name}.json"
        argv = ("eval", "proxies", f"{{out}}/{folder}", "--out", f"{{out}}/{file}")
        yield Job(
            name=proxies_name(run.name),
            kind="proxies",
            argv=("{python}", "-m", *argv, *(() if mine[0].alone else ("--recursive",))),
            outputs=(file,),
            required_outputs=(file,),
            inputs=inputs.proxies,
            dependencies=tuple(part.name for part in mine),
            run=run.name,
            expected_s=preset.proxies.cost.seconds(1, num_frames),
        )
