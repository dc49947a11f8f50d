"""Throughput and latency by the paper's definitions, and a statement of what was counted.

Throughput is the number of frames of a steady chunk over the time of such a chunk; latency is the
time of one chunk. For a model without chunks both are those of the whole video. The definitions are
those of the table from which the paper took its speeds: its numbers agree with them (12 frames /
0.69 s = 17.4 frames/s; 81 / 103 s = 0.79), and it does not say whether text encoding and decoding
are included.
"""

from __future__ import annotations

from dataclasses import replace
from statistics import median
from typing import Any

from baselines.adapters.adapter import Options, Timed, Timing
from baselines.lengths import nominal_s
from baselines.registry import MODELS
from baselines.spec import Length, ModelSpec
from hiar.errors import UsageError
from hiar.runtime.provenance import provenance

SCHEMA = "baselines-time/1"
RANDOM_SCHEMA = "baselines-time-random/1"
"""Schema of records that were made with random weights, which no table reads."""


def time_model(
    spec: ModelSpec,
    adapter: Timed,
    options: Options,
    length: Length,
    *,
    warmup: int,
    repeats: int,
) -> dict[str, Any]:
    """Measure one model.

    Args:
        spec: The model.
        adapter: The model, ready to run.
        options: Options with which it was loaded.
        length: Length of the videos.
        warmup: Number of runs before the measurement.
        repeats: Number of runs that are measured.

    Returns:
        A baselines-time/1 record with one row.
    """
    if warmup < 0 or repeats < 1:
        raise UsageError("--warmup must be at least 0 and --repeats at least 1")
    timing = adapter.time(length, warmup=warmup, repeats=repeats)
    if min(timing.chunk_s) <= 0:
        raise UsageError(
            f"a chunk took {min(timing.chunk_s):.3g} s: the machine is too uneven for this "
            "measurement; run it again with nothing else at work, or with more --repeats"
        )
    return {
        "schema": SCHEMA,
        "rows": [describe(spec, options, length, timing, warmup)],
        "provenance": provenance(options.device)
        | {"model": adapter.facts()}
        | machine(spec, options),
    }


def time_beside_release(
    spec: ModelSpec, options: Options, length: Length, *, warmup: int, repeats: int
) -> dict[str, Any]:
    """Measure a release's own code, then this toolkit under the same settings; random weights.

    Args:
        spec: The model.
        options: Options of the run.
        length: Length of the videos.
        warmup: Number of runs before each measurement.
        repeats: Number of runs that are measured.

    Returns:
        A baselines-time-random/1 record with two rows; the second says how many times the release
        it is.
    """
    from baselines.adapters.released_code import (  # noqa: PLC0415  (torch)
        DTYPE,
        ReleaseTimer,
        ToolkitTimer,
        check_options,
    )

    check_options(spec, options, [each.key for each in MODELS if each.code is not None])
    options = replace(options, dtype=DTYPE)
    timers = (ReleaseTimer(spec, options), ToolkitTimer(spec, options))
    release, ours = (
        time_model(spec, timer, options, length, warmup=warmup, repeats=repeats) for timer in timers
    )
    rows = [*release["rows"], *ours["rows"]]
    rows[1]["times_the_release"] = rows[0]["chunk_s"] / rows[1]["chunk_s"]
    return ours | {"schema": RANDOM_SCHEMA, "rows": rows}


def describe(
    spec: ModelSpec, options: Options, length: Length, timing: Timing, warmup: int
) -> dict[str, Any]:
    """Builds one row: medians over the repeats, and what was measured."""
    chunk_s = median(timing.chunk_s)
    parts = {f"{name}_s": value for name, value in timing.parts_s.items()}
    return {
        "model": spec.key,
        "kind": spec.kind,
        "seconds": nominal_s(length, spec.fps),
        "num_frames": length.num_frames,
        "chunk_frames": timing.chunk_frames,
        "throughput_fps": timing.chunk_frames / chunk_s,
        "latency_s": timing.latency_s,
        "chunk_s": chunk_s,
        "chunk_s_range": [min(timing.chunk_s), max(timing.chunk_s)],
        "counted": timing.counted,
        "parts": parts,
        "num_gpus": 1 if options.device.startswith("cuda") else 0,
        "dtype": options.dtype_name if spec.command is None else "its program's",
        "warmup": warmup,
        "repeats": len(timing.chunk_s),
        **timing.facts,
    }


def machine(spec: ModelSpec, options: Options) -> dict[str, Any]:
    """The device's name and the peak memory, which is not known for an external program."""
    import torch  # noqa: PLC0415

    from hiar.runtime.device import device_name, peak_memory_bytes  # noqa: PLC0415

    device = torch.device(options.device)
    return {
        "device_name": device_name(device),
        "threads": torch.get_num_threads(),
        "peak_memory_bytes": peak_memory_bytes(device) if spec.command is None else None,
    }
