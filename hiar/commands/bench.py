"""`hiar bench`: the command line of the benchmark."""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from typing import Any

from hiar.config import ATTENTION_BACKENDS
from hiar.errors import UsageError
from hiar.progress import Progress

OK = 0


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Arguments of the command."""
    parser.description = (
        "Time sampling: the transformer only, one video, medians after a warm-up. Writes a "
        "bench/1 record."
    )
    parser.add_argument("--config", default="tiny", help="tiny, bench-cpu or wan-1.3b")
    parser.add_argument("--orders", default="block_first,step_first", metavar="A,B")
    parser.add_argument(
        "--wave-batch", action="store_true", help="order diagonal: a wave's cells in one call"
    )
    parser.add_argument("--latent-frames", type=int, default=45)
    parser.add_argument("--window", type=int, default=21, help="latent frames visible; 0 = all")
    parser.add_argument("--warmup", type=int, default=1)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--dtype", default="float32", help="float32, bfloat16 or float16")
    parser.add_argument("--device", default="cpu")
    parser.add_argument(
        "--attention", default="sdpa", metavar="NAME",
        help=f"{', '.join(ATTENTION_BACKENDS)} (times the others, once a machine and shape)",
    )  # fmt: skip
    parser.add_argument("--compile", action="store_true", help="fuse what lies between the kernels")
    parser.add_argument(
        "--kernel-floor", action="store_true",
        help="time the bare attention and matrix kernels in the same run",
    )  # fmt: skip
    parser.add_argument("--weights", type=Path, metavar="FILE", help="transformer weights")
    parser.add_argument("--random-weights", action="store_true", help="need no checkpoint")
    parser.add_argument("--checksum", action="store_true", help="add the latents' sha256")
    parser.add_argument("--out", type=Path, required=True, metavar="FILE", help="JSON to write")


def run(arguments: argparse.Namespace) -> int:
    """Run the command."""
    from hiar.bench import BenchConfig, run_bench  # noqa: PLC0415
    from hiar.files import atomic_write_text  # noqa: PLC0415
    from hiar.memory import keep_freed_memory  # noqa: PLC0415

    keep_freed_memory()
    config = BenchConfig(
        model=arguments.config,
        orders=tuple(order.strip() for order in arguments.orders.split(",") if order.strip()),
        wave_batch=arguments.wave_batch, latent_frames=arguments.latent_frames,
        window=arguments.window or None, warmup=arguments.warmup, repeats=arguments.repeats,
        dtype=arguments.dtype, device=arguments.device, attention=arguments.attention,
        compile=arguments.compile, kernel_floor=arguments.kernel_floor,
        weights=arguments.weights, random_weights=arguments.random_weights,
        checksum=arguments.checksum,
    )  # fmt: skip
    if arguments.out.is_dir():
        raise UsageError(f"--out {arguments.out} is a folder: name the JSON file to write")
    record = run_bench(config, Progress("bench"))
    text = json.dumps(record, indent=1) + "\n"
    atomic_write_text(arguments.out, text)
    sys.stdout.write(text if arguments.json else format_table(record))
    return OK


def format_table(record: dict[str, Any]) -> str:
    """The rows for people."""
    with_floor = any("kernel_ratio" in row for row in record["rows"])
    head = "order        frames/s  block s  first s  passes  TFLOP/s  of peak"
    lines = [head + ("  kernels s  ratio" if with_floor else "")]
    for row in record["rows"]:
        line = (
            f"{row['order']:12} {row['throughput_fps']:8.1f} {row['latency_s']:8.3f} "
            f"{row['first_block_s']:8.3f} {row['passes_per_block']:7d} {row['tflops_per_s']:8.4f} "
            f"{row['matmul_peak_share']:8.0%}"
        )
        if with_floor:
            line += f" {row['kernel_floor_s']:10.3f} {row['kernel_ratio']:6.3f}"
        lines.append(line)
        if row["compile_s"] is not None:
            lines.append(f"             compiling took {row['compile_s']:.1f} s, not counted")
    return "\n".join(lines) + "\n"
