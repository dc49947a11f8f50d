"""Parts of a preset as dataclasses that check themselves: prompts, runs, lengths, metrics, jobs."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from baselines.lengths import TOLERANCE_S
from baselines.registry import UnknownModelError, find_model
from baselines.spec import ModelSpec
from drift.errors import UsageError
from drift.metrics.registry import resolve_metrics
from hiar.model.geometry import num_frames

TINY_FPS = 16


@dataclass(frozen=True, kw_only=True)
class PromptSet:
    """A file of prompts, one a line.

    Attributes:
        file: Path of the file in a package, or below the data folder if it begins with `{data}`.
        count: Number of prompts in the file.
        source: Where the prompts come from.
        get: How to get a file that does not ship; empty for one that does.
        names: File of short prompts that name the videos, where `file` has longer ones.
    """

    name: str
    file: str
    count: int
    source: str
    get: str = ""
    names: str = ""

    @property
    def shipped(self) -> bool:
        """Whether the file ships in a package."""
        return not self.file.startswith("{data}")

    @property
    def name_file(self) -> str:
        """File whose lines name the videos."""
        return self.names or self.file


@dataclass(frozen=True, kw_only=True)
class Cost:
    """How long videos take, as an estimate with its source.

    Attributes:
        frames_per_s: Decoded frames that one job makes a second.
        decode_frames_per_s: Frames that the VAE decodes a second, where `frames_per_s` leaves the
            VAE out; 0 where it does not.
        load_s: Seconds that a job takes before its first video, mostly to load weights.
        device: What the rates were measured on.
    """

    name: str
    frames_per_s: float
    load_s: float
    device: str
    source: str
    decode_frames_per_s: float = 0.0

    def seconds(self, num_videos: int, num_frames: int) -> float:
        """Estimates the seconds of one job that makes videos of that many frames each."""
        each = num_frames / self.frames_per_s
        if self.decode_frames_per_s:
            each += num_frames / self.decode_frames_per_s
        return self.load_s + num_videos * each


@dataclass(frozen=True, kw_only=True)
class RunSpec:
    """One way to make videos; `name` is the folder of its videos.

    Attributes:
        tool: Command that makes them: hiar (`hiar sample`) or baselines
            (`hiar-baselines generate`).
        order, context, context_noise: Options of `hiar sample`; the tool baselines has none.
        weights: Checkpoint instead of the model's own; begins with `{data}`, or with `{packages}`
            where it ships.
        seconds: Length of a video, where it is not the preset's.
        gpus: Number of GPUs that one job takes.
        videos_per_job: Number of videos that one job makes; 0 puts all videos of a prompt set and
            seed into one job.
        in_figures: Whether films and the figures of all runs show it.
    """

    name: str
    label: str
    tool: Literal["hiar", "baselines"]
    model: str
    cost: Cost
    order: str = ""
    context: str = ""
    context_noise: float = 0.0
    weights: str = ""
    seconds: float = 0.0
    gpus: int = 0
    videos_per_job: int = 0
    in_figures: bool = True

    def __post_init__(self) -> None:
        if self.tool == "hiar" and not (self.order and self.context):
            raise UsageError("tool hiar needs order and context")
        if self.videos_per_job < 0 or self.gpus < 0:
            raise UsageError("gpus and videos_per_job must not be negative")
        if self.model != "tiny":
            self.baseline  # noqa: B018  (an unknown model raises here)

    @property
    def own_weights(self) -> str:
        """Checkpoint that the user brings; empty for weights that ship or are the model's own."""
        return self.weights if self.weights.startswith("{data}") else ""

    @property
    def baseline(self) -> ModelSpec:
        """The registry's entry of the model."""
        try:
            return find_model(self.model)
        except UnknownModelError as error:
            raise UsageError(f"{error}, or tiny") from None

    @property
    def fps(self) -> int:
        """Frame rate of its videos."""
        return TINY_FPS if self.model == "tiny" else self.baseline.fps


@dataclass(frozen=True, kw_only=True)
class SampleSpec:
    """Videos that every run of a preset makes.

    Attributes:
        seeds: Each seed makes another video of each prompt.
        seconds: Length of a video, unless the run has its own.
        latent_frames: The same length for the tool hiar, in latent frames.
        window: Attention window for the tool hiar, in latent frames.
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
        """Returns the number of frames of one video of a run.

        Raises:
            UsageError: The model's own code supports no such length.
        """
        if run.tool == "hiar":
            return num_frames(self.latent_frames)
        spec, seconds = run.baseline, run.seconds or self.seconds
        lengths = [length.num_frames for length in spec.lengths]
        least = (seconds - TOLERANCE_S) * spec.fps
        fitting = [frames for frames in lengths if frames >= least]
        if not fitting:
            raise UsageError(
                f"runs.{run.name}: {seconds:g} s is longer than {spec.label} supports; give "
                f"seconds = {spec.longest_s:g} at most"
            )
        return fitting[0]


@dataclass(frozen=True, kw_only=True)
class ScoreSpec:
    """How drift is scored: over which prompts, by which metrics, on how many GPUs."""

    prompts: PromptSet
    metrics: tuple[str, ...]
    gpus: int
    cost: Cost

    def __post_init__(self) -> None:
        resolve_metrics(self.metrics)  # an unknown metric raises here


@dataclass(frozen=True, kw_only=True)
class VBenchSpec:
    """How VBench is run: over which prompts.

    Attributes:
        seconds_per_video_s: Seconds that all dimensions take for a second of video.
        source: Where that estimate comes from.
        custom: Whether the prompts are not VBench's own: upstream's custom mode has the seven
            quality dimensions only.
    """

    prompts: PromptSet
    seconds_per_video_s: float
    source: str
    custom: bool = False

    @property
    def identity(self) -> str:
        """What decides its results: the prompts, and whether they are VBench's own."""
        return f"{self.prompts.name}, custom" if self.custom else self.prompts.name


@dataclass(frozen=True, kw_only=True)
class ProxySpec:
    """Proxies of VBench's dimensions that need no weights, measured on the tiny world's videos."""

    prompts: PromptSet
    cost: Cost


@dataclass(frozen=True, kw_only=True)
class LengthsSpec:
    """Drift against length: videos of some runs, scored after each of some lengths.

    Attributes:
        runs: Names of the runs; longer videos need the tool hiar.
        at_s: Lengths at which drift is scored, in seconds, none longer than the videos.
        latent_frames: Length of longer videos, made for this; the window is that of the preset's
            videos. With 0 the runs' own videos are scored.
        num_prompts: Number of prompts of longer videos, the first ones of those that are scored.
    """

    runs: tuple[str, ...]
    at_s: tuple[float, ...]
    latent_frames: int = 0
    num_prompts: int = 0

    @property
    def longer(self) -> bool:
        """Whether longer videos are made for it."""
        return self.latent_frames > 0


@dataclass(frozen=True, kw_only=True)
class BenchSpec:
    """The speed of the orders, side by side in one job.

    Attributes:
        gpus: Number of GPUs, one for each process of order `pipelined`.
        ranks: Number of processes of that order where there is no GPU; each takes a core.
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
    """How the speed of compared models is measured: one job for each run."""

    runs: tuple[str, ...]
    repeats: int


@dataclass(frozen=True, kw_only=True)
class FigureSpec:
    """What the figures of frames show: how many prompts, and at which times of the video."""

    sheet_prompts: int
    sheet_times_s: tuple[float, ...]


@dataclass(frozen=True, kw_only=True)
class ExtraJob:
    """A job that the spec itself spells out; argv may hold {python}, {out}, {packages} and {data}.

    Attributes:
        proofs: Files that the job must have written; with none given, its outputs.
        needs: Names of the jobs whose outputs this one reads.
    """

    name: str
    argv: tuple[str, ...]
    outputs: tuple[str, ...]
    proofs: tuple[str, ...] = ()
    needs: tuple[str, ...] = ()
    gpus: int = 0
    retries: int = 0
    expected_s: float = 60.0
