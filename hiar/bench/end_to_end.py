"""`hiar bench --decode`: a video from noise to pictures, and what a prompt costs before that.

The VAE and the text encoder have random weights, since speed does not depend on their values. They
have Wan's own sizes for `wan-1.3b`, and those of the tiny model for the other configs. A frame
counts once it is uint8 in memory.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch

from hiar.bench.rows import PictureFigures
from hiar.codecs.frames import to_output
from hiar.codecs.text import TextEncoder
from hiar.codecs.vae import VideoAutoencoder
from hiar.model.geometry import num_frames
from hiar.runtime.notices import hush_notices
from hiar.runtime.prefetch import in_background
from hiar.sampling.noise import initial_noise
from hiar.sampling.pipelined.stream import stream_pipelined
from hiar.sampling.sampler import sample_latents, stream_latents
from hiar.tiny.preset import TEXT_CONFIG, VAE_CONFIG, byte_tokenizer

if TYPE_CHECKING:
    from hiar.model.transformer import CausalWan
    from hiar.runtime.ranks import Ranks
    from hiar.sampling.config import SamplerConfig
    from hiar.sampling.pipelined.group import PipelineGroup

PROMPT = "A striped blue ring moves up over a teal background while the camera pans slowly left."
WAN = "wan-1.3b"
UMT5_XXL: dict[str, Any] = {
    "vocab_size": 256384,
    "d_model": 4096,
    "d_kv": 64,
    "num_heads": 64,
    "d_ff": 10240,
    "num_layers": 24,
    "dropout_rate": 0.0,
    "feed_forward_proj": "gated-gelu",
}
"""google/umt5-xxl, config.json: the encoder that Wan2.1 uses."""


@dataclass(frozen=True, kw_only=True)
class EndToEnd:
    """Times of one video with its pictures.

    Attributes:
        seconds: Seconds from noise to the last picture.
        first_frame_s: Seconds from noise to the pictures of the first block.
    """

    seconds: float
    first_frame_s: float


def build_decoder(model_name: str, device: torch.device) -> VideoAutoencoder:
    """The VAE that decodes for a bench model, with random weights."""
    hush_notices()
    from diffusers import AutoencoderKLWan  # noqa: PLC0415  (seconds to import)

    with torch.device(device):
        vae = AutoencoderKLWan() if model_name == WAN else AutoencoderKLWan(**VAE_CONFIG)
    return VideoAutoencoder(vae)


def build_text_encoder(model_name: str, text_len: int, device: torch.device) -> TextEncoder:
    """The text encoder of a bench model, with random weights; UMT5-XXL in bfloat16 (11 GB)."""
    from transformers import UMT5Config, UMT5EncoderModel  # noqa: PLC0415  (seconds to import)

    sizes = UMT5_XXL if model_name == WAN else TEXT_CONFIG
    before = torch.get_default_dtype()
    torch.set_default_dtype(torch.bfloat16 if model_name == WAN else torch.float32)
    try:
        with torch.device(device):
            model = UMT5EncoderModel(UMT5Config(**sizes))
    finally:
        torch.set_default_dtype(before)
    return TextEncoder(model, byte_tokenizer(), text_len)


def time_text(model_name: str, text_len: int, device: torch.device, repeats: int) -> float:
    """Median seconds to embed one prompt, after a first time that is not counted."""
    seconds = []
    with build_text_encoder(model_name, text_len, device) as encoder:
        for _ in range(1 + repeats):
            started = time.perf_counter()
            encoder.encode([PROMPT]).cpu()
            seconds.append(time.perf_counter() - started)
    return statistics.median(seconds[1:])


def block_stream(
    model: CausalWan,
    sampler: SamplerConfig,
    group: PipelineGroup,
    *,
    blocks: int,
    latent_size: tuple[int, int],
    is_pipelined: bool,
    fused: bool = False,
) -> Iterator[torch.Tensor]:
    """The latents of a video, block by block as the order finishes them.

    Order `step_first` finishes all blocks at once. In a pipeline, only the last rank's blocks are
    clean; those of another rank are the blocks that it has handed on.
    """
    shape = (model.config.in_channels, *latent_size)
    text = torch.zeros(1, 1, model.config.text_dim, device=model.device, dtype=model.dtype)
    if is_pipelined:
        stream = stream_pipelined(
            model, text, sampler, group, latent_shape=shape, num_blocks=blocks, fused=fused
        )
        yield from (latents for _, latents in stream)
    elif sampler.order == "step_first":
        size = sampler.frames_per_block
        noise = initial_noise(1, blocks, (size, *shape), seed=0).to(model.device)
        yield from sample_latents(model, text, noise, sampler).split(size, dim=1)
    else:
        found = stream_latents(model, text, sampler, latent_shape=shape, num_blocks=blocks)
        yield from (latents for _, latents in found)


def time_end_to_end(
    blocks: Callable[[], Iterable[torch.Tensor]],
    decoder: VideoAutoencoder,
    ranks: Ranks,
    *,
    is_pipelined: bool,
) -> EndToEnd | None:
    """Sample and decode one video; None on a rank of a pipeline that is not the last.

    Args:
        blocks: Function that begins a video and yields its latents [B, f, C, h, w].
        decoder: The VAE.
        ranks: This process among its peers; the last rank of a pipeline decodes while the others
            sample.
        is_pipelined: Whether the ranks sample together.
    """
    if is_pipelined:
        ranks.wait()
    started = time.perf_counter()
    if is_pipelined and not ranks.is_last:
        for _ in blocks():
            pass
        return None
    stream, first_s = decoder.stream(), None
    for latents in in_background(blocks()) if is_pipelined else blocks():
        to_output(stream.decode_block(latents), "uint8")
        first_s = first_s or time.perf_counter() - started
    assert first_s is not None
    return EndToEnd(seconds=time.perf_counter() - started, first_frame_s=first_s)


def picture_figures(runs: list[EndToEnd], latent_frames: int, text_s: float) -> PictureFigures:
    """Medians over the runs, with the time of the text."""
    seconds = statistics.median(run.seconds for run in runs)
    first_s = statistics.median(run.first_frame_s for run in runs)
    return PictureFigures(
        end_to_end_s=seconds,
        end_to_end_fps=num_frames(latent_frames) / seconds,
        first_frame_s=first_s,
        text_s=text_s,
        first_frame_with_text_s=first_s + text_s,
    )
