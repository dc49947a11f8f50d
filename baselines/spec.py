"""What the toolkit knows about a compared model, as data.

Sources are repositories at a commit. The snapshots that the models' files refer to:
Self-Forcing 33593df, CausVid ca21150, Causal-Forcing 1fc7bbc, HiAR da267d3, Wan2.1 9737cba,
MAGI-1 6ff822e, NOVA 2cd254a, Pyramid-Flow 3040d71, SkyReels-V2 abed76f, LTX-Video 5260738,
diffusers 0.42.1.
"""

import re
from dataclasses import dataclass
from typing import Literal

from hiar.config import Context, Order
from hiar.releases import WeightFile

Kind = Literal["bidirectional", "autoregressive", "distilled"]
How = Literal["hiar engine", "diffusers pipeline", "external command"]
Rollout = Literal["rolling window", "overlapping windows"]

_KEY = re.compile(r"[a-z0-9]+([.-][a-z0-9]+)*")


@dataclass(frozen=True, kw_only=True)
class Length:
    """A video length that the model's own code supports, and the setting that gives it."""

    num_frames: int
    setting: str


@dataclass(frozen=True, kw_only=True)
class Setting:
    """One run setting and where it comes from."""

    name: str
    value: str
    source: str


@dataclass(frozen=True, kw_only=True)
class Distilled:
    """How a distilled causal Wan model samples.

    Attributes:
        steps: Entries of the timestep list before warping, falling, in (0, 1000].
        warp: Whether the list indexes the shifted table (True) or is used as it stands.
        shift: Shift of the 1000-entry sigma table.
        frames_per_block: Latent frames denoised together.
        order: Which loop is outside.
        context: Noise level at which earlier blocks are seen.
        stochastic: True if x0 is re-noised with fresh noise, False for Euler steps.
        window: Latent frames a query may see, its own block included.
        sink: First latent frames that are never evicted.
        rollout: What happens past ``window`` latent frames.
        overlap: Latent frames that two overlapping windows share, 0 with a rolling window.
        state_dict_keys: Entries of the checkpoint that hold the weights, first match wins.
        source: Where the values come from.
    """

    steps: tuple[float, ...] = (1000, 750, 500, 250)
    warp: bool = True
    shift: float = 5.0
    frames_per_block: int = 3
    order: Order = "block_first"
    context: Context = "clean"
    stochastic: bool = True
    window: int = 21
    sink: int = 0
    rollout: Rollout = "rolling window"
    overlap: int = 0
    state_dict_keys: tuple[str, ...]
    source: str

    def __post_init__(self) -> None:
        """Rejects a step list that does not fall and a context its order cannot give."""
        falling = all(a > b for a, b in zip(self.steps, self.steps[1:], strict=False))
        if not self.steps or not falling or not 0 < self.steps[-1] <= self.steps[0] <= 1000:
            raise ValueError(f"steps {self.steps} must fall within (0, 1000]")
        if self.order == "block_first" and self.context != "clean":
            raise ValueError("block_first sees clean context only")
        if self.window % self.frames_per_block:
            raise ValueError("window must hold whole blocks")


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
        distilled: The sampler of a distilled causal Wan model, None for the rest.
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
    distilled: Distilled | None = None
    notes: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        """Rejects a spec that contradicts itself."""
        if not _KEY.fullmatch(self.key):
            raise ValueError(f"{self.key!r}: a key is lower case words joined by - or .")
        if (self.kind == "distilled") != (self.distilled is not None):
            raise ValueError(f"{self.key}: the distilled kind, and only it, has a sampler")
        frames = [length.num_frames for length in self.lengths]
        if not frames or frames != sorted(set(frames)):
            raise ValueError(f"{self.key}: lengths must rise")
        if not self.weights:
            raise ValueError(f"{self.key}: weights are empty")

    @property
    def repository(self) -> str:
        """The hub repository of the model itself."""
        return self.weights[0].repo

    @property
    def longest_s(self) -> float:
        """Duration of the longest supported length."""
        return self.lengths[-1].num_frames / self.fps

    @property
    def reaches_20_s(self) -> bool:
        """Whether a supported length gives the paper's 20 s."""
        return self.longest_s >= 20.0


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
