"""Is a stream's memory flat? Sample block after block and read what the process holds.

    python scripts/stream_memory.py --out reports/measured/stream-memory.json

Random weights of the tiny model's sizes: memory does not depend on their values. On a CPU the
figure is the resident set, on a GPU what the allocator has given out; the growth is the largest
over the smallest reading from block --from to the last, less one.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import sys
import time
from pathlib import Path
from typing import Any

import torch

from hiar.bench.config import BenchConfig, bench_models, build_model
from hiar.runtime.device import check_device, peak_memory_bytes
from hiar.runtime.files import atomic_write_text
from hiar.runtime.memory import keep_freed_memory
from hiar.runtime.progress import Progress
from hiar.runtime.provenance import provenance
from hiar.sampling.sampler import stream_latents

SCHEMA = "stream-memory/1"
ALLOWED_GROWTH = 0.03
"""Memory counts as flat if it grows by at most 3 % from block 60 to 380."""


def build_parser() -> argparse.ArgumentParser:
    """The command line."""
    parser = argparse.ArgumentParser(description="Measure the memory of a stream.")
    parser.add_argument("--config", default="tiny", help="tiny, bench-cpu or wan-1.3b")
    parser.add_argument("--orders", default="diagonal,block_first", metavar="A,B")
    parser.add_argument("--blocks", type=int, default=380)
    parser.add_argument("--from", type=int, default=60, dest="first", metavar="BLOCK")
    parser.add_argument("--window", type=int, default=21)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--dtype", default="float32")
    parser.add_argument("--out", type=Path, required=True, metavar="FILE")
    return parser


def main() -> int:
    """Run the command line; exit code 1 if memory grew too much."""
    args = build_parser().parse_args()
    if not 0 < args.first < args.blocks:
        sys.exit(f"--from {args.first} must lie between 0 and --blocks {args.blocks}")
    keep_freed_memory()
    check_device(args.device)
    config = BenchConfig(
        model=args.config, orders=tuple(args.orders.split(",")), window=args.window,
        dtype=args.dtype, device=args.device, random_weights=True,
    )  # fmt: skip
    progress = Progress("stream")
    progress.start(args.blocks * len(config.orders))
    rows = [measure(config, order, args.blocks, args.first, progress) for order in config.orders]
    progress.finish()
    record = {"schema": SCHEMA, "rows": rows, "provenance": provenance(args.device)}
    atomic_write_text(args.out, json.dumps(record, indent=1) + "\n")
    for row in rows:
        print(
            f"{row['order']:12} {row['first_bytes'] / 2**20:8.1f} MiB at block {row['first']}, "
            f"{row['last_bytes'] / 2**20:8.1f} MiB at block {row['blocks']}: "
            f"growth {row['growth']:.2%}"
        )
    return int(any(row["growth"] > ALLOWED_GROWTH for row in rows))


def measure(
    config: BenchConfig, order: str, blocks: int, first: int, progress: Progress
) -> dict[str, Any]:
    """Memory after each block of one stream."""
    model, _ = build_model(config)
    sizes = bench_models()[config.model]
    text = torch.zeros(1, 1, sizes.config.text_dim, device=model.device, dtype=model.dtype)
    stream = stream_latents(
        model, text, config.sampler(order), num_blocks=None,
        latent_shape=(sizes.config.in_channels, *sizes.latent_size),
    )  # fmt: skip
    started, readings = time.monotonic(), []
    for _ in range(blocks):
        next(stream)
        readings.append(held_bytes(model.device))
        progress.advance()
    steady = readings[first - 1 :]
    return {
        "order": order, "config": config.model, "dtype": config.dtype, "window": config.window,
        "first": first, "blocks": blocks, "seconds": round(time.monotonic() - started, 1),
        "first_bytes": readings[first - 1], "last_bytes": readings[-1],
        "growth": max(steady) / min(steady) - 1, "peak_bytes": peak_memory_bytes(model.device),
        "every_20_blocks_bytes": readings[first - 1 :: 20],
    }  # fmt: skip


def held_bytes(device: torch.device) -> int:
    """Memory held now: by a GPU's allocator, or by this process (Linux; elsewhere its peak)."""
    if device.type == "cuda":
        return torch.cuda.memory_allocated(device)
    try:
        pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1])
    except OSError:
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    return pages * os.sysconf("SC_PAGE_SIZE")


if __name__ == "__main__":
    sys.exit(main())
