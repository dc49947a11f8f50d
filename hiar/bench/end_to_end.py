"""`hiar bench --decode`: a video from noise to pictures, and what a prompt costs before that.

The decoder and the text encoder have random weights, since speed does not depend on their values.
They have Wan's own sizes for `wan-1.3b`, and those of the tiny model for the other configs. A frame
counts once it is uint8 in memory. On a GPU a block is decoded while the next one is sampled.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

import torch

from hiar.bench.config import BenchConfig, bench_models
from hiar.bench.intervals import interval_figures
from hiar.bench.rows import PIPELINED, PictureFigures, Row
from hiar.bench.video_timing import steady_blocks
from hiar.codecs.frames import to_output
from hiar.codecs.text import TextEncoder
from hiar.codecs.tiny_decoder import TinyDecoder
from hiar.codecs.vae import LatentDecoder, VideoAutoencoder, named_memory_error
from hiar.codecs.wan_decoder.network import DecoderSizes, WanDecoder
from hiar.model.geometry import TEMPORAL_STRIDE, num_blocks, num_frames
from hiar.runtime.device import peak_memory_bytes, reset_peak_memory
from hiar.runtime.prefetch import sampled_ahead
from hiar.sampling.noise import initial_noise
from hiar.sampling.pipelined.group import PipelineGroup, free_gpu
from hiar.sampling.pipelined.stream import stream_pipelined
from hiar.sampling.sampler import sample_latents, stream_latents
from hiar.tiny.preset import TEXT_CONFIG, VAE_CONFIG, byte_tokenizer

if TYPE_CHECKING:
    from hiar.model.transformer import CausalWan
    from hiar.runtime.ranks import Ranks
    from hiar.sampling.config import SamplerConfig

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
WAN_VAE: dict[str, Any] = {
    "base_dim": 96,
    "z_dim": 16,
    "dim_mult": [1, 2, 4, 4],
    "num_res_blocks": 2,
    "temperal_downsample": [False, True, True],
}
"""Sizes of Wan2.1's VAE (diffusers 0.42.1, models/autoencoders/autoencoder_kl_wan.py, defaults)."""


@dataclass(frozen=True, kw_only=True)
class EndToEnd:
    """Times of one video with its pictures.

    Attributes:
        sampled_s: Seconds from noise until the latents of each block were there.
        decoded_s: Seconds from noise until the pictures of each block were there.
        peak_memory_bytes: Peak memory of the process or GPU that decodes.
    """

    sampled_s: Sequence[float]
    decoded_s: Sequence[float]
    peak_memory_bytes: int


class RandomVae:
    """A VAE with random weights, as far as decoding needs one; diffusers need not be there.

    Args:
        config: Config of an `AutoencoderKLWan`.
        device: Device of the weights.
        dtype: Number type of the weights.
    """

    source = "random weights"

    def __init__(self, config: Mapping[str, Any], device: torch.device, dtype: torch.dtype) -> None:
        channels = config["z_dim"]
        plain = {"latents_mean": [0.0] * channels, "latents_std": [1.0] * channels}
        self.config = {**plain, **config}
        self.dtype = dtype
        self._device = device

    def state_dict(self) -> dict[str, torch.Tensor]:
        """Weights that keep the variance of what they are applied to."""
        with torch.device("meta"):
            shapes = WanDecoder(DecoderSizes.from_config(self.config)).state_dict()
        return {
            name: torch.randn(each.shape, device=self._device, dtype=self.dtype)
            / max(1, each[0].numel()) ** 0.5
            for name, each in shapes.items()
        }


def build_decoder(model_name: str, decoder: str, device: torch.device) -> LatentDecoder:
    """A decoder of `DECODERS` for a bench model, with random weights."""
    if decoder == "tiny-decoder":
        with torch.device(device):
            return TinyDecoder().eval().requires_grad_(False)
    dtype = torch.bfloat16 if decoder == "vae-bfloat16" else torch.float32
    config = WAN_VAE if model_name == WAN else VAE_CONFIG
    return VideoAutoencoder(RandomVae(config, device, dtype))


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


def time_text(model_name: str, text_len: int, device: torch.device, repeats: int) -> float | None:
    """Median seconds to embed one prompt, after a first time; None without what that needs."""
    if any(find_spec(name) is None for name in ("transformers", "ftfy")):
        return None
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
    decoder: LatentDecoder,
    ranks: Ranks,
    device: torch.device,
    *,
    is_pipelined: bool,
) -> EndToEnd | None:
    """Sample and decode one video; None on a rank of a pipeline that is not the last.

    Args:
        blocks: Function that begins a video and yields its latents [B, f, C, h, w].
        decoder: Turns latents to pictures.
        ranks: This process among its peers; the last rank of a pipeline decodes while the others
            sample.
        device: Device that samples.
        is_pipelined: Whether the ranks sample together.
    """
    if is_pipelined:
        ranks.wait()
    started = time.perf_counter()
    if is_pipelined and not ranks.is_last:
        for _ in blocks():
            pass
        return None
    sampled_s: list[float] = []
    decoded_s: list[float] = []

    def noted() -> Iterator[torch.Tensor]:
        for latents in blocks():
            sampled_s.append(time.perf_counter() - started)
            yield latents

    stream = decoder.stream()
    for latents in sampled_ahead(noted(), device, on_cpu=is_pipelined):
        with named_memory_error():
            to_output(stream.decode_block(latents), "uint8")
        decoded_s.append(time.perf_counter() - started)
    return EndToEnd(
        sampled_s=sampled_s, decoded_s=decoded_s, peak_memory_bytes=peak_memory_bytes(device)
    )


def with_pictures(
    model: CausalWan, config: BenchConfig, rows: list[Row], group: PipelineGroup
) -> list[Row]:
    """The rows with what the same video takes with text before it and pictures after it.

    With several decoders each row comes once for each.
    """
    text_s = None
    if group.ranks.is_first:
        text_s = time_text(config.model, model.config.text_len, model.device, config.repeats)
    group.ranks.wait()
    return [
        row
        for decoder in config.decoders
        for row in _with_decoder(model, config, rows, group, decoder, text_s)
    ]


def _with_decoder(
    model: CausalWan,
    config: BenchConfig,
    rows: list[Row],
    group: PipelineGroup,
    decoder_name: str,
    text_s: float | None,
) -> list[Row]:
    """The rows with the pictures of one decoder."""
    place = free_gpu(model.device) or model.device
    decoder = build_decoder(config.model, decoder_name, place)
    sizes = bench_models()[config.model]
    found = {}
    for order in config.orders:
        is_pipelined, sampler = order == PIPELINED, config.sampler(order)
        blocks = num_blocks(config.latent_frames, sampler.frames_per_block)
        row = next((row for row in rows if row.order == order), None)
        stream = partial(
            block_stream, model, sampler, group, blocks=blocks, latent_size=sizes.latent_size,
            is_pipelined=is_pipelined, fused=row is not None and row.is_fused,
        )  # fmt: skip
        takes_part = is_pipelined or group.ranks.is_first
        reset_peak_memory(model.device)
        runs = [
            time_end_to_end(stream, decoder, group.ranks, model.device, is_pipelined=is_pipelined)
            for _ in range(takes_part * (config.warmup + config.repeats))
        ]
        counted = group.ranks.gather(runs[config.warmup :])[-1 if is_pipelined else 0]
        found[order] = picture_figures(
            counted, config.latent_frames, text_s, decoder=decoder_name,
            overlapped=is_pipelined or model.device.type == "cuda",
            steady=steady_blocks(sampler, blocks),
            deadline_s=block_seconds(sampler.frames_per_block, sizes.fps),
        )  # fmt: skip
    return [replace(row, pictures=found[row.order]) for row in rows]


def block_seconds(frames_per_block: int, fps: float) -> float:
    """Seconds that the frames of a block play, any block but the first."""
    return frames_per_block * TEMPORAL_STRIDE / fps


def picture_figures(
    runs: Sequence[EndToEnd],
    latent_frames: int,
    text_s: float | None,
    *,
    decoder: str,
    overlapped: bool,
    steady: Sequence[int],
    deadline_s: float,
) -> PictureFigures:
    """Medians over the runs, with the time of the text."""
    seconds = statistics.median(run.decoded_s[-1] for run in runs)
    first_s = statistics.median(run.decoded_s[0] for run in runs)
    even = interval_figures([run.decoded_s for run in runs], steady, deadline_s=deadline_s)
    return PictureFigures(
        end_to_end_s=seconds,
        end_to_end_fps=num_frames(latent_frames) / seconds,
        first_frame_s=first_s,
        text_s=text_s,
        first_frame_with_text_s=None if text_s is None else first_s + text_s,
        decoder=decoder,
        overlapped=overlapped,
        end_to_end_interval_p50_s=even.interval_p50_s,
        end_to_end_interval_p95_s=even.interval_p95_s,
        end_to_end_interval_p99_s=even.interval_p99_s,
        end_to_end_deadline_misses=even.deadline_misses,
        end_to_end_peak_memory_bytes=max(run.peak_memory_bytes for run in runs),
        sampled_s=runs[-1].sampled_s,
        decoded_s=runs[-1].decoded_s,
    )
