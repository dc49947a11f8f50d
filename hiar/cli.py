"""The `hiar` command. Nothing heavy is imported before a command runs."""

from __future__ import annotations

import argparse
import json
import signal
import sys
from pathlib import Path
from types import ModuleType
from typing import NoReturn

from hiar.commands import doctor, sample, weights
from hiar.errors import UsageError
from hiar.progress import Progress

OK, WRONG_USE, INTERRUPTED = 0, 2, 130


class _Parser(argparse.ArgumentParser):
    """Wrong use is one line, not a page of usage."""

    def error(self, message: str) -> NoReturn:
        self.exit(WRONG_USE, f"{self.prog}: {message}; see {self.prog} --help\n")


def build_parser() -> argparse.ArgumentParser:
    """The whole command line."""
    parser = _Parser(prog="hiar", description="Make videos with HiAR, and time it.")
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    _add_module(commands.add_parser("sample", help="make videos from prompts"), sample)
    _add_bench(commands.add_parser("bench", help="time sampling on this machine"))
    _add_module(commands.add_parser("weights", help="list, fetch and verify weights"), weights)
    _add_module(commands.add_parser("doctor", help="what is here, what is missing"), doctor)
    for command in commands.choices.values():
        command.add_argument("--json", action="store_true", help="print the record, no table")
        command.add_argument("--debug", action="store_true", help="show the traceback of an error")
    return parser


def _add_module(parser: argparse.ArgumentParser, module: ModuleType) -> None:
    module.add_arguments(parser)
    parser.set_defaults(handler=module.run)


def _add_bench(parser: argparse.ArgumentParser) -> None:
    parser.description = (
        "Time sampling: the transformer only, one video, medians after a warm-up. Writes a "
        "bench/1 record."
    )
    parser.add_argument("--config", default="tiny", help="tiny, bench-cpu or wan-1.3b")
    parser.add_argument("--orders", default="block_first,step_first", metavar="A,B")
    parser.add_argument("--latent-frames", type=int, default=45)
    parser.add_argument("--window", type=int, default=21, help="latent frames visible; 0 = all")
    parser.add_argument("--warmup", type=int, default=1)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--dtype", default="float32", help="float32, bfloat16 or float16")
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--weights", type=Path, metavar="FILE", help="transformer weights")
    parser.add_argument("--random-weights", action="store_true", help="need no checkpoint")
    parser.add_argument("--checksum", action="store_true", help="add the latents' sha256")
    parser.add_argument("--out", type=Path, required=True, metavar="FILE", help="JSON to write")
    parser.set_defaults(handler=_bench)


def _bench(args: argparse.Namespace) -> int:
    from hiar.bench import BenchConfig, run_bench  # noqa: PLC0415
    from hiar.files import atomic_write_text  # noqa: PLC0415
    from hiar.memory import keep_freed_memory  # noqa: PLC0415

    keep_freed_memory()
    config = BenchConfig(
        model=args.config,
        orders=tuple(order.strip() for order in args.orders.split(",") if order.strip()),
        latent_frames=args.latent_frames, window=args.window or None, warmup=args.warmup,
        repeats=args.repeats, dtype=args.dtype, device=args.device, weights=args.weights,
        random_weights=args.random_weights, checksum=args.checksum,
    )  # fmt: skip
    if args.out.is_dir():
        raise UsageError(f"--out {args.out} is a folder: name the JSON file to write")
    record = run_bench(config, Progress("bench"))
    text = json.dumps(record, indent=1) + "\n"
    atomic_write_text(args.out, text)
    if args.json:
        sys.stdout.write(text)
        return OK
    sys.stdout.write("order        frames/s  block s  first s  passes  TFLOP/s\n")
    for row in record["rows"]:
        sys.stdout.write(
            f"{row['order']:12} {row['throughput_fps']:8.1f} {row['latency_s']:8.3f} "
            f"{row['first_block_s']:8.3f} {row['passes_per_block']:7d} {row['tflops_per_s']:8.4f}\n"
        )
    return OK


def _interrupt(signum: int, frame: object) -> NoReturn:
    raise KeyboardInterrupt


def main(argv: list[str] | None = None) -> int:
    """Run the command line; returns the exit code."""
    args = build_parser().parse_args(argv)
    signal.signal(signal.SIGTERM, _interrupt)
    try:
        return int(args.handler(args))
    except UsageError as error:
        if args.debug:
            raise
        sys.stderr.write(f"hiar: {error}\n")
        return WRONG_USE
    except KeyboardInterrupt:
        sys.stderr.write("hiar: interrupted; run the same command again to go on\n")
        return INTERRUPTED
