"""Text to pictures: text encoder, transformer, sampler and VAE behind one call."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import torch

from hiar.checkpoint import load_transformer
from hiar.config import SamplerConfig, WanConfig
from hiar.device import check_device
from hiar.errors import UsageError
from hiar.geometry import num_blocks, num_latent_frames
from hiar.noise import initial_noise, keyed_renoise
from hiar.provenance import weights_sha256
from hiar.sampler import sample_latents
from hiar.text import TextEncoder, load_text_encoder
from hiar.tiny.preset import asset, byte_tokenizer
from hiar.tiny.world import FPS, SIZE_PX
from hiar.vae import VideoAutoencoder, load_autoencoder, to_uint8

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    import numpy as np
    from numpy.typing import NDArray

    from hiar.schedule import Cell
    from hiar.transformer import CausalWan

TINY = "tiny"
TINY_WEIGHTS = {
    "text_encoder": ("text_encoder", "model.safetensors"),
    "transformer": ("transformer", "diffusion_pytorch_model.safetensors"),
    "vae": ("vae", "diffusion_pytorch_model.safetensors"),
}


@dataclass(frozen=True)
class PipelineOutput:
    """Videos: `frames[i]` is uint8 RGB (T, H, W, 3) of prompt i."""

    frames: list[NDArray[np.uint8]]


class HiARPipeline:
    """A text-to-video model.

    Args:
        transformer: Predicts the flow.
        text_encoder: Embeds prompts.
        autoencoder: Decodes latents.
        name: Of the model, for results.
        size_px: (height, width) of the videos.
        fps: Frames a second.
        weights: SHA-256 of each weights file, for results.
    """

    def __init__(
        self,
        *,
        transformer: CausalWan,
        text_encoder: TextEncoder,
        autoencoder: VideoAutoencoder,
        name: str,
        size_px: tuple[int, int],
        fps: int,
        weights: dict[str, str],
    ) -> None:
        self.transformer = transformer
        self.text_encoder = text_encoder
        self.autoencoder = autoencoder
        self.name = name
        self.size_px = size_px
        self.fps = fps
        self.weights = weights

    @classmethod
    def from_pretrained(
        cls,
        name_or_path: str | Path,
        *,
        transformer: str | Path | None = None,
        torch_dtype: torch.dtype | str = torch.float32,
        device: torch.device | str = "cpu",
    ) -> HiARPipeline:
        """Load a model.

        Args:
            name_or_path: `tiny`, the model that ships with the package.
            transformer: Other transformer weights of the same sizes.
            torch_dtype: Of the transformer, or its name; text encoder and VAE stay float32.
            device: Of the transformer.

        Returns:
            The pipeline.

        Raises:
            UsageError: For an unknown name, or weights that are missing or do not fit.
        """
        if str(name_or_path) != TINY:
            raise UsageError(f"model {str(name_or_path)!r} is unknown: the model here is {TINY!r}")
        given = {} if transformer is None else {"transformer": Path(transformer)}
        files = {
            part: given[part] if part in given else asset(*place)
            for part, place in TINY_WEIGHTS.items()
        }
        config = WanConfig.tiny()
        check_device(str(device))
        dtype = getattr(torch, torch_dtype) if isinstance(torch_dtype, str) else torch_dtype
        return cls(
            transformer=load_transformer(files["transformer"], config, device=device, dtype=dtype),
            text_encoder=load_text_encoder(
                files["text_encoder"].parent, config.text_len, byte_tokenizer()
            ),
            autoencoder=load_autoencoder(files["vae"].parent),
            name=TINY,
            size_px=(SIZE_PX, SIZE_PX),
            fps=FPS,
            weights={part: weights_sha256(path) for part, path in files.items()},
        )

    @property
    def latent_shape(self) -> tuple[int, int, int]:
        """(C, H, W) of a latent frame."""
        return (self.autoencoder.latent_channels, *self.autoencoder.latent_size(*self.size_px))

    def sample(
        self,
        prompts: Sequence[str],
        config: SamplerConfig,
        *,
        latent_frames: int,
        seed: int = 0,
        prompt_indices: Sequence[int] | None = None,
        on_cell: Callable[[Cell, torch.Tensor], None] | None = None,
    ) -> torch.Tensor:
        """Sample latents for prompts in one batch.

        Args:
            prompts: Texts.
            config: Of the sampler.
            latent_frames: Latent frames of each video, whole blocks.
            seed: Of the noise.
            prompt_indices: Noise key of each prompt; None counts from 0.
            on_cell: Called after each (step, block).

        Returns:
            Latents [B, F, C, H, W], float32.
        """
        indices = range(len(prompts)) if prompt_indices is None else prompt_indices
        block_shape = (config.frames_per_block, *self.latent_shape)
        blocks = num_blocks(latent_frames, config.frames_per_block)
        noise = initial_noise(
            len(prompts), blocks, block_shape, seed=seed, prompt_indices=indices
        ).to(self.transformer.device)
        renoise = keyed_renoise(
            block_shape, seed=seed, prompt_indices=indices, device=noise.device, dtype=noise.dtype
        )
        text = self.text_encoder.encode(list(prompts))
        return sample_latents(
            self.transformer, text, noise, config, renoise=renoise, on_cell=on_cell
        )

    def decode(self, latents: torch.Tensor) -> list[NDArray[np.uint8]]:
        """Decode latents [B, F, C, H, W] to videos, uint8 RGB (T, H, W, 3)."""
        import numpy as np  # noqa: PLC0415

        videos = self.autoencoder.decode(latents.float().cpu())
        return [np.stack([to_uint8(f) for f in video.unbind(dim=1)]) for video in videos]

    def __call__(
        self,
        prompt: str | Sequence[str],
        num_frames: int = 321,
        *,
        seed: int = 0,
        config: SamplerConfig | None = None,
    ) -> PipelineOutput:
        """Make videos.

        Args:
            prompt: One text or several.
            num_frames: Frames of each video, at least; rounded up to whole blocks, then cut.
            seed: Of the noise.
            config: Of the sampler; None is step-first with a window of 21 latent frames.

        Returns:
            The videos.
        """
        prompts = [prompt] if isinstance(prompt, str) else list(prompt)
        config = SamplerConfig(window=21) if config is None else config
        latents = self.sample(
            prompts,
            config,
            latent_frames=num_latent_frames(num_frames, config.frames_per_block),
            seed=seed,
        )
        return PipelineOutput(frames=[video[:num_frames] for video in self.decode(latents)])
