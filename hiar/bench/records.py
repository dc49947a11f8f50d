"""Reading bench/1 records: which rows are the same measurement, what a row says of its passes."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from hiar.errors import UsageError

SCHEMA = "bench/1"
PIPELINED = "pipelined"
IDENTITY = (
    "order", "ranks", "gpus", "config", "dtype", "latent_frames", "window", "wave_batch", "backend",
    "compile", "fused",
)  # fmt: skip
"""What makes two rows measurements of the same thing."""

Row = Mapping[str, Any]


def read_record(path: Path) -> dict[str, Any]:
    """A record of `hiar bench`.

    Raises:
        UsageError: If there is none, or the file is something else.
    """
    try:
        record = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise UsageError(f"no record {path}: {error.strerror}; write one with --out") from None
    except ValueError:
        record = None
    if not isinstance(record, dict) or record.get("schema") != SCHEMA:
        raise UsageError(f"{path} is no {SCHEMA} record: hiar bench --out writes one")
    return record


def identity(row: Row) -> dict[str, Any]:
    """What a row measured; rows of older records were of one process, nothing fused."""
    found = {name: row.get(name) for name in IDENTITY}
    found["ranks"] = row.get("ranks", 1)
    found["fused"] = is_fused(row)
    return found


def is_fused(row: Row) -> bool:
    """Whether the row's context passes ran with the next block's denoising."""
    return bool((row.get("fused") or {}).get("chosen", False))


def label(row: Row) -> str:
    """A row in a few words."""
    fused = " fused" if is_fused(row) else ""
    return f"{row['order']}{fused} x{row.get('ranks', 1)}"
