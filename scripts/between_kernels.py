"""What a model call takes besides its matrix products and attention, on a CPU.

    OMP_NUM_THREADS=1 python scripts/between_kernels.py --dtype bfloat16 --profile

The kernels are replaced by stubs that hand out ready tensors, so the figure needs no fast bfloat16
products: a CPU without them measures the rest all the same. Where GELU runs inside a product, what
it adds to that product is timed apart and counted. Window full, one block of 3 latent frames;
processor time, since other programs may share the CPU.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from unittest.mock import patch

import torch
from torch.nn import functional
from torch.profiler import ProfilerActivity, profile

from hiar.bench.config import BenchConfig, bench_models, build_model
from hiar.model import activation
from hiar.model.geometry import token_grid
from hiar.model.kv_cache import CacheSlot, KVCache
from hiar.runtime.memory import keep_freed_memory

WINDOW, BLOCK = 21, 3


@contextmanager
def without_kernels() -> Iterator[None]:
    """Linear layers and attention return tensors of the right shape at once."""
    ready: dict[tuple[int, ...], torch.Tensor] = {}

    def linear(
        x: torch.Tensor, weight: torch.Tensor, bias: torch.Tensor | None = None
    ) -> torch.Tensor:
        shape = (*x.shape[:-1], weight.shape[0])
        if shape not in ready:
            ready[shape] = torch.randn(shape).to(x.dtype)
        return ready[shape]

    def linear_gelu(x: torch.Tensor, weight: torch.Tensor, bias: torch.Tensor) -> torch.Tensor:
        return linear(x, weight, bias)

    def attention(q: torch.Tensor, k: torch.Tensor, v: torch.Tensor) -> torch.Tensor:
        return q

    with (
        patch.object(functional, "linear", linear),
        patch.object(activation, "linear_gelu", linear_gelu),
        patch.object(functional, "scaled_dot_product_attention", attention),
    ):
        yield


def make_call(config: BenchConfig) -> Callable[[], object]:
    """A denoising call on the block after 14 others."""
    model, _ = build_model(config)
    sizes = bench_models()[config.model]
    rows, columns = token_grid(*sizes.latent_size, sizes.config.patch_size)
    text = model.encode_text(torch.zeros(1, 1, sizes.config.text_dim))
    cache = KVCache(
        sizes.config, batch_size=1, frame_tokens=rows * columns, capacity=WINDOW, dtype=model.dtype
    )
    x = torch.randn(1, BLOCK, sizes.config.in_channels, *sizes.latent_size)
    timesteps, first_frame = torch.tensor([750.0]), 2 * WINDOW

    def call() -> object:
        cache.advance(first_frame)
        return model.forward_cached(x, timesteps, text, [CacheSlot(cache, first_frame)])

    return call


def fused_gelu_ms(config: BenchConfig, repeats: int) -> float:
    """Processor milliseconds a call that GELU adds to the products it runs in; 0 elsewhere."""
    if config.dtype != "bfloat16" or not activation.has_fused_gelu():
        return 0.0
    sizes = bench_models()[config.model]
    rows, columns = token_grid(*sizes.latent_size, sizes.config.patch_size)
    dim, hidden_dim = sizes.config.dim, sizes.config.ffn_dim
    x = torch.randn(1, BLOCK * rows * columns, dim).bfloat16()
    weight, bias = torch.randn(hidden_dim, dim).bfloat16(), torch.zeros(hidden_dim).bfloat16()
    pairs = [
        (
            time_once(lambda: functional.linear(x, weight, bias)),
            time_once(lambda: activation.linear_gelu(x, weight, bias)),
        )
        for _ in range(repeats)
    ]
    plain, fused = (min(times) for times in zip(*pairs, strict=True))
    return float(sizes.config.num_layers * (fused - plain))


def main() -> None:
    """Run the command line."""
    parser = argparse.ArgumentParser(description="Time what lies between the kernels of a call.")
    parser.add_argument("--config", default="bench-cpu", help="tiny, bench-cpu or wan-1.3b")
    parser.add_argument("--dtype", default="float32")
    parser.add_argument("--repeats", type=int, default=60)
    parser.add_argument("--profile", action="store_true", help="list the operators")
    args = parser.parse_args()
    keep_freed_memory()
    config = BenchConfig(model=args.config, dtype=args.dtype, random_weights=True)
    call = make_call(config)
    gelu_ms = fused_gelu_ms(config, args.repeats)
    with torch.no_grad(), without_kernels():
        time_once(call)  # fills the allocator
        milliseconds = sorted(time_once(call) + gelu_ms for _ in range(args.repeats))
        middle = milliseconds[len(milliseconds) // 2]
        print(
            f"{args.config} {args.dtype}: {milliseconds[0]:.1f} ms a call at least, "
            f"{middle:.1f} ms in the median of {args.repeats}; "
            f"{gelu_ms:.1f} ms of it GELU inside products"
        )
        if args.profile:
            with profile(activities=[ProfilerActivity.CPU]) as seen:
                for _ in range(5):
                    call()
            table = seen.key_averages().table(
                sort_by="self_cpu_time_total", row_limit=15, max_name_column_width=32
            )
            print(table)


def time_once(call: Callable[[], object]) -> float:
    """Processor milliseconds of one call."""
    started = time.process_time()
    call()
    return (time.process_time() - started) * 1e3


if __name__ == "__main__":
    main()
