"""How much faster our decode path is than diffusers', over the same weights and latents.

    OMP_NUM_THREADS=2 python scripts/bench_decoder.py --out reports/measured/decoder-cpu.json

Both decode the same random latents with the same random weights, latent frame by latent frame, in
turns in one run, so that other load slows them alike; the first round is not counted. `wan` is
Wan2.1's VAE at 480 x 832 (on a CPU both together want 13 GB and more), `tiny` the tiny model's at
its own size. The ratio is the median over the rounds of diffusers' seconds over ours, by the wall
clock and by processor time; read the latter where the machine is shared.
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
import time
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import torch

from hiar.arguments import size_px
from hiar.bench.end_to_end import WAN_VAE
from hiar.codecs.vae import VideoAutoencoder
from hiar.codecs.wan_decoder.kernels import fused_norm
from hiar.runtime.device import device_name, num_cores
from hiar.runtime.files import atomic_write_text
from hiar.runtime.memory import keep_freed_memory
from hiar.runtime.provenance import provenance
from hiar.tiny.preset import VAE_CONFIG
from hiar.tiny.world import SIZE_PX

SCHEMA = "decoder/1"
CONFIGS: dict[str, dict[str, Any]] = {"wan": WAN_VAE, "tiny": VAE_CONFIG}
SIZES_PX = {"wan": (480, 832), "tiny": (SIZE_PX, SIZE_PX)}
"""Rows and columns of a frame."""
ALLOWED_ERROR = 1e-5
"""Largest rel-L2 distance of the frames from diffusers' in float32."""


def main() -> int:
    """Run the command line; exit code 1 if the frames differ."""
    parser = argparse.ArgumentParser(description="Time our VAE decode path against diffusers'.")
    parser.add_argument("--cases", default="wan,tiny", help="wan, tiny (default both)")
    parser.add_argument(
        "--latent-frames", type=int, default=2, help="the first gives 1 frame, each other 4"
    )
    parser.add_argument("--repeats", type=int, default=3, help="rounds after one not counted")
    parser.add_argument("--size", type=size_px, metavar="HxW", help="of a frame (default: above)")
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--dtype", default="float32")
    parser.add_argument(
        "--plain-norm", action="store_true", help="GPU: leave the Triton kernel of the norm out"
    )
    parser.add_argument("--out", type=Path, metavar="FILE")
    args = parser.parse_args()
    if find_spec("diffusers") is None:
        print("bench_decoder: diffusers is not installed, and what is timed is against it: "
              "pip install diffusers", file=sys.stderr)  # fmt: skip
        return 2
    if args.plain_norm:
        fused_norm.reason = "left out by --plain-norm"
    keep_freed_memory()
    device, dtype = torch.device(args.device), getattr(torch, args.dtype)
    rows = []
    for case in args.cases.split(","):
        rows.append(
            measure(
                case, args.size or SIZES_PX[case], args.latent_frames, args.repeats, device, dtype
            )
        )
        print(line_of(rows[-1]), flush=True)
    about = provenance(args.device) | {
        "device_name": device_name(device), "cores": num_cores(),
        "threads": torch.get_num_threads(), "weights": {"vae": "random"},
    }  # fmt: skip
    record = {"schema": SCHEMA, "rows": rows, "provenance": about}
    if args.out is not None:
        atomic_write_text(args.out, json.dumps(record, indent=1) + "\n")
    return int(args.dtype == "float32" and any(row["error"] > ALLOWED_ERROR for row in rows))


def line_of(row: dict[str, Any]) -> str:
    """A row for people."""
    height, width = row["size_px"]
    return (
        f"{row['case']} {height}x{width}: ours {row['seconds']:.3f} s, diffusers "
        f"{row['diffusers_seconds']:.3f} s: {row['ratio']:.2f} times as fast, "
        f"{row['ratio_processor']:.2f} by processor time; rel-L2 {row['error']:.1e}; "
        f"norm by {row['norm']}"
    )


@torch.no_grad()
def measure(
    case: str,
    size: tuple[int, int],
    latent_frames: int,
    repeats: int,
    device: torch.device,
    dtype: torch.dtype,
) -> dict[str, Any]:
    """Decode in turns and compare."""
    from diffusers import AutoencoderKLWan

    torch.manual_seed(0)
    with torch.device(device):
        vae = AutoencoderKLWan(**CONFIGS[case]).to(dtype).eval()
    ours = VideoAutoencoder(vae)
    shape = (1, latent_frames, ours.latent_channels, *ours.latent_size(*size))
    latents = torch.randn(shape, device=device)
    raw = ours.denormalise(latents)
    rounds, error = [], 0.0
    for _ in range(1 + repeats):  # the first prepares weights and memory
        found, our_time = time_once(lambda: ours.decode(latents))
        expected, their_time = time_once(lambda: vae.decode(raw).sample)
        rounds.append((our_time, their_time))
        error = float((found.double() - expected.double()).norm() / expected.double().norm())
    wall, processor = ([[pair[k] for pair in each] for each in rounds[1:]] for k in (0, 1))
    return {
        "case": case,
        "size_px": list(size),
        "latent_frames": latent_frames,
        "dtype": str(dtype).removeprefix("torch."),
        "repeats": repeats,
        "seconds": statistics.median(a for a, _ in wall),
        "diffusers_seconds": statistics.median(b for _, b in wall),
        "ratio": statistics.median(b / a for a, b in wall),
        "ratio_range": [min(b / a for a, b in wall), max(b / a for a, b in wall)],
        "processor_s": statistics.median(a for a, _ in processor),
        "diffusers_processor_s": statistics.median(b for _, b in processor),
        "ratio_processor": statistics.median(b / a for a, b in processor),
        "error": error,
        "norm": norm_name(device),
    }


def norm_name(device: torch.device) -> str:
    """What computed our norm, and on a GPU why if it was not the Triton kernel."""
    if device.type != "cuda":
        return "PyTorch"
    return "Triton" if fused_norm.reason is None else f"PyTorch ({fused_norm.reason})"


def time_once(decode: Callable[[], torch.Tensor]) -> tuple[torch.Tensor, tuple[float, float]]:
    """The frames of one decode on the CPU, and its seconds: wall clock and processor time."""
    started = time.perf_counter(), time.process_time()
    frames = decode().float().cpu()
    return frames, (time.perf_counter() - started[0], time.process_time() - started[1])


if __name__ == "__main__":
    sys.exit(main())
