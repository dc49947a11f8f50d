"""What the toolkit knows about a compared model, as data.

Sources are repositories at a commit. The snapshots that the models' files refer to:
Self-Forcing 33593df, CausVid ca21150, Causal-Forcing 1fc7bbc, HiAR da267d3, LongLive v1.0,
Wan2.1 9737cba, MAGI-1 6ff822e, NOVA 2cd254a, Pyramid-Flow 3040d71, SkyReels-V2 abed76f,
LTX-Video 5260738, diffusers 0.42.1.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal, TypeAlias

from hiar.sampling.config import SamplerConfig
from hiar.weights.releases import WeightFile, find_release

Kind = Literal["bidirectional", "autoregressive", "distilled"]
How = Literal["hiar engine", "diffusers pipeline", "external command"]
Use = Literal["call", "scheduler", "fact"]
Value: TypeAlias = bool | int | float | str | tuple[int, ...]

HUB_REVISION = "main"
"""Branch that weights are fetched from: no release names a commit of its hub repository. What was
fetched is told by each file's sha256, which stands in every result."""

_KEY = re.compile(r"[a-z0-9]+([.-][a-z0-9]+)*")


@dataclass(frozen=True, kw_only=True)
class Length:
    """A video length that the model's own code supports.

    Attributes:
        num_frames: Frames of the video that is written.
        made_frames: Frames that the model makes, of which the first `num_frames` are kept; None
            if all are.
        arguments: What the model is asked for to get it.
    """

    num_frames: int
    made_frames: int | None = None
    arguments: Mapping[str, Value] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Rejects a cut that would have to invent frames."""
        if not 1 <= self.num_frames <= self.frames_made:
            raise ValueError(f"{self.num_frames} frames cannot be cut from {self.frames_made}")

    @property
    def frames_made(self) -> int:
        """Frames before the cut."""
        return self.num_frames if self.made_frames is None else self.made_frames

    @property
    def setting(self) -> str:
        """The arguments in words."""
        words = [f"{name}={value}" for name, value in self.arguments.items()]
        cut = [] if self.made_frames is None else [f"cut from {self.made_frames} frames"]
        return ", ".join(words + cut)


@dataclass(frozen=True, kw_only=True)
class Setting:
    """One run setting and where it comes from.

    Attributes:
        name: As the model's code calls it.
        value: What it is run with.
        source: Where the value is from.
        use: Whether it is passed to the model's call, put into its scheduler, or is a fact that
            follows from something else and is there to be read.
    """

    name: str
    value: Value
    source: str
    use: Use = "call"


@dataclass(frozen=True, kw_only=True)
class Environment:
    """How to make the environment of an external program.

    Attributes:
        repository: Where its code is.
        commit: The commit that its settings were read at.
        python: Version that its authors name.
        install: Commands in the code's folder, with `python` that of the environment.
        source: Where the recipe is from.
    """

    repository: str
    commit: str
    python: str
    install: tuple[str, ...]
    source: str


@dataclass(frozen=True, kw_only=True)
class Command:
    """An external program.

    Words in braces are filled in for each run: `{python}` and `{code}` of its environment,
    `{weights}` the weights folder, `{runner}` our script, `{config}` the configuration written for
    the run, `{prompt}`, `{video}` where its video goes.

    Attributes:
        environment: How to make what it runs in.
        argv: Command line.
        variables: Environment variables.
        runner: Name of our script in `baselines/runners`, None for a program of the model's own.
            A runner stays loaded and takes one job after the other.
        config_base: JSON file of the code to begin the configuration with; None begins empty.
        config_section: Entry of that file that settings go to; None is the top.
        paths: Settings that name folders.
        size_names: Settings that take height and width; None if the size is fixed.
        timeout_s: Longest time for one video, loading included.
        timing_lengths: Two lengths whose difference is made of steady chunks.
    """

    environment: Environment
    argv: tuple[str, ...]
    variables: Mapping[str, str] = field(default_factory=dict)
    runner: str | None = None
    config_base: str | None = None
    config_section: str | None = None
    paths: Mapping[str, str] = field(default_factory=dict)
    size_names: tuple[str, str] | None
    timeout_s: float
    timing_lengths: tuple[Length, Length]


@dataclass(frozen=True, kw_only=True)
class ModelSpec:
    """One compared model.

    Attributes:
        key: Name on the command line and in the paper's tables.
        label: Name for people.
        kind: The paper's group.
        how: What runs it.
        entry: The class, script or command that runs it.
        weights: What must be fetched.
        licence: Of code and weights; says what could not be confirmed.
        height_px: Native height.
        width_px: Native width.
        fps: Native frame rate.
        lengths: Supported lengths, shortest first.
        settings: Run settings, each with its source.
        chunk_frames: Frames that one steady chunk adds; None for a model without chunks.
        release: The release of a distilled causal Wan model, which says how it samples; None for
            the rest.
        overlap: Latent frames that two windows of a long video share; 0 if one window rolls on.
        command: The program of an external model, None for the rest.
        in_paper: Whether the paper's Table 1 has it.
        notes: What a reader of its numbers has to know.
    """

    key: str
    label: str
    kind: Kind
    how: How
    entry: str
    weights: tuple[WeightFile, ...]
    licence: str
    height_px: int
    width_px: int
    fps: int
    lengths: tuple[Length, ...]
    settings: tuple[Setting, ...]
    chunk_frames: int | None = None
    release: str | None = None
    overlap: int = 0
    command: Command | None = None
    in_paper: bool = True
    notes: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        """Rejects a spec that contradicts itself."""
        if not _KEY.fullmatch(self.key):
            raise ValueError(f"{self.key!r}: a key is lower case words joined by - or .")
        if (self.kind == "distilled") != (self.release is not None):
            raise ValueError(f"{self.key}: the distilled kind, and only it, has a release")
        if self.overlap and (not self.sampler or self.overlap % self.sampler.frames_per_block):
            raise ValueError(f"{self.key}: windows of a distilled model overlap by whole blocks")
        if (self.how == "external command") != (self.command is not None):
            raise ValueError(f"{self.key}: an external model, and only it, has a command")
        if (self.kind == "bidirectional") != (self.chunk_frames is None):
            raise ValueError(f"{self.key}: a bidirectional model, and only it, has no chunks")
        frames = [length.num_frames for length in self.lengths]
        if not frames or frames != sorted(set(frames)):
            raise ValueError(f"{self.key}: lengths must rise")
        if not self.weights:
            raise ValueError(f"{self.key}: weights are empty")

    @property
    def sampler(self) -> SamplerConfig | None:
        """Sampler settings of the release, which hold within a window if windows overlap."""
        return None if self.release is None else find_release(self.release).sampler

    @property
    def repository(self) -> str:
        """The hub repository of the model itself."""
        return self.weights[0].repo

    @property
    def revision(self) -> str:
        """Branch or commit of that repository."""
        return HUB_REVISION

    @property
    def longest_s(self) -> float:
        """Duration of the longest supported length."""
        return self.lengths[-1].num_frames / self.fps

    @property
    def reaches_20_s(self) -> bool:
        """Whether a supported length gives the paper's 20 s."""
        return self.longest_s >= 20.0

    def values(self, use: Use) -> dict[str, Value]:
        """The settings of one use by their names."""
        return {s.name: s.value for s in self.settings if s.use == use}


def diffusers_layout(repo: str) -> tuple[WeightFile, ...]:
    """Lists what a text-to-video pipeline in diffusers' folder layout consists of.

    Source:
        diffusers 0.42.1, constructors of LTXPipeline, WanPipeline and
        SkyReelsV2DiffusionForcingPipeline (the same five components).
    """
    folders = ("transformer/", "vae/", "text_encoder/")
    return (
        *(WeightFile(repo=repo, path=folder, present="*.safetensors") for folder in folders),
        WeightFile(repo=repo, path="tokenizer/"),
        WeightFile(repo=repo, path="scheduler/"),
        WeightFile(repo=repo, path="model_index.json"),
    )
