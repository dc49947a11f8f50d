"""The pure plan: a preset and hashes in, a graph of jobs with stable ids out."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from functools import partial
from itertools import chain

from eval.protocol.dimensions import DIMENSIONS
from reports.paper.spec import Preset
from reports.paper.spec_types import BenchSpec, PromptSet, RunSpec, SampleSpec, VBenchSpec
from reports.plan.jobs import (
    BENCH_NAME,
    LENGTHS_RECORD,
    LONG,
    Job,
    lengths_name,
    long_name,
    proxies_name,
    sample_name,
    score_name,
    with_ids,
)

VIDEO_BYTES_PER_S = 500_000
DISK_SOURCE = (
    "0.5 MB a second of video at 480x832; at the sampler's crf 12 a panned photograph takes 0.05 "
    "to 0.07, and 0.7 to 1.2 with grain of 2/255 on each frame (measured); weights are not counted"
)
LONG_FROM_S = 5.0
"""VBench's own rule: VBench-Long for videos of 5 s and more, which it cuts into clips."""
CRASH_RETRIES = 2
"""Of a job on a GPU: out of memory beside another user, a driver that hangs, a lost mount."""


@dataclass(frozen=True, kw_only=True)
class InputHashes:
    """What ids follow besides the commands.

    Attributes:
        files: sha256 by name of the files that all sampling jobs of a preset read.
        prompts: sha256 by prompt set; a set whose file is not there yet has no entry.
        weights: The same, by path of a checkpoint of one's own.
        sources: sha256 by package.
        sample_versions, score_versions: Of the packages that sampling, and scoring, run on.
    """

    files: Mapping[str, str] = field(default_factory=dict)
    prompts: Mapping[str, str] = field(default_factory=dict)
    weights: Mapping[str, str] = field(default_factory=dict)
    sources: Mapping[str, str] = field(default_factory=dict)
    sample_versions: Mapping[str, str] = field(default_factory=dict)
    score_versions: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class Part:
    """The videos that one sampling job makes: some prompts of a set, with one seed.

    Attributes:
        alone: Whether it makes all of its run's videos.
        is_long: Whether they are those of drift against length, in a folder apart.
    """

    run: RunSpec
    sample: SampleSpec
    seed: int
    first: int
    last: int
    alone: bool
    is_long: bool = False

    @property
    def name(self) -> str:
        """Name of its job."""
        if self.is_long:
            return long_name(sample_name(self.run.name))
        if self.alone:
            return sample_name(self.run.name)
        return f"{sample_name(self.run.name)}-{self.sample.prompts.name}-{self._place}"

    @property
    def folder(self) -> str:
        """Folder of its videos, relative to the reproduction folder."""
        whole = f"videos/{self.run.name}"
        if self.is_long:
            return f"{LONG}/{whole}"
        if self.alone:
            return whole
        return f"{whole}/{self.sample.prompts.name}/{self._place}"

    @property
    def _place(self) -> str:
        return f"s{self.seed}-p{self.first:04d}"


def plan_jobs(preset: Preset, hashes: InputHashes) -> tuple[Job, ...]:
    """Lists a preset's jobs in an order in which they can run.

    Args:
        preset: What to run.
        hashes: Hashes of everything the jobs read.

    Returns:
        Jobs with ids; each stands after the jobs that it needs.

    Raises:
        UsageError: When jobs of the spec need one another, or a job that is not there.
    """
    inputs = _Inputs(hashes)
    parts = {run.name: list(video_parts(preset, run)) for run in preset.runs}
    jobs = chain(
        (_sample_job(part, inputs) for part in chain.from_iterable(parts.values())),
        (_score_job(preset, run, parts[run.name], inputs) for run in preset.runs),
        _proxy_jobs(preset, parts, inputs),
        _length_jobs(preset, inputs),
        (_bench_job(preset.bench, inputs),),
        _timing_jobs(preset, inputs),
        chain.from_iterable(
            _vbench_jobs(preset.vbench, run, parts[run.name], inputs)
            for run in preset.runs
            if preset.vbench is not None
        ),
        _extra_jobs(preset, inputs),
    )
    return with_ids(jobs)


def video_parts(preset: Preset, run: RunSpec) -> Iterator[Part]:
    """Cuts a run's videos into jobs."""
    cuts = [
        (sample, seed, first)
        for sample in preset.samples
        for seed in sample.seeds
        for first in range(0, sample.prompts.count, run.videos_per_job or sample.prompts.count)
    ]
    for sample, seed, first in cuts:
        size = run.videos_per_job or sample.prompts.count
        last = min(first + size, sample.prompts.count)
        alone = len(cuts) == 1
        yield Part(run=run, sample=sample, seed=seed, first=first, last=last, alone=alone)


class _Inputs:
    """The inputs of each kind of job; tens of thousands of jobs share a few mappings."""

    def __init__(self, hashes: InputHashes) -> None:
        self._hashes = hashes
        self._samples: dict[tuple[str, str], Mapping[str, str]] = {}
        self.bench = {**hashes.files, **self._source("hiar"), **hashes.sample_versions}
        self.timing = {**self.bench, **self._source("baselines")}
        self.score = {**self._source("drift"), **hashes.score_versions}
        self.vbench = self._source("eval")
        self.proxies = {**self.score, **self._source("eval", "hiar")}
        self.own = {**self.bench, **self.score}

    def _source(self, *packages: str) -> dict[str, str]:
        found = self._hashes.sources
        return {f"source of {name}": found[name] for name in packages if name in found}

    def sample(self, part: Part) -> Mapping[str, str]:
        """Files of the preset, prompts, weights, sources and versions."""
        run, prompts = part.run, part.sample.prompts
        key = run.name, prompts.name
        if key not in self._samples:
            found = dict(self.timing if run.tool == "baselines" else self.bench)
            if prompts.name in self._hashes.prompts:
                found[prompts.file] = self._hashes.prompts[prompts.name]
            if run.own_weights in self._hashes.weights:
                found[run.own_weights] = self._hashes.weights[run.own_weights]
            self._samples[key] = found
        return self._samples[key]


def _sample_job(part: Part, inputs: _Inputs) -> Job:
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
        proofs=(f"{part.folder}/run.json",),
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
        "--prompts": prompts_place(sample.prompts.file),
        "--out": f"{{out}}/{part.folder}",
        "--order": run.order,
        "--context": run.context,
        "--latent-frames": str(sample.latent_frames),
        "--window": str(sample.window),
        "--seed": str(part.seed),
    }
    if run.weights:
        options["--weights"] = run.weights
    if run.gpus:
        options |= {"--device": "cuda", "--dtype": "bfloat16", "--batch-size": "1"}
    return ("hiar", "sample", *_flatten(options))


def _baselines_argv(part: Part) -> tuple[str, ...]:
    run, sample = part.run, part.sample
    options = {
        "--prompts": prompts_place(sample.prompts.file),
        "--out": f"{{out}}/{part.folder}",
        "--seconds": f"{run.seconds or sample.seconds:g}",
        "--seed": str(part.seed),
    }
    if run.gpus:
        options["--device"] = "cuda"
    return ("baselines", "generate", run.model, *_flatten(options))


def prompts_place(file: str) -> str:
    """Where a job finds a prompt set's file."""
    return file if file.startswith("{data}") else f"{{packages}}/{file}"


def _sample_requires(part: Part) -> tuple[str, ...]:
    run, prompts = part.run, part.sample.prompts
    wanted = [] if run.model == "tiny" else [f"model {run.model}"]
    wanted += [f"file {path}" for path in (run.own_weights,) if path]
    wanted += [] if prompts.shipped else [f"file {prompts.file}"]
    return tuple(wanted)


def _score_job(
    preset: Preset, run: RunSpec, parts: list[Part], inputs: _Inputs, folder: str = ""
) -> Job:
    spec = preset.score
    mine, videos, num_frames = _videos_of(run, parts, spec.prompts)
    folder = folder or f"drift/{run.name}"
    options: tuple[str, ...] = ()
    if spec.metrics != ("fast",):
        options += ("--metrics", ",".join(spec.metrics))
    if spec.gpus:
        options += ("--device", "cuda")
    recursive = () if mine[0].alone else ("--recursive",)
    argv = ("drift", "score", f"{{out}}/{videos}", "--out", f"{{out}}/{folder}")
    return Job(
        name=score_name(run.name),
        kind="score",
        argv=("{python}", "-m", *argv, *recursive, *options),
        outputs=(folder,),
        proofs=tuple(f"{folder}/{n}" for n in ("summary.json", "videos.csv", "frames.parquet")),
        inputs=inputs.score,
        needs=tuple(part.name for part in mine),
        requires=tuple(f"metric {name}" for name in spec.metrics if name != "fast"),
        run=run.name,
        gpus=spec.gpus,
        retries=CRASH_RETRIES if spec.gpus else 0,
        expected_s=spec.cost.seconds(1, num_frames),
    )


def _videos_of(
    run: RunSpec, parts: Iterable[Part], prompts: PromptSet
) -> tuple[list[Part], str, int]:
    """A run's videos of a prompt set: the parts that make them, their folder, their frames."""
    mine = [part for part in parts if part.sample.prompts.name == prompts.name]
    folder = mine[0].folder if mine[0].alone else f"videos/{run.name}/{prompts.name}"
    num_frames = sum((part.last - part.first) * part.sample.num_frames(run) for part in mine)
    return mine, folder, num_frames


def _proxy_jobs(preset: Preset, parts: Mapping[str, list[Part]], inputs: _Inputs) -> Iterator[Job]:
    for run in preset.runs if preset.proxies else ():
        assert preset.proxies is not None
        mine, folder, num_frames = _videos_of(run, parts[run.name], preset.proxies.prompts)
        file = f"proxies/{run.name}.json"
        argv = (
            "{python}",
            "-m",
            "eval",
            "proxies",
            f"{{out}}/{folder}",
            "--out",
            f"{{out}}/{file}",
        )
        yield Job(
            name=proxies_name(run.name),
            kind="proxies",
            argv=argv if mine[0].alone else (*argv, "--recursive"),
            outputs=(file,),
            proofs=(file,),
            inputs=inputs.proxies,
            needs=tuple(part.name for part in mine),
            run=run.name,
            expected_s=preset.proxies.cost.seconds(1, num_frames),
        )


def _length_jobs(preset: Preset, inputs: _Inputs) -> Iterator[Job]:
    """Longer videos of some runs, made and scored as the others, and their drift against length.

    They are no run's: a table does not need them.
    """
    spec = preset.lengths
    if spec is None:
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
        yield replace(_sample_job(part, inputs), kind="long sample", run="")
        score = _score_job(preset, run, [part], inputs, folder=f"{LONG}/drift/{name}")
        scores.append(replace(score, name=long_name(score.name), kind="long score", run=""))
    yield from scores
    at = ",".join(f"{seconds:g}" for seconds in spec.at_s)
    folders = [f"{{out}}/{score.outputs[0]}" for score in scores]
    yield Job(
        name=lengths_name(preset.name),
        kind="lengths",
        argv=("{python}", "-m", "drift", "lengths", *folders, "--at", at,
              "--out", f"{{out}}/{LENGTHS_RECORD}"),
        outputs=(LENGTHS_RECORD,),
        proofs=(LENGTHS_RECORD,),
        inputs=inputs.score,
        needs=tuple(score.name for score in scores),
        expected_s=3.0,
    )  # fmt: skip


def _bench_job(spec: BenchSpec, inputs: _Inputs) -> Job:
    options = {
        "--config": spec.config,
        "--orders": ",".join(spec.orders),
        "--latent-frames": str(spec.latent_frames),
        "--window": str(spec.window),
        "--warmup": str(spec.warmup),
        "--repeats": str(spec.repeats),
        "--out": "{out}/bench.json",
    }
    argv: tuple[str, ...] = ("-m", "hiar", "bench", *_flatten(options))
    if spec.gpus:  # speed does not depend on the weights
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
        proofs=("bench.json",),
        inputs=inputs.bench,
        gpus=spec.gpus,
        exclusive=True,
        retries=CRASH_RETRIES if spec.gpus else 0,
        expected_s=spec.expected_s,
    )


def _timing_jobs(preset: Preset, inputs: _Inputs) -> Iterator[Job]:
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
            proofs=(file,),
            inputs=inputs.timing,
            requires=(f"model {run.model}",),
            run=name,
            gpus=run.gpus,
            exclusive=True,
            retries=CRASH_RETRIES,
            expected_s=run.cost.seconds(repeats + 1, preset.sample.num_frames(run)),
        )


def _vbench_jobs(
    spec: VBenchSpec, run: RunSpec, parts: list[Part], inputs: _Inputs
) -> Iterator[Job]:
    """Videos under VBench's names, its dimensions, its score.

    One job runs all dimensions, each in a process of its own: they share the clips of VBench-Long,
    and what a lost job has measured is kept.
    """
    mine = [part for part in parts if part.sample.prompts.name == spec.prompts.name]
    seconds = run.seconds or mine[0].sample.seconds
    video_s = seconds * sum(part.last - part.first for part in mine)
    protocol = "vbench-long" if seconds >= LONG_FROM_S else "vbench"
    folder, gather, measure = f"vbench/{run.name}", f"gather-{run.name}", f"vbench-{run.name}"
    job = partial(Job, inputs=inputs.vbench, run=run.name)
    whole = f"{{out}}/videos/{run.name}/{spec.prompts.name}"
    names = prompts_place(spec.prompts.name_file)
    argv: tuple[str, ...] = (
        "reports.cli.gather", whole, "--names", names, "--out", f"{{out}}/{folder}/videos",
        "--listing", f"{{out}}/{folder}/gathered.txt",
    )  # fmt: skip
    yield job(
        name=gather,
        kind="gather",
        argv=("{python}", "-m", *argv),
        outputs=(f"{folder}/gathered.txt",),
        proofs=(f"{folder}/gathered.txt",),
        needs=tuple(part.name for part in mine),
        requires=(f"file {spec.prompts.name_file}",),
        expected_s=60.0,
    )
    argv = ("run", f"{{out}}/{folder}/videos", "--samples", str(len(mine[0].sample.seeds)),
            "--protocol", protocol, "--out", f"{{out}}/{folder}/run")  # fmt: skip
    yield job(
        name=measure,
        kind="vbench",
        argv=("{python}", "-m", "eval", *argv),
        outputs=(f"{folder}/run",),
        proofs=tuple(f"{folder}/run/{d.name}_eval_results.json" for d in DIMENSIONS),
        needs=(gather,),
        requires=("vbench",),
        gpus=1,
        retries=CRASH_RETRIES,
        expected_s=60.0 + video_s * spec.seconds_per_video_s,
        disk_bytes=round(video_s * VIDEO_BYTES_PER_S) if protocol == "vbench-long" else 0,
    )
    argv = ("score", f"{{out}}/{folder}/run", "--out", f"{{out}}/{folder}.json")
    yield job(
        name=f"vbench-score-{run.name}",
        kind="vbench score",
        argv=("{python}", "-m", "eval", *argv),
        outputs=(f"{folder}.json",),
        proofs=(f"{folder}.json",),
        needs=(measure,),
    )


def _extra_jobs(preset: Preset, inputs: _Inputs) -> Iterator[Job]:
    for job in preset.jobs:
        yield Job(
            name=job.name,
            kind="own",
            argv=job.argv,
            outputs=job.outputs,
            proofs=job.proofs or job.outputs,
            inputs=inputs.own,
            needs=job.needs,
            gpus=job.gpus,
            retries=job.retries,
            expected_s=job.expected_s,
        )


def _flatten(options: Mapping[str, str]) -> Iterable[str]:
    return chain.from_iterable(options.items())
