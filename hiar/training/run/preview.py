"""What a network in training makes of a few prompts, under both attentions.

The causal video is what it will be sampled with; the bidirectional one runs the same steps on all
frames at once. Fig. 4 follows how much either moves.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from hiar.codecs.contact_sheet import Row, write_contact_sheet
from hiar.codecs.vae import to_uint8
from hiar.codecs.video import write_mp4
from hiar.runtime.files import remove_leftovers
from hiar.sampling.noise import initial_noise, keyed_noise
from hiar.sampling.sampler import sample_latents
from hiar.sampling.sigmas import add_noise, denoising_steps, x0_from_flow
from hiar.tiny.dynamics import dynamic_degree

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from hiar.codecs.vae import VideoAutoencoder
    from hiar.model.transformer import CausalWan
    from hiar.sampling.config import SamplerConfig
    from hiar.training.data import Texts

    Frames = NDArray[np.uint8]

CONTACT_SHEET = "contact_sheet.png"
ATTENTIONS = ("causal", "bidirectional")
WHOLE_VIDEO = -1
"""Key of a block that is the whole video."""


@dataclass(frozen=True)
class Preview:
    """Videos of the same prompts and the same noise.

    Attributes:
        prompts: Texts.
        videos: For each attention, one uint8 RGB video (T, H, W, 3) a prompt.
        fps: Frames a second.
    """

    prompts: Sequence[str]
    videos: dict[str, list[Frames]]
    fps: int

    def dynamic_degrees(self) -> dict[str, Any]:
        """Mean dynamic degree under each attention, and that of every video."""
        degrees = {
            name: [dynamic_degree(video) for video in videos]
            for name, videos in self.videos.items()
        }
        means = {name: float(np.mean(values)) for name, values in degrees.items()}
        return {**means, "videos": degrees}

    def write(self, folder: Path) -> None:
        """Write mp4 files and their contact sheet."""
        remove_leftovers(folder)
        rows = []
        for name, videos in self.videos.items():
            for index, (prompt, video) in enumerate(zip(self.prompts, videos, strict=True)):
                path = folder / f"{name}-{index:02d}.mp4"
                write_mp4(path, video, self.fps)
                rows.append(Row(path, f"{name}: {prompt}"))
        write_contact_sheet(folder / CONTACT_SHEET, rows)

    def sheet(self, columns: int = 8) -> Frames:
        """The same as one picture (H, W, 3), unlabelled: a row a video."""
        strips = []
        for videos in self.videos.values():
            for video in videos:
                picked = np.linspace(0, len(video) - 1, columns).round().astype(int)
                strips.append(np.concatenate(list(video[picked]), axis=1))
        return np.concatenate(strips)


def make_preview(
    model: CausalWan,
    autoencoder: VideoAutoencoder,
    texts: Texts,
    prompts: Sequence[str],
    sampler: SamplerConfig,
    latent_shape: tuple[int, int, int, int],
    *,
    fps: int,
) -> Preview:
    """Sample prompts under both attentions.

    Args:
        model: The network.
        autoencoder: Decodes, on the CPU or where it lies.
        texts: Embeddings of the prompts.
        prompts: The prompts as text, in the order of `texts`.
        sampler: Settings of the causal video; the bidirectional one takes its steps.
        latent_shape: (F, C, H, W).
        fps: Frames a second.

    Returns:
        The videos; the same ones whenever the weights are the same.
    """
    num_frames, *frame_shape = latent_shape
    size = sampler.frames_per_block
    noise = initial_noise(len(prompts), num_frames // size, (size, *frame_shape), seed=0)
    noise = noise.to(model.device)
    text = texts.read(range(len(prompts))).to(model.device)
    latents = {
        "causal": sample_latents(model, text, noise, sampler),
        "bidirectional": sample_at_once(model, text, noise, sampler),
    }
    videos = {name: _decode(autoencoder, latents[name]) for name in ATTENTIONS}
    return Preview(prompts, videos, fps)


@torch.no_grad()
def sample_at_once(
    model: CausalWan, text: torch.Tensor, noise: torch.Tensor, sampler: SamplerConfig
) -> torch.Tensor:
    """Sample with bidirectional attention, all frames at one level: predict x0, add fresh noise.

    Args:
        model: The network.
        text: [B, text, text_dim].
        noise: [B, F, C, H, W].
        sampler: Settings whose steps are taken.

    Returns:
        Clean latents [B, F, C, H, W].
    """
    steps = denoising_steps(sampler)
    x = noise
    for index, step in enumerate(steps):
        timesteps = torch.full((len(x),), step.timestep, device=x.device)
        x = x0_from_flow(x, model(x, timesteps, text).to(x.dtype), step.sigma)
        if index + 1 < len(steps):
            fresh = torch.stack([
                keyed_noise(x.shape[1:], seed=0, prompt_index=i, block=WHOLE_VIDEO, step=index + 1)
                for i in range(len(x))
            ])  # fmt: skip
            x = add_noise(x, fresh.to(x.device), steps[index + 1].sigma)
    return x


def _decode(autoencoder: VideoAutoencoder, latents: torch.Tensor) -> list[Frames]:
    """One video at a time: a batch of decoded videos is large."""
    videos = []
    for row in latents.to(autoencoder.device):
        video = autoencoder.decode(row[None].float())[0]
        videos.append(np.stack([to_uint8(frame) for frame in video.unbind(dim=1)]))
    return videos
