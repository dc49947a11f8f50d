"""Models of the records of `hiar-vbench`: measured dimensions and scores."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

Table = Mapping[str, Any]


@dataclass(frozen=True, kw_only=True)
class DimensionRun:
    """`<dimension>_run.json` of `hiar-vbench run`; hashes say of which videos and prompts it is."""

    schema: Literal["vbench-run/1"]
    dimension: str
    protocol: str
    status: Literal["done", "failed"]
    reason: str
    value: float | None
    videos: int
    missing: tuple[str, ...]
    failed: tuple[str, ...]
    full_info_sha256: str
    list_sha256: str | None
    set_sha256: str
    samples: int | None
    seconds: float
    log: str
    device: str
    packages: Mapping[str, str]
    value_of_measured: float | None = None
    entries: int | None = None
    by: str | None = None
    inputs_sha256: str | None = None
    result_sha256: str | None = None
    clips: Table | None = None


@dataclass(frozen=True, kw_only=True)
class Dimension:
    """One dimension: upstream's value, and that value between the dimension's bounds."""

    raw: float
    normalised: float


@dataclass(frozen=True, kw_only=True)
class VBenchScore:
    """Record of `hiar-vbench score`; a score is None where a dimension of it is missing."""

    schema: Literal["vbench/1"]
    quality: float | None
    semantic: float | None
    total: float | None
    dimensions: Mapping[str, Dimension]
    missing: tuple[str, ...]
    ignored: tuple[str, ...]
    provenance: Table
    subset_errors: Mapping[str, Mapping[str, float]] | None = None
