"""What `hiar bench` times: models, orders, settings, and the model with its weights."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import get_args

import torch

from hiar.bench.rows import PIPELINED
from hiar.errors import UsageError
from hiar.loading import TINY_WEIGHTS
from hiar.model.config import ATTENTION_BACKENDS, FP8_CHOICES, WanConfig
from hiar.model.geometry import SPATIAL_STRIDE, num_blocks, token_grid
from hiar.model.transformer import CausalWan
from hiar.sampling.config import Order, SamplerConfig
from hiar.tiny.preset import asset
from hiar.tiny.world import FPS, SIZE_PX
from hiar.weights.checkpoint import load_transformer
from hiar.weights.records import weights_sha256
from hiar.weights.releases import FPS as RELEASE_FPS

FUSED = ("off", "on", "auto")
DECODERS = ("vae", "vae-bfloat16", "tiny-decoder")
"""Decoders that `hiar bench --decode` times: Wan's VAE in float32 and in bfloat16, and TAEHV."""


@dataclass(frozen=True)
class BenchModel:
    """A model to time.

    Attributes:
        config: Sizes of the transformer.
        latent_size: Rows and columns of a latent frame.
        fps: Frames a second at which its videos play.
    """

    config: WanConfig
    latent_size: tuple[int, int]
    fps: int = RELEASE_FPS

    @property
    def frame_tokens(self) -> int:
        """Tokens of one latent frame."""
        rows, columns = token_grid(*self.latent_size, self.config.patch_size)
        return rows * columns


def bench_models() -> dict[str, BenchModel]:
    """The models by name; 1.3B at 480 x 832 pixels is 60 x 104 latent pixels."""
    tiny = SIZE_PX // SPATIAL_STRIDE
    return {
        "tiny": BenchModel(WanConfig.tiny(), (tiny, tiny), FPS),
        "bench-cpu": BenchModel(WanConfig.bench_cpu(), (24, 40)),
        "wan-1.3b": BenchModel(WanConfig.wan_1_3b(), (60, 104)),
    }


@dataclass(frozen=True, kw_only=True)
class BenchConfig:
    """What to time.

    Attributes:
        model: Name in `bench_models`.
        orders: Orders to time, each with its own context (clean for block_first, else output);
            `pipelined` is the order diagonal with its steps shared out among the ranks.
        latent_frames: Latent frames of the video.
        window: Latent frames visible; None = all.
        warmup: Runs before counting.
        repeats: Counted runs.
        dtype: Data type of the model.
        device: Device of the model.
        attention: Attention backend, see `hiar.model.attention_backends`.
        compile: Fuse the operations between the kernels; compile time is measured apart.
        cuda_graphs: Replay the passes over blocks that see a full window as CUDA graphs.
        fp8: Products in 8 bits: off, or ffn (the feed-forward layers).
        share_gpu: Let all ranks use one GPU: for correctness, its speed says nothing.
        wave_batch: Run the cells of a diagonal wave in one call.
        fused: Order `pipelined` only: off, on, or auto (measures both); see `stream_pipelined`.
        kernel_floor: Time the bare attention and matrix kernels of every cell right after it, for
            the orders that one process runs.
        weights: Transformer weights; None takes the shipped ones of the tiny model.
        random_weights: Time random weights: speed does not depend on their values.
        checksum: Add the SHA-256 of the latents.
        decode: Time each order again with a decoder and a text encoder around it.
        decoders: Decoders of `hiar.bench.end_to_end`; with several, each order has a row for each.
    """

    model: str = "tiny"
    orders: tuple[str, ...] = ("block_first", "step_first")
    latent_frames: int = 45
    window: int | None = 21
    warmup: int = 1
    repeats: int = 3
    dtype: str = "float32"
    device: str = "cpu"
    attention: str = "sdpa"
    compile: bool = False
    cuda_graphs: bool = False
    fp8: str = "off"
    share_gpu: bool = False
    wave_batch: bool = False
    fused: str = "off"
    kernel_floor: bool = False
    weights: Path | None = None
    random_weights: bool = False
    checksum: bool = False
    decode: bool = False
    decoders: tuple[str, ...] = DECODERS[:1]

    def __post_init__(self) -> None:
        _check_choices("config", [self.model], bench_models())
        # Order hybrid needs settings for which this command has no flags.
        known = [order for order in get_args(Order) if order != "hybrid"]
        _check_choices("order", self.orders, [*known, PIPELINED])
        _check_choices("fused", [self.fused], FUSED)
        _check_choices("dtype", [self.dtype], ("float32", "bfloat16", "float16"))
        _check_choices("attention", [self.attention], ATTENTION_BACKENDS)
        _check_choices("decoder", self.decoders, DECODERS)
        _check_choices("fp8", [self.fp8], FP8_CHOICES)
        for flag, is_set in (("cuda-graphs", self.cuda_graphs), ("share-gpu", self.share_gpu)):
            if is_set and not self.device.startswith("cuda"):
                raise UsageError(f"--{flag} needs a GPU, not {self.device}: add --device cuda")
        if not self.orders:
            raise UsageError("no order to time: give one or more, such as block_first,step_first")
        if self.warmup < 0 or self.repeats < 1:
            raise UsageError("warmup must be at least 0 and repeats at least 1")
        if self.wave_batch and "diagonal" not in self.orders:
            raise UsageError("--wave-batch batches the waves of order 'diagonal': add it to orders")
        if self.fused != "off" and PIPELINED not in self.orders:
            raise UsageError(f"--fused {self.fused} is for order 'pipelined': add it to orders")
        num_blocks(self.latent_frames, self.sampler(self.orders[0]).frames_per_block)

    @property
    def options(self) -> tuple[str, ...]:
        """What changes kernels or how they are run, beside the backend and compiling."""
        found = {
            "cuda-graphs": self.cuda_graphs,
            "fp8-ffn": self.fp8 == "ffn",
            "share-gpu": self.share_gpu,
        }
        return tuple(name for name, is_set in found.items() if is_set)

    def sampler(self, order: str) -> SamplerConfig:
        """The sampler settings of one order."""
        base = SamplerConfig(window=self.window)
        if order == "block_first":
            return replace(base, order="block_first", context="clean")
        if order == PIPELINED:
            return replace(base, order="diagonal")
        batched = self.wave_batch and order == "diagonal"
        return replace(base, order=order, wave_batch=batched)  # type: ignore[arg-type]


def _check_choices(name: str, values: Iterable[str], known: Iterable[str]) -> None:
    for value in values:
        if value not in known:
            raise UsageError(f"{name} {value!r} is unknown: use one of {', '.join(known)}")


def build_model(config: BenchConfig) -> tuple[CausalWan, dict[str, str]]:
    """The model to time, and the SHA-256 of its weights ("random" for random ones)."""
    sizes = bench_models()[config.model].config
    dtype: torch.dtype = getattr(torch, config.dtype)
    if config.random_weights:
        torch.manual_seed(0)
        with torch.device(config.device):
            model = CausalWan(sizes)
        return model.to(dtype).eval().requires_grad_(False), {"transformer": "random"}
    path = config.weights
    if path is None:
        if config.model != "tiny":
            raise UsageError(
                f"config {config.model!r} ships no weights: pass --weights FILE or --random-weights"
            )
        path = asset(*TINY_WEIGHTS["transformer"])
    model = load_transformer(path, sizes, device=config.device, dtype=dtype)
    return model, {"transformer": weights_sha256(path)}
