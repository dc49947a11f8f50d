"""The networks of a training run by name: sizes, weights, text encoder, VAE."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch

from hiar.errors import UsageError
from hiar.model.config import WanConfig
from hiar.model.geometry import SPATIAL_STRIDE
from hiar.model.transformer import CausalWan
from hiar.tiny.preset import asset, byte_tokenizer
from hiar.tiny.study import WEIGHTS_FILE
from hiar.tiny.world import FPS as TINY_FPS
from hiar.tiny.world import SIZE_PX, draw_scene
from hiar.training.keyed import keyed_generator
from hiar.weights.checkpoint import load_release, load_transformer
from hiar.weights.local import require
from hiar.weights.records import weights_sha256
from hiar.weights.releases import FPS as WAN_FPS
from hiar.weights.releases import (
    HEIGHT_PX,
    NEGATIVE_PROMPT,
    PARTS,
    RELEASES,
    TEXT_ENCODER,
    TOKENIZER,
    VAE,
    WIDTH_PX,
)

if TYPE_CHECKING:
    from hiar.codecs.text import PromptEncoder
    from hiar.codecs.vae import VideoAutoencoder

SIZES: dict[str, Callable[[], WanConfig]] = {
    "tiny": WanConfig.tiny,
    "wan-1.3b": WanConfig.wan_1_3b,
    "wan-14b": WanConfig.wan_14b,
}
RANDOM = "random"
SHIPPED = {"tiny/teacher": "teacher", "tiny/transformer": "transformer"}
"""Names of shipped weights, and their folders among the tiny assets."""


def default_teacher(size: str) -> str:
    """Weights of the bidirectional model of a size."""
    size_config(size)
    return "tiny/teacher" if size == "tiny" else f"wan2.1-{size.removeprefix('wan-')}"


def size_config(size: str) -> WanConfig:
    """Sizes of a transformer by name.

    Raises:
        UsageError: If there is none of that name.
    """
    if size not in SIZES:
        raise UsageError(f"size {size!r} is unknown: use one of {', '.join(SIZES)}")
    return SIZES[size]()


@dataclass(frozen=True, kw_only=True)
class VideoFormat:
    """Pictures and prompts of the videos that networks of one family make.

    Attributes:
        name: tiny, or wan.
        size_px: (height, width) of the videos.
        fps: Frames a second.
        negative_prompt: Prompt that guidance leads away from; "" is the model's own unconditional
            input.
    """

    name: str
    size_px: tuple[int, int]
    fps: int
    negative_prompt: str

    def latent_shape(self, channels: int = 16) -> tuple[int, int, int]:
        """(C, H, W) of a latent frame."""
        height, width = self.size_px
        return channels, height // SPATIAL_STRIDE, width // SPATIAL_STRIDE


TINY_FORMAT = VideoFormat(name="tiny", size_px=(SIZE_PX, SIZE_PX), fps=TINY_FPS, negative_prompt="")
WAN_FORMAT = VideoFormat(
    name="wan", size_px=(HEIGHT_PX, WIDTH_PX), fps=WAN_FPS, negative_prompt=NEGATIVE_PROMPT
)


def video_format(size: str) -> VideoFormat:
    """The format of the videos that a size of transformer makes."""
    size_config(size)
    return TINY_FORMAT if size == "tiny" else WAN_FORMAT


def weights_path(weights: str) -> Path:
    """Path of weights: `tiny/teacher`, `tiny/transformer`, a name of `hiar weights`, or a path.

    Raises:
        UsageError: If there are no such weights.
    """
    if weights in SHIPPED:
        return asset(SHIPPED[weights], WEIGHTS_FILE)
    if any(part.key == weights for part in PARTS):
        return require(weights)
    path = Path(weights)
    if not path.exists():
        known = ", ".join([*SHIPPED, "wan2.1-1.3b", "wan2.1-14b"])
        raise UsageError(f"no weights {weights!r}: use {known}, {RANDOM}, or a file that exists")
    return path


def load_network(weights: str, size: str, *, seed: int = 0) -> CausalWan:
    """A transformer in float32 on the CPU, frozen.

    Args:
        weights: A name or path as in `weights_path`, the name of a release, which is then loaded
            by its own rules, or `random`.
        size: Name of the transformer's sizes.
        seed: Seed of random weights.
    """
    config = size_config(size)
    if weights == RANDOM:
        return random_network(config, seed)
    if any(release.key == weights for release in RELEASES):
        return load_release(weights)
    return load_transformer(weights_path(weights), config)


def random_network(config: WanConfig, seed: int) -> CausalWan:
    """Fresh weights, as the modules initialise themselves, whatever was drawn before."""
    generator = keyed_generator(seed=seed, step=0, sample=0, purpose="initial weights")
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(generator.initial_seed())
        model = CausalWan(config)
    return model.eval().requires_grad_(False)


def weights_fact(weights: str, seed: int = 0) -> str:
    """What identifies weights in a record: their sha256, or the seed of random ones."""
    if weights == RANDOM:
        return f"{RANDOM}, seed {seed}"
    return f"sha256 {weights_sha256(weights_path(weights))}"


def load_text(
    form: VideoFormat, text_len: int, device: torch.device | str = "cpu"
) -> PromptEncoder:
    """The text encoder of a format; the full-size one is loaded only for prompts not on disk."""
    if form is TINY_FORMAT:
        from hiar.codecs.text import load_text_encoder  # noqa: PLC0415

        folder = asset("text_encoder", "model.safetensors").parent
        return load_text_encoder(folder, text_len, byte_tokenizer(), device=device)
    from hiar.loading import _cached_encoder  # noqa: PLC0415

    return _cached_encoder(require(TEXT_ENCODER), require(TOKENIZER), text_len, device)


def load_vae(form: VideoFormat) -> VideoAutoencoder:
    """The autoencoder of a format."""
    from hiar.codecs.vae import load_autoencoder  # noqa: PLC0415

    tiny = form is TINY_FORMAT
    folder = asset("vae", "config.json").parent if tiny else require(VAE)
    return load_autoencoder(folder)


class EncodedTexts:
    """Embeddings of a list of prompts, each encoded by itself so that neighbours do not matter.

    Args:
        prompts: The prompts.
        encoder: Text encoder; one that caches on disk is asked again for each read, any other once
            a prompt.
        negative_prompt: Prompt that guidance leads away from; "" is zeros, on which the tiny
            models were trained as the unconditional input.
        text_dim: Width of an embedding.
    """

    def __init__(
        self, prompts: Sequence[str], encoder: PromptEncoder, *, negative_prompt: str, text_dim: int
    ) -> None:
        self.prompts = list(prompts)
        self._encoder, self._negative, self._text_dim = encoder, negative_prompt, text_dim
        self._kept: dict[str, torch.Tensor] = {}

    def __len__(self) -> int:
        """Number of prompts."""
        return len(self.prompts)

    def read(self, indices: Sequence[int]) -> torch.Tensor:
        """Embeddings [B, text, text_dim] of the prompts with these indices, in this order."""
        return torch.cat([self._encode(self.prompts[index]) for index in indices])

    def empty(self) -> torch.Tensor:
        """The embedding [1, text, text_dim] of the negative prompt."""
        if not self._negative:
            return torch.zeros(1, self._encoder.text_len, self._text_dim)
        return self._encode(self._negative)

    def _encode(self, prompt: str) -> torch.Tensor:
        from hiar.codecs.text_cache import CachedTextEncoder  # noqa: PLC0415

        if isinstance(self._encoder, CachedTextEncoder):
            return self._encoder.encode([prompt])
        if prompt not in self._kept:
            self._kept[prompt] = self._encoder.encode([prompt]).cpu()
        return self._kept[prompt]


def encode_texts(
    prompts: Sequence[str], encoder: PromptEncoder, size: str, *, negative_prompt: str | None = None
) -> EncodedTexts:
    """Embeddings of prompts for a size of transformer; None is the format's negative prompt."""
    negative = video_format(size).negative_prompt if negative_prompt is None else negative_prompt
    return EncodedTexts(
        prompts, encoder, negative_prompt=negative, text_dim=size_config(size).text_dim
    )


def load_encoder(size: str) -> PromptEncoder:
    """The text encoder that a size of transformer was trained with."""
    return load_text(video_format(size), size_config(size).text_len)


def draw_prompts(num_prompts: int, seed: int) -> list[str]:
    """Prompts of the tiny world's training split."""
    rng = np.random.default_rng(seed)
    return [draw_scene(rng).prompt for _ in range(num_prompts)]
