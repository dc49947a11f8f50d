"""What the toolkit knows about a compared model, as data.

Sources are repositories at a commit. The models' files refer to these snapshots:
Self-Forcing 33593df, CausVid ca21150, Causal-Forcing 1fc7bbc, HiAR da267d3, LongLive v1.0,
Wan2.1 9737cba, MAGI-1 6ff822e, NOVA 2cd254a, Pyramid-Flow 3040d71, SkyReels-V2 abed76f,
LTX-Video 5260738, Infinity-RoPE 63d7b84, Reward-Forcing 4317f5a, diffusers 0.42.1.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal, TypeAlias

from hiar.sampling.config import SamplerConfig
from hiar.weights.download import MAIN
from hiar.weights.releases import WeightFile, find_release

Kind = Literal["bidirectional", "autoregressive", "distilled"]
How = Literal["hiar engine", "diffusers pipeline", "external command"]
Use = Literal["call", "scheduler", "fact"]
Value: TypeAlias = bool | int | float | str | tuple[int, ...]

_LEVELS = {"clean": "clean", "output": "at the step's output noise", "input": "at its input noise"}
_KEY = re.compile(r"[a-z0-9]+([.-][a-z0-9]+)*")


@dataclass(frozen=True, kw_only=True)
class Length:
    """A video length that the model's own code supports.

    Attributes:
        num_frames: Number of frames of the video that is written.
        made_frames: Number of frames that the model makes, of which the first `num_frames` are
            kept; None if all are kept.
        arguments: Arguments that make the model produce this length.
    """

    num_frames: int
    made_frames: int | None = None
    arguments: Mapping[str, Value] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Rejects a length of more frames than the model makes."""
        if not 1 <= self.num_frames <= self.frames_made:
            raise ValueError(f"{self.num_frames} frames cannot be cut from {self.frames_made}")

    @property
    def frames_made(self) -> int:
        """Number of frames that the model makes, before the video is cut."""
        return self.num_frames if self.made_frames is None else self.made_frames

    @property
    def setting(self) -> str:
        """The arguments and the cut as text."""
        words = [f"{name}={value}" for name, value in self.arguments.items()]
        cut = [] if self.made_frames is None else [f"cut from {self.made_frames} frames"]
        return ", ".join(words + cut)


@dataclass(frozen=True, kw_only=True)
class Setting:
    """One run setting and where it comes from.

    Attributes:
        name: Name in the model's code.
        value: Value that the model is run with.
        source: Source of the value.
        use: Whether the value is passed to the model's call, passed to its scheduler, or only
            documents a fact that follows from something else.
    """

    name: str
    value: Value
    source: str
    use: Use = "call"

    def __post_init__(self) -> None:
        """Refuses a value without a source."""
        if not self.source.strip():
            raise ValueError(f"{self.name} {self.value!r}: a setting has a source")


@dataclass(frozen=True, kw_only=True)
class Trained:
    """The length of the videos that a model was trained on, and where its authors say so."""

    num_frames: int
    source: str


@dataclass(frozen=True, kw_only=True)
class Environment:
    """How to make the environment of an external program.

    Attributes:
        repository: Address of the program's code.
        commit: Commit at which its settings were read.
        python: Python version that its authors name.
        install: Commands to run in the code's folder; `python` is the environment's.
        source: Source of the recipe.
    """

    repository: str
    commit: str
    python: str
    install: tuple[str, ...]
    source: str


@dataclass(frozen=True, kw_only=True)
class Command:
    """An external program.

    Words in braces are replaced for each run: `{python}` and `{code}` are the interpreter and the
    code of its environment, `{weights}` is the folder of its repository, `{runner}` our
    script, `{device}` the device, `{config}` the configuration file of the run, `{prompt}` the
    prompt and `{video}` the path of the video to write.

    Attributes:
        environment: Recipe of the environment that it runs in.
        argv: Command line.
        variables: Environment variables.
        runner: Name of our script in `baselines/runners`; None if the model has a program of its
            own. A runner keeps the model loaded and takes one job after the other.
        config_base: JSON file of the code on which the configuration is based; None starts from
            an empty one.
        config_section: Entry of that file in which settings are written; None is the top level.
        paths: Settings that name folders.
        size_names: Names of the settings for height and width; None if the size is fixed.
        timeout_s: Longest time for one video, loading included.
        timing_lengths: Two lengths that differ by whole steady chunks.
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
class ReleasedCode:
    """The code that a distilled model was released with, which is run for its speed alone.

    Attributes:
        environment: Recipe of the environment that it runs in.
        config: Configuration file of the code.
        method: Method of its pipeline that makes a video.
        arguments: Arguments of that method.
    """

    environment: Environment
    config: str
    method: str
    arguments: Mapping[str, Value] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class ModelSpec:
    """One compared model.

    Attributes:
        key: Name on the command line and in the paper's tables.
        label: Name to display.
        kind: Group in the paper's Table 1.
        how: Backend that runs it.
        entry: Class, script or command that runs it.
        weights: Files and folders that must be fetched.
        licence: Licence of code and weights; says what could not be confirmed.
        height_px: Native height.
        width_px: Native width.
        fps: Native frame rate.
        lengths: Supported lengths, shortest first.
        settings: Run settings, each with its source.
        chunk_frames: Number of frames that one steady chunk adds; None for a model without chunks.
        release: The release of a distilled causal Wan model, which says how it samples; None for
            the rest.
        overlap: Latent frames that two windows of a long video share; 0 if one window rolls on.
        command: The program of an external model; None for the rest.
        code: The code of a distilled model, to time it beside `hiar`; None where that is not done.
        trained: Length of the videos it was trained on; None if no source was found.
        in_paper: Whether it is in the paper's Table 1.
        notes: Remarks that a reader of its numbers needs.
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
    code: ReleasedCode | None = None
    trained: Trained | None = None
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
    def sees(self) -> str:
        """What a block sees while it is made, in a few words."""
        if self.chunk_frames is None:
            return "the whole video"
        if self.sampler is None:
            return "as its own code says"
        sink = f", {self.sampler.sink} of them sink" if self.sampler.sink else ""
        level = _LEVELS[self.sampler.context]
        return f"{self.sampler.window} latent frames{sink}; earlier blocks {level}"

    @property
    def repository(self) -> str:
        """Hub repository of the model's own weights."""
        return self.weights[0].repo

    @property
    def revision(self) -> str:
        """Commit of that repository, or "main" where none is known."""
        return self.weights[0].revision

    @property
    def longest_s(self) -> float:
        """Duration of the longest supported length."""
        return self.lengths[-1].num_frames / self.fps

    @property
    def trained_s(self) -> float | None:
        """Duration of the videos that it was trained on; None if that is not known."""
        return None if self.trained is None else self.trained.num_frames / self.fps

    @property
    def reaches_20_s(self) -> bool:
        """Whether a supported length gives the paper's 20 s."""
        return self.longest_s >= 20.0

    def values(self, use: Use) -> dict[str, Value]:
        """Values of the settings with one use, by name."""
        return {s.name: s.value for s in self.settings if s.use == use}


def diffusers_layout(repo: str, revision: str = MAIN) -> tuple[WeightFile, ...]:
    """Lists the weights of a text-to-video pipeline in diffusers' folder layout.

    Source:
        diffusers 0.42.1, constructors of LTXPipeline, WanPipeline and
        SkyReelsV2DiffusionForcingPipeline (the same five components).
    """
    tensors = ("transformer/", "vae/", "text_encoder/")
    others = ("tokenizer/", "scheduler/", "model_index.json")
    return (
        *(
            WeightFile(repo=repo, path=p, revision=revision, present="*.safetensors")
            for p in tensors
        ),
        *(WeightFile(repo=repo, path=p, revision=revision) for p in others),
    )
