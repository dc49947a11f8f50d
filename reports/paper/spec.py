"""The paper's spec as typed data: models, prompts, seeds, lengths, metrics and tables of a preset.

Everything is read and checked here, before a job is planned: an unknown key, run, prompt set, cost,
model or metric is one line that names it.
"""

from __future__ import annotations

import hashlib
import json
import tomllib
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from importlib.resources import files
from pathlib import Path
from typing import Any

from baselines.registry import UnknownModelError, find_model
from baselines.spec import ModelSpec
from drift.errors import UsageError
from drift.metrics.registry import resolve_metrics
from hiar.model.geometry import num_frames
from reports.paper.typed_tables import from_table, named_tables

SPEC_SCHEMA = "reports-spec/2"
SHIPPED = "paper/spec.toml"
TOOLS = ("hiar", "baselines")
TINY_FPS = 16


@dataclass(frozen=True, kw_only=True)
class PromptSet:
    """Prompts, one a line.

    Attributes:
        file: In a package, or below the data folder when it begins with `{data}`.
        count: How many lines it has.
        source: Where the prompts come from.
        get: How to get a file that does not ship; empty for one that does.
        names: A file of short prompts that name the videos, where `file` has longer ones.
    """

    name: str
    file: str
    count: int
    source: str
    get: str = ""
    names: str = ""

    @property
    def shipped(self) -> bool:
        """Whether it is a file of an installed package."""
        return not self.file.startswith("{data}")

    @property
    def name_file(self) -> str:
        """The file whose lines name the videos."""
        return self.names or self.file


@dataclass(frozen=True, kw_only=True)
class Cost:
    """How long videos take, as an estimate with its source.

    Attributes:
        frames_per_s: Decoded frames a second of one job.
        decode_frames_per_s: Of the VAE, where `frames_per_s` leaves it out; 0 where it does not.
        load_s: Start of a job.
        device: What the numbers were seen on.
    """

    name: str
    frames_per_s: float
    load_s: float
    device: str
    source: str
    decode_frames_per_s: float = 0.0

    def seconds(self, num_videos: int, num_frames: int) -> float:
        """Estimates one job of that many videos of that many frames."""
        each = num_frames / self.frames_per_s
        if self.decode_frames_per_s:
            each += num_frames / self.decode_frames_per_s
        return self.load_s + num_videos * each


@dataclass(frozen=True, kw_only=True)
class RunSpec:
    """One way to make videos; `name` is the folder of its videos.

    Attributes:
        tool: What makes them: hiar (`hiar sample`) or baselines (`hiar-baselines generate`).
        order, context: For the tool hiar.
        weights: A checkpoint instead of the model's own; begins with `{data}`, or with
            `{packages}` where it ships.
        seconds: Length where it is not the preset's.
        gpus: That one job takes.
        videos_per_job: 0 puts all videos of a prompt set and seed into one job.
    """

    name: str
    label: str
    tool: str
    model: str
    cost: Cost
    order: str = ""
    context: str = ""
    weights: str = ""
    seconds: float = 0.0
    gpus: int = 0
    videos_per_job: int = 0

    def __post_init__(self) -> None:
        where = f"runs.{self.name}"
        if self.tool not in TOOLS:
            raise UsageError(f"{where}: tool is {self.tool!r}; it is {' or '.join(TOOLS)}")
        if self.tool == "hiar" and not (self.order and self.context):
            raise UsageError(f"{where}: tool hiar needs order and context")
        if self.videos_per_job < 0 or self.gpus < 0:
            raise UsageError(f"{where}: gpus and videos_per_job must not be negative")
        if self.model != "tiny":
            self.baseline  # noqa: B018  (raises if there is no such model)

    @property
    def own_weights(self) -> str:
        """The checkpoint, where the user brings it."""
        return self.weights if self.weights.startswith("{data}") else ""

    @property
    def baseline(self) -> ModelSpec:
        """The registry's entry of the model."""
        try:
            return find_model(self.model)
        except UnknownModelError as error:
            raise UsageError(f"runs.{self.name}: {error}, or tiny") from None

    @property
    def fps(self) -> int:
        """Frame rate of its videos."""
        return TINY_FPS if self.model == "tiny" else self.baseline.fps


@dataclass(frozen=True, kw_only=True)
class SampleSpec:
    """Videos that every run of a preset makes.

    Attributes:
        seconds: Length of a video, unless the run has its own.
        latent_frames, window: The same length and the attention window for the tool hiar.
    """

    prompts: PromptSet
    seeds: tuple[int, ...]
    seconds: float
    latent_frames: int
    window: int

    @property
    def seed(self) -> int:
        """The first seed."""
        return self.seeds[0]

    def num_frames(self, run: RunSpec) -> int:
        """Frames of one video of a run.

        Raises:
            UsageError: When the model's own code supports no such length.
        """
        if run.tool == "hiar":
            return num_frames(self.latent_frames)
        spec, seconds = run.baseline, run.seconds or self.seconds
        lengths = [length.num_frames for length in spec.lengths]
        fitting = [frames for frames in lengths if frames >= round(seconds * spec.fps)]
        if not fitting:
            raise UsageError(
                f"runs.{run.name}: {seconds:g} s is longer than {spec.label} supports; give "
                f"seconds = {spec.longest_s:g} at most"
            )
        return fitting[0]


@dataclass(frozen=True, kw_only=True)
class ScoreSpec:
    """The drift scores: over which prompts, by which metrics, on how many GPUs."""

    prompts: PromptSet
    metrics: tuple[str, ...]
    gpus: int
    cost: Cost

    def __post_init__(self) -> None:
        try:
            resolve_metrics(self.metrics)
        except ValueError as error:
            raise UsageError(f"score: {error}") from None


@dataclass(frozen=True, kw_only=True)
class VBenchSpec:
    """VBench: over which prompts, and how long all dimensions take for a second of video."""

    prompts: PromptSet
    seconds_per_video_s: float
    source: str


@dataclass(frozen=True, kw_only=True)
class ProxySpec:
    """Stand-ins for VBench that need no weights, on the tiny world's videos."""

    prompts: PromptSet
    cost: Cost


@dataclass(frozen=True, kw_only=True)
class LengthsSpec:
    """Drift against length: longer videos of some runs, scored after each of some lengths.

    Attributes:
        runs: Of the tool hiar.
        num_prompts: Of the score's prompts, from the first on.
        latent_frames: Of each video; the window is that of the preset's videos.
        at_s: Lengths in seconds, none longer than the videos.
    """

    runs: tuple[str, ...]
    num_prompts: int
    latent_frames: int
    at_s: tuple[float, ...]


@dataclass(frozen=True, kw_only=True)
class BenchSpec:
    """The speed of the orders, side by side in one job.

    Attributes:
        gpus: One a process of order `pipelined`.
        ranks: Processes of that order where there is no GPU, a core each.
    """

    config: str
    orders: tuple[str, ...]
    latent_frames: int
    window: int
    warmup: int
    repeats: int
    gpus: int
    expected_s: float
    ranks: int = 1


@dataclass(frozen=True, kw_only=True)
class TimingSpec:
    """The speed of compared models, one job a run."""

    runs: tuple[str, ...]
    repeats: int


@dataclass(frozen=True, kw_only=True)
class FigureSpec:
    """What the figures show: number of prompts, and the columns' times in seconds."""

    sheet_prompts: int
    sheet_times_s: tuple[float, ...]


@dataclass(frozen=True, kw_only=True)
class ExtraJob:
    """A job of one's own; argv may hold {python}, {out}, {packages} and {data}.

    Attributes:
        proofs: Files that must be there afterwards; none are the outputs themselves.
    """

    name: str
    argv: tuple[str, ...]
    outputs: tuple[str, ...]
    proofs: tuple[str, ...] = ()
    needs: tuple[str, ...] = ()
    gpus: int = 0
    retries: int = 0
    expected_s: float = 60.0


@dataclass(frozen=True, kw_only=True)
class Preset:
    """Everything one `--preset` runs.

    Attributes:
        name: Name on the command line.
        scale: Mark of each measured number: `tiny`, or `paper` for the paper's own sizes.
        about: One line for `--help`.
        caption: What a reader must know before comparing; stands under each table.
        inputs: Globs of package files that every job's id follows.
        tables: The tables that it fills; what a row reads stands with the table.
    """

    name: str
    scale: str
    about: str
    caption: str
    runs: tuple[RunSpec, ...]
    samples: tuple[SampleSpec, ...]
    score: ScoreSpec
    figures: FigureSpec
    tables: tuple[str, ...]
    bench: BenchSpec
    vbench: VBenchSpec | None = None
    proxies: ProxySpec | None = None
    timing: TimingSpec | None = None
    lengths: LengthsSpec | None = None
    inputs: tuple[str, ...] = ()
    jobs: tuple[ExtraJob, ...] = field(default_factory=tuple)

    def __post_init__(self) -> None:
        if self.scale not in ("tiny", "paper"):
            raise UsageError(f"presets.{self.name}: scale is {self.scale!r}; it is tiny or paper")
        names = {run.name for run in self.runs}
        if len(names) != len(self.runs):
            raise UsageError(f"presets.{self.name}: runs must differ")
        for part, spec in (("timing", self.timing), ("lengths", self.lengths)):
            unlisted = set(spec.runs if spec else ()) - names
            if unlisted:
                raise UsageError(
                    f"presets.{self.name}.{part}: {min(unlisted)!r} is not in its runs"
                )
        sampled = {sample.prompts.name for sample in self.samples}
        measured = (
            ("score", self.score.prompts),
            ("vbench", self.vbench_prompts),
            ("proxies", self.proxies.prompts if self.proxies else None),
        )
        for part, prompts in measured:
            if prompts is not None and prompts.name not in sampled:
                raise UsageError(
                    f"presets.{self.name}.{part}: no videos are made of prompts {prompts.name!r}"
                )
        if self.lengths is not None:
            self._check_lengths(self.lengths)

    def _check_lengths(self, spec: LengthsSpec) -> None:
        where, most = f"presets.{self.name}.lengths", self.score.prompts.count
        if not 0 < spec.num_prompts <= most:
            raise UsageError(f"{where}: num_prompts {spec.num_prompts} must lie in 1 to {most}")
        for run in map(self.run, spec.runs):
            if run.tool != "hiar":
                raise UsageError(f"{where}: {run.name} is not sampled by hiar; leave it out")
            seconds = num_frames(spec.latent_frames) / run.fps
            if not spec.at_s or max(spec.at_s) > seconds:
                raise UsageError(
                    f"{where}: at_s {list(spec.at_s)} must be lengths up to {seconds:g} s, that of "
                    f"{spec.latent_frames} latent frames"
                )

    @property
    def vbench_prompts(self) -> PromptSet | None:
        """The prompts of VBench, None where it is not run."""
        return self.vbench.prompts if self.vbench else None

    @property
    def sample(self) -> SampleSpec:
        """The videos that drift is measured on and figures show."""
        wanted = self.score.prompts.name
        return next(sample for sample in self.samples if sample.prompts.name == wanted)

    def run(self, name: str) -> RunSpec:
        """Returns the run of that name."""
        return next(run for run in self.runs if run.name == name)

    @property
    def sha256(self) -> str:
        """Identity of all that decides a result; captions, costs and tables do not."""
        parts = {
            "runs": [_without(asdict(run), "label", "cost", "gpus") for run in self.runs],
            "samples": [asdict(sample) for sample in self.samples],
            "score": _without(asdict(self.score), "cost", "gpus"),
            "bench": _without(asdict(self.bench), "expected_s"),
            "vbench": self.vbench and self.vbench.prompts.name,
            "proxies": self.proxies and self.proxies.prompts.name,
            "timing": self.timing and asdict(self.timing),
            "lengths": self.lengths and asdict(self.lengths),
            "jobs": [_without(asdict(job), "expected_s", "retries") for job in self.jobs],
        }
        return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()


def _without(table: dict[str, Any], *keys: str) -> dict[str, Any]:
    return {key: value for key, value in table.items() if key not in keys}


def read_spec(text: str) -> dict[str, Preset]:
    """Parses a spec.

    Args:
        text: TOML.

    Returns:
        The presets by name.

    Raises:
        UsageError: On anything unknown, missing or of the wrong type.
    """
    try:
        data = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise UsageError(f"spec: {error}; it must be TOML") from None
    if data.get("schema") != SPEC_SCHEMA:
        raise UsageError(f"spec: schema is {data.get('schema')!r}; this reads {SPEC_SCHEMA!r}")
    sections = ("prompts", "costs", "runs", "presets")
    unknown = set(data) - {"schema", *sections}
    if unknown:
        raise UsageError(
            f"spec: unknown key {min(unknown)!r}; known: schema, {', '.join(sections)}"
        )
    prompts = named_tables(PromptSet, data.get("prompts", {}), "prompts")
    costs = named_tables(Cost, data.get("costs", {}), "costs")
    runs = named_tables(RunSpec, data.get("runs", {}), "runs", cost=costs)
    presets = data.get("presets", {})
    known: dict[str, Mapping[str, Any]] = {"prompts": prompts, "cost": costs}
    return {name: _preset(name, table, runs, known) for name, table in presets.items()}


def _preset(
    name: str,
    table: Mapping[str, Any],
    runs: Mapping[str, RunSpec],
    known: Mapping[str, Mapping[str, Any]],
) -> Preset:
    where = f"presets.{name}"
    parts: dict[str, Any] = {"name": name, **table}
    single = {"score": ScoreSpec, "bench": BenchSpec, "vbench": VBenchSpec, "proxies": ProxySpec,
              "timing": TimingSpec, "lengths": LengthsSpec, "figures": FigureSpec}  # fmt: skip
    for key, kind in single.items():
        if key in parts:
            parts[key] = from_table(kind, parts[key], f"{where}.{key}", **known)
    for key, kind in {"samples": SampleSpec, "jobs": ExtraJob}.items():
        if key in parts:
            parts[key] = [from_table(kind, one, f"{where}.{key}", **known) for one in parts[key]]
    return from_table(Preset, parts, where, runs=runs)


def load_preset(name: str, spec: Path | None = None) -> Preset:
    """Reads one preset.

    Args:
        name: Its name.
        spec: A spec file of one's own; None is the one that ships with the package.

    Raises:
        UsageError: When there is no such file or preset, or the spec is wrong.
    """
    try:
        shipped = files("reports").joinpath(SHIPPED)
        text = (spec or shipped).read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or "not UTF-8"
        raise UsageError(f"--spec {spec}: {reason}; give a TOML file") from None
    presets = read_spec(text)
    if name not in presets:
        raise UsageError(f"--preset {name}: unknown; choose from {', '.join(presets)}")
    return presets[name]
