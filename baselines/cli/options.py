"""Arguments that `generate` and `time` share: which model, and how it is loaded."""

import argparse
from pathlib import Path

from baselines.adapters.adapter import Options
from hiar.arguments import size_px


def add_model_arguments(parser: argparse.ArgumentParser) -> None:
    """Which model, how it is loaded, how long its videos are."""
    parser.add_argument("model", metavar="MODEL", help="a model's key, as `list` prints it")
    parser.add_argument(
        "--seconds", type=float,
        help="length, one that the model supports (default: its longest up to 20 s)",
    )  # fmt: skip
    parser.add_argument("--device", default="cpu", help="cpu (default), cuda or cuda:N")
    parser.add_argument(
        "--dtype", choices=("float32", "bfloat16", "float16"),
        help="of the network (default: bfloat16 on a GPU, float32 on a CPU)",
    )  # fmt: skip
    parser.add_argument(
        "--weights", metavar="FOLDER",
        help="a pipeline's folder instead of the weights folder, or tiny for models run by hiar",
    )  # fmt: skip
    parser.add_argument("--size", type=size_px, metavar="HxW", help="of the videos, in pixels")
    parser.add_argument("--steps", type=int, metavar="N", help="denoising steps, if not its own")
    parser.add_argument("--environment", type=Path, metavar="FOLDER", help="of an external program")
    parser.add_argument(
        "--timeout", type=float, metavar="S", help="longest time for one video of such a program"
    )


def read_options(args: argparse.Namespace) -> Options:
    """The options that were given."""
    return Options(
        device=args.device,
        dtype=args.dtype,
        weights=args.weights,
        size_px=args.size,
        num_steps=args.steps,
        environment=args.environment,
        timeout_s=args.timeout,
    )
