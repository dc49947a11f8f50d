"""Arguments that `generate` and `time` share: the model, and how it is loaded."""

import argparse
from pathlib import Path

from baselines.adapters.adapter import Options
from hiar.arguments import size_px


def add_model_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the arguments for the model, its loading and the length of its videos."""
    parser.add_argument("model", metavar="MODEL", help="name of a model, as `list` prints it")
    parser.add_argument(
        "--seconds", type=float,
        help="length of a video, one that the model supports (default: its longest up to 20 s)",
    )  # fmt: skip
    parser.add_argument("--device", default="cpu", help="cpu (default), cuda or cuda:N")
    parser.add_argument(
        "--dtype", choices=("float32", "bfloat16", "float16"),
        help="number type of the network (default: bfloat16 on a GPU, float32 on a CPU)",
    )  # fmt: skip
    parser.add_argument(
        "--weights", metavar="FOLDER",
        help="folder of a pipeline, instead of the weights folder; or tiny, for models run by hiar",
    )  # fmt: skip
    parser.add_argument("--size", type=size_px, metavar="HxW", help="size of the videos, in pixels")
    parser.add_argument(
        "--steps", type=int, metavar="N", help="denoising steps, instead of the model's own number"
    )
    parser.add_argument(
        "--environment",
        type=Path,
        metavar="FOLDER",
        help="folder of an external program's environment",
    )
    parser.add_argument(
        "--timeout",
        type=float,
        metavar="S",
        help="longest time for one video of an external program",
    )


def read_options(args: argparse.Namespace) -> Options:
    """Reads the options from parsed arguments."""
    return Options(
        device=args.device,
        dtype=args.dtype,
        weights=args.weights,
        size_px=args.size,
        num_steps=args.steps,
        environment=args.environment,
        timeout_s=args.timeout,
    )
