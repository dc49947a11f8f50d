"""The paper's spec as typed data: which runs, scores, bench and figures a preset asks for."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import MISSING, dataclass, fields
from importlib.resources import files
from typing import TYPE_CHECKING, Any, TypeVar

from drift.errors import UsageError

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

SPEC_SCHEMA = "reports-spec/1"

T = TypeVar("T", bound="DataclassInstance")


@dataclass(frozen=True, kw_only=True)
class RunSpec:
    """One way to sample the held-out prompts; `name` is the folder of its videos."""

    name: str
    label: str
    order: str
    context: str


@dataclass(frozen=True, kw_only=True)
class SampleSpec:
    """What all sampling runs share; `inputs` are globs of package files that a new id follows."""

    model: str
    prompts: str
    inputs: tuple[str, ...]
    latent_frames: int
    window: int
    seed: int
    expected_s: float


@dataclass(frozen=True, kw_only=True)
class ScoreSpec:
    """The scoring jobs; metrics and preset are the score command's own defaults."""

    expected_s: float


@dataclass(frozen=True, kw_only=True)
class BenchSpec:
    """The speed measurement."""

    config: str
    orders: tuple[str, ...]
    latent_frames: int
    window: int
    warmup: int
    repeats: int
    expected_s: float


@dataclass(frozen=True, kw_only=True)
class FigureSpec:
    """What the figures show: number of prompts, and the columns' times in seconds."""

    sheet_prompts: int
    sheet_times_s: tuple[float, ...]


@dataclass(frozen=True, kw_only=True)
class Preset:
    """Everything one `--preset` runs.

    Attributes:
        name: Name on the command line.
        scale: Mark of each measured number: `tiny`, or `paper` for the paper's own sizes.
        caption: What a reader must know before comparing; stands under each table.
    """

    name: str
    scale: str
    caption: str
    sample: SampleSpec
    runs: tuple[RunSpec, ...]
    score: ScoreSpec
    bench: BenchSpec
    figures: FigureSpec

    def __post_init__(self) -> None:
        if self.scale not in ("tiny", "paper"):
            raise UsageError(f"preset {self.name}: scale is {self.scale!r}; it is tiny or paper")
        names = [run.name for run in self.runs]
        if len(set(names)) != len(names):
            raise UsageError(f"preset {self.name}: run names must differ, got {', '.join(names)}")


def read_spec(text: str) -> dict[str, Preset]:
    """Parses a spec.

    Args:
        text: TOML.

    Returns:
        The presets by name.

    Raises:
        UsageError: On an unknown or missing key, or a value of the wrong type.
    """
    data = tomllib.loads(text)
    if data.get("schema") != SPEC_SCHEMA:
        raise UsageError(f"spec: schema is {data.get('schema')!r}; this reads {SPEC_SCHEMA!r}")
    unknown = set(data) - {"schema", "presets"}
    if unknown:
        raise UsageError(f"spec: unknown key {min(unknown)!r}; known: presets, schema")
    return {name: _preset(name, table) for name, table in data["presets"].items()}


def load_preset(name: str) -> Preset:
    """Reads one preset of the spec that ships with the package."""
    presets = read_spec(files("reports").joinpath("paper/spec.toml").read_text(encoding="utf-8"))
    if name not in presets:
        raise UsageError(f"--preset {name}: unknown; choose from {', '.join(presets)}")
    return presets[name]


def _preset(name: str, table: Mapping[str, Any]) -> Preset:
    where = f"presets.{name}"
    parts: dict[str, Any] = {"name": name, **table}
    sections = {"sample": SampleSpec, "score": ScoreSpec, "bench": BenchSpec, "figures": FigureSpec}
    for key, kind in sections.items():
        if key in parts:
            parts[key] = from_table(kind, parts[key], f"{where}.{key}")
    if "runs" in parts:
        parts["runs"] = tuple(from_table(RunSpec, run, f"{where}.runs") for run in parts["runs"])
    return from_table(Preset, parts, where)


def from_table(kind: type[T], table: Mapping[str, Any], where: str) -> T:
    """Builds a dataclass from a table whose keys must be exactly its fields.

    Raises:
        UsageError: Naming the key and the known ones.
    """
    known = {field.name: field for field in fields(kind)}
    for key in table:
        if key not in known:
            raise UsageError(f"{where}: unknown key {key!r}; known: {', '.join(sorted(known))}")
    for key, field in known.items():
        if key not in table and field.default is MISSING:
            raise UsageError(f"{where}: key {key!r} is missing")
    values = {key: tuple(v) if isinstance(v, list) else v for key, v in table.items()}
    for key, value in values.items():
        _check_type(value, str(known[key].type), f"{where}.{key}")
    return kind(**values)


def _check_type(value: object, annotation: str, where: str) -> None:
    expected = {"str": str, "int": int, "float": float}.get(annotation)
    if annotation.startswith("tuple["):
        expected = tuple
    if expected is None:
        return
    if not isinstance(value, expected) or isinstance(value, bool):
        raise UsageError(f"{where}: {value!r} is no {annotation}")
