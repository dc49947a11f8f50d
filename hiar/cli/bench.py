"""`hiar bench`: the command line of the benchmark."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hiar.bench.records import (
    compare,
    comparison_facts,
    format_comparison,
    read_record,
    record_of,
)
from hiar.bench.rows import PIPELINED, Row
from hiar.errors import UsageError
from hiar.model.config import ATTENTION_BACKENDS
from hiar.runtime.progress import Progress
from hiar.runtime.ranks import device_of_rank, num_ranks_of
from hiar.sampling.pipelined.tasks import split_steps

if TYPE_CHECKING:
    from hiar.bench.config import BenchConfig
    from hiar.bench.pipelined import PipelineTiming
    from hiar.sampling.pipelined.group import PipelineGroup

OK = 0


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Arguments of the command."""
    parser.description = (
        "Time sampling: the transformer only, one video, medians after a warm-up. Writes a "
        "bench/1 record. Under torchrun the ranks share the steps of order pipelined; the first "
        "rank alone times the other orders."
    )
    _add_model_arguments(parser)
    _add_order_arguments(parser)
    parser.add_argument("--warmup", type=int, default=1, help="runs before counting (default 1)")
    parser.add_argument("--repeats", type=int, default=3, help="counted runs (default 3)")
    parser.add_argument(
        "--kernel-floor", action="store_true",
        help="time the bare attention and matrix kernels in the same run",
    )  # fmt: skip
    parser.add_argument(
        "--decode", action="store_true",
        help="also time each order with a text encoder before and a decoder after it (random "
        "weights); on a GPU a block is decoded while the next one is sampled",
    )  # fmt: skip
    parser.add_argument(
        "--decoder", default="vae", metavar="A,B",
        help="decoders of --decode: vae (default), vae-bfloat16, tiny-decoder; each order has a "
        "row for each",
    )  # fmt: skip
    parser.add_argument("--checksum", action="store_true", help="add the latents' sha256")
    parser.add_argument("--out", type=Path, metavar="FILE", help="JSON to write")
    instead = parser.add_mutually_exclusive_group()
    instead.add_argument(
        "--compare", type=Path, nargs=2, metavar=("A", "B"),
        help="instead of timing: set two records side by side",
    )  # fmt: skip
    instead.add_argument(
        "--model", type=Path, nargs="+", metavar="RECORD",
        help="instead of timing: predict other numbers of ranks and steps from the passes of order "
        "pipelined, and check the prediction against every measured row",
    )  # fmt: skip
    parser.add_argument(
        "--decode-s", type=float, metavar="SECONDS",
        help="--model: what one device takes to decode a steady block (--decode measures it); "
        "predicts ranks that decode and ranks that run context passes too",
    )  # fmt: skip
    instead.add_argument(
        "--report", type=Path, nargs="+", metavar="DIR",
        help="instead of timing: make one page of records or folders of them, with tables, "
        "roofline and timelines (--out FILE.html; default report.html in the first folder)",
    )  # fmt: skip


def _add_model_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--config", default="tiny", help="tiny, bench-cpu or wan-1.3b")
    parser.add_argument("--weights", type=Path, metavar="FILE", help="transformer weights")
    parser.add_argument(
        "--random-weights", action="store_true",
        help="time random weights: no checkpoint is needed, and speed does not depend on them",
    )  # fmt: skip
    parser.add_argument("--dtype", default="float32", help="float32, bfloat16 or float16")
    parser.add_argument("--device", default="cpu", help="cpu (default) or cuda")
    parser.add_argument(
        "--attention", default="sdpa", metavar="NAME",
        help=f"{', '.join(ATTENTION_BACKENDS)} (times the others, once a machine and shape)",
    )  # fmt: skip
    parser.add_argument(
        "--compile", action="store_true", help="fuse the operations between the kernels"
    )
    parser.add_argument(
        "--cuda-graphs", action="store_true",
        help="GPU: replay the passes over blocks that see a full window as CUDA graphs",
    )  # fmt: skip
    parser.add_argument(
        "--fp8", default="off", metavar="WHAT",
        help="off (default) or ffn: feed-forward products in 8 bits; prints the error against the "
        "plain model on the same noise (a CPU emulates it)",
    )  # fmt: skip


def _add_order_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--orders", default="block_first,step_first", metavar="A,B",
        help="block_first, step_first, diagonal, pipelined (default: block_first,step_first)",
    )  # fmt: skip
    parser.add_argument(
        "--latent-frames", type=int, default=45, help="latent frames of the video (default 45)"
    )
    parser.add_argument("--window", type=int, default=21, help="latent frames visible; 0 = all")
    parser.add_argument(
        "--wave-batch", action="store_true", help="order diagonal: a wave's cells in one call"
    )
    parser.add_argument(
        "--fused", default="off", metavar="MODE",
        help="order pipelined: a block's context and the next block's denoising in one pass: "
        "off (default: every number of ranks gives the same bits), on, auto (measures)",
    )  # fmt: skip
    parser.add_argument(
        "--share-gpu", action="store_true",
        help="order pipelined: all processes of torchrun use one GPU and pass blocks on through "
        "the CPU's memory; for correctness, its speed says nothing",
    )  # fmt: skip
    parser.add_argument(
        "--rank-timeout", type=float, default=600.0, metavar="SECONDS",
        help="longest wait for another rank's block (default 600)",
    )  # fmt: skip
    parser.add_argument(
        "--timeline", type=Path, metavar="FILE.png",
        help="order pipelined: picture of what each rank did when",
    )  # fmt: skip
    parser.add_argument(
        "--trace", type=Path, metavar="FILE.json", help="the same for chrome://tracing or Perfetto"
    )


def run(arguments: argparse.Namespace) -> int:
    """Run the command."""
    if arguments.out is not None and arguments.out.is_dir():
        raise UsageError(f"--out {arguments.out} is a folder: name the JSON file to write")
    if arguments.decode_s is not None and (not arguments.model or arguments.decode_s <= 0):
        raise UsageError(
            f"--decode-s {arguments.decode_s:g}: a time above 0, together with --model RECORD"
        )
    if arguments.compare or arguments.model:
        return read_records(arguments)
    if arguments.report:
        return write_report(arguments)
    if arguments.out is None:
        raise UsageError("--out is missing: name the JSON file to write")
    config = bench_config(arguments)
    if (arguments.timeline or arguments.trace) and PIPELINED not in config.orders:
        raise UsageError("--timeline and --trace show order pipelined: add it to --orders")
    from hiar.sampling.pipelined.group import joined_group  # noqa: PLC0415

    same = asdict(config) | {"device": config.device.partition(":")[0]}
    with joined_group(
        arguments.device, timeout_s=arguments.rank_timeout, same=same,
        shares_gpu=arguments.share_gpu,
    ) as group:  # fmt: skip
        time_orders(config, arguments, group)
    return OK


def time_orders(config: BenchConfig, arguments: argparse.Namespace, group: PipelineGroup) -> None:
    """Time the orders; the first rank writes the record and prints the table."""
    from hiar.bench.orders import run_bench  # noqa: PLC0415
    from hiar.runtime.files import atomic_write_text  # noqa: PLC0415
    from hiar.runtime.memory import keep_freed_memory  # noqa: PLC0415

    keep_freed_memory()
    shown = sys.stderr if group.ranks.is_first else None

    def draw(timing: PipelineTiming) -> None:
        if group.ranks.is_first:
            write_timeline(timing, arguments)

    def write(record: dict[str, Any]) -> None:
        if group.ranks.is_first:
            atomic_write_text(arguments.out, text_of(record))

    record = run_bench(config, Progress("bench", shown), group, on_pipelined=draw, on_sampled=write)
    write(record)
    if group.ranks.is_first:
        table = format_table(record_of(record).rows)
        sys.stdout.write(text_of(record) if arguments.json else table)


def text_of(record: dict[str, Any]) -> str:
    """A record as a file holds it."""
    return json.dumps(record, indent=1) + "\n"


def write_timeline(timing: PipelineTiming, arguments: argparse.Namespace) -> None:
    """Write the picture and the trace of a run, those that were asked for."""
    from hiar.bench.report.gantt import plot_timeline  # noqa: PLC0415
    from hiar.runtime.files import atomic_write_text  # noqa: PLC0415
    from hiar.sampling.pipelined.timeline import chrome_trace  # noqa: PLC0415

    if arguments.timeline is not None:
        title = (
            f"{arguments.config}, {arguments.latent_frames} latent frames, {len(timing.ranks)} "
            f"ranks: {timing.seconds:.2f} s"
        )
        plot_timeline(arguments.timeline, timing.spans, title)
    if arguments.trace is not None:
        atomic_write_text(arguments.trace, json.dumps(chrome_trace(timing.spans)) + "\n")


def read_records(arguments: argparse.Namespace) -> int:
    """Compare records or predict from them; nothing is timed."""
    from hiar.bench.prediction.forecast import forecast, format_forecast  # noqa: PLC0415
    from hiar.runtime.files import atomic_write_text  # noqa: PLC0415

    records = [read_record(path) for path in arguments.compare or arguments.model]
    if arguments.compare:
        pairs, notes = compare(*records)
        facts, table = comparison_facts(pairs, notes), format_comparison(pairs, notes)
    else:
        facts = forecast(records, arguments.decode_s)
        table = format_forecast(facts)
    if arguments.out is not None:
        atomic_write_text(arguments.out, text_of(facts))
    sys.stdout.write(text_of(facts) if arguments.json else table)
    return OK


def write_report(arguments: argparse.Namespace) -> int:
    """Write the page of `--report` and say where it is."""
    from hiar.bench.report.page import PAGE_NAME, collect_records, render_page  # noqa: PLC0415
    from hiar.runtime.files import atomic_write_text  # noqa: PLC0415

    first = arguments.report[0]
    found = collect_records(arguments.report)
    out = arguments.out or (first if first.is_dir() else first.parent) / PAGE_NAME
    atomic_write_text(out, render_page(found))
    facts = {"report": str(out), "rows": len(found.rows()), "passed_over": dict(found.passed_over)}
    words = f"{out}: {facts['rows']} rows of {len(found.records)} records"
    if found.passed_over:
        words += f"; {len(found.passed_over)} files that are no records passed over"
    sys.stdout.write((json.dumps(facts, indent=1) if arguments.json else words) + "\n")
    return OK


def bench_config(arguments: argparse.Namespace) -> BenchConfig:
    """The settings that the command line asks for, on this rank's device.

    Raises:
        UsageError: If a setting is wrong, or there are more ranks than steps.
    """
    from hiar.bench.config import BenchConfig  # noqa: PLC0415

    config = BenchConfig(
        model=arguments.config,
        orders=names_in(arguments.orders),
        wave_batch=arguments.wave_batch, latent_frames=arguments.latent_frames,
        window=arguments.window or None, warmup=arguments.warmup, repeats=arguments.repeats,
        dtype=arguments.dtype,
        device=device_of_rank(arguments.device, shared=arguments.share_gpu),
        cuda_graphs=arguments.cuda_graphs, fp8=arguments.fp8, share_gpu=arguments.share_gpu,
        attention=arguments.attention, compile=arguments.compile,
        kernel_floor=arguments.kernel_floor, weights=arguments.weights,
        random_weights=arguments.random_weights, checksum=arguments.checksum,
        fused=arguments.fused, decode=arguments.decode, decoders=names_in(arguments.decoder),
    )  # fmt: skip
    if PIPELINED in config.orders:
        split_steps(len(config.sampler(PIPELINED).steps), num_ranks_of())
    return config


def names_in(text: str) -> tuple[str, ...]:
    """The names of a list with commas."""
    return tuple(name.strip() for name in text.split(",") if name.strip())


def format_table(rows: Sequence[Row]) -> str:
    """The rows for people."""
    with_floor = any(row.kernel_floor for row in rows)
    head = "order        ranks  frames/s  block s  first s  passes  TFLOP/s  of peak"
    lines = [head + ("  kernels s  ratio" if with_floor else "")]
    for row in rows:
        line = (
            f"{row.order:12} {row.ranks:5d} {row.throughput_fps:9.1f} "
            f"{row.latency_s:8.3f} {row.first_block_s:8.3f} {row.passes_per_block:7d} "
            f"{row.tflops_per_s:8.4f} {row.matmul_peak_share:8.0%}"
        )
        if row.kernel_floor:
            line += f" {row.kernel_floor.kernel_floor_s:10.3f} {row.kernel_floor.kernel_ratio:6.3f}"
        lines.append(line)
        lines += [f"             {note}" for note in row_notes(row)]
    return "\n".join(lines) + "\n"


def row_notes(row: Row) -> list[str]:
    """What does not fit into a column."""
    notes = []
    if row.compile_s is not None:
        notes.append(f"compiling took {row.compile_s:.1f} s, not counted")
    if row.intervals:
        even = row.intervals
        words = (
            f"steady block {even.interval_p50_s:.3f} s, 95 % within {even.interval_p95_s:.3f}, "
            f"99 % within {even.interval_p99_s:.3f}"
        )
        if even.deadline_misses is not None:
            words += (
                f"; {even.deadline_misses} of {even.deadline_blocks} blocks later than "
                f"{even.deadline_s:g} s"
            )
        notes.append(words)
    if row.error_against_plain:
        errors = ", ".join(f"{name} {value:.2e}" for name, value in row.error_against_plain.items())
        notes.append(f"rel-L2 distance from the plain model, same noise: {errors}")
    if "share-gpu" in row.options:
        notes.append("ranks share one GPU: the latents count, the speed says nothing")
    if row.pictures:
        notes.append(
            f"with pictures ({row.pictures.decoder}) {row.pictures.end_to_end_s:.3f} s, "
            f"{row.pictures.end_to_end_fps:.1f} frames/s; first frame "
            f"{row.pictures.first_frame_s:.3f} s"
            + (f", with text {row.pictures.text_s:.3f} s more" if row.pictures.text_s else "")
        )
    if row.pipeline:
        steps = "+".join(str(count) for count in row.pipeline.steps_per_rank)
        waits = ", ".join(f"{share:.0%}" for share in row.pipeline.rank_wait_share)
        notes.append(
            f"steps {steps}; a steady block passes in {row.pipeline.transit_s:.3f} s; "
            f"ranks wait {waits}; {row.pipeline.bytes_sent / 1e6:.1f} MB sent"
        )
    return notes
