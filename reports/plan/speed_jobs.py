"""Jobs that measure time; nothing else may run beside them."""

from __future__ import annotations

from collections.abc import Iterator

from reports.paper.spec import Preset
from reports.paper.spec_types import BenchSpec
from reports.plan.inputs import JobInputs
from reports.plan.jobs import BENCH_NAME, CRASH_RETRIES, Job, flatten


def bench_job(spec: BenchSpec, inputs: JobInputs) -> Job:
    """Plans the measurement of the orders' speed."""
    options = {
        "--config": spec.config,
        "--orders": ",".join(spec.orders),
        "--latent-frames": str(spec.latent_frames),
        "--window": str(spec.window),
        "--warmup": str(spec.warmup),
        "--repeats": str(spec.repeats),
        "--out": "{out}/bench.json",
    }
    argv: tuple[str, ...] = ("-m", "hiar", "bench", *flatten(options))
    if spec.gpus:  # Speed does not depend on the weights, so random ones will do.
        argv += ("--random-weights", "--device", "cuda", "--dtype", "bfloat16")
    ranks = spec.gpus or spec.ranks
    if ranks > 1:
        launcher = ("torch.distributed.run", "--standalone", f"--nproc_per_node={ranks}")
        argv = ("-m", *launcher, *argv)
    return Job(
        name=BENCH_NAME,
        kind="bench",
        argv=("{python}", *argv),
        outputs=("bench.json",),
        required_outputs=("bench.json",),
        inputs=inputs.bench,
        gpus=spec.gpus,
        exclusive=True,
        retries=CRASH_RETRIES if spec.gpus else 0,
        expected_s=spec.expected_s,
    )


def timing_jobs(preset: Preset, inputs: JobInputs) -> Iterator[Job]:
    """Plans the measurement of the compared models' speed, one job for each run."""
    for name in preset.timing.runs if preset.timing else ():
        run = preset.run(name)
        seconds = run.seconds or preset.sample.seconds
        file = f"timing/{name}.json"
        repeats = preset.timing.repeats if preset.timing else 0
        argv = ("baselines", "time", run.model, "--seconds", f"{seconds:g}", "--repeats",
                str(repeats), "--device", "cuda", "--out", f"{{out}}/{file}")  # fmt: skip
        yield Job(
            name=f"time-{name}",
            kind="time",
            argv=("{python}", "-m", *argv),
            outputs=(file,),
            required_outputs=(file,),
            inputs=inputs.timing,
            requires=(f"model {run.model}",),
            run=name,
            gpus=run.gpus,
            exclusive=True,
            retries=CRASH_RETRIES,
            expected_s=run.cost.seconds(repeats + 1, preset.sample.num_frames(run)),
        )
