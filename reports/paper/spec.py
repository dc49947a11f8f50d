"""A preset as typed data, read from the spec: what is run for each table, checked as a whole.

Everything is checked before a job is planned: an unknown key, run, prompt set, cost, model or
metric is an error of one line that names it.
"""

from __future__ import annotations

import hashlib
import json
import tomllib
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from importlib.resources import files
from pathlib import Path
from typing import Any

from drift.errors import UsageError
from hiar.model.geometry import num_frames
from reports.paper.spec_types import (
    BenchSpec,
    Cost,
    ExtraJob,
    FigureSpec,
    LengthsSpec,
    PromptSet,
    ProxySpec,
    RunSpec,
    SampleSpec,
    ScoreSpec,
    TimingSpec,
    VBenchSpec,
)
from reports.paper.typed_tables import from_table, named_tables

SPEC_SCHEMA = "reports-spec/2"
SHIPPED = "paper/spec.toml"


@dataclass(frozen=True, kw_only=True)
class Preset:
    """Everything one `--preset` runs.

    Attributes:
        name: Name on the command line.
        scale: Mark of each measured number: `tiny`, or `paper` for the paper's own sizes.
        about: One line that describes the preset.
        caption: What a reader must know before comparing numbers; printed under each table.
        inputs: Globs of package files whose hashes enter the ids of jobs that make or time videos.
        tables: Names of the tables to fill; which runs a table reads is said with the table.
        jobs: Jobs that the spec itself spells out.
    """

    name: str
    scale: str
    about: str
    caption: str
    runs: tuple[RunSpec, ...]
    samples: tuple[SampleSpec, ...]
    score: ScoreSpec
    figures: FigureSpec
    tables: tuple[str, ...]
    bench: BenchSpec
    vbench: VBenchSpec | None = None
    proxies: ProxySpec | None = None
    timing: TimingSpec | None = None
    lengths: LengthsSpec | None = None
    inputs: tuple[str, ...] = ()
    jobs: tuple[ExtraJob, ...] = field(default_factory=tuple)

    def __post_init__(self) -> None:
        if self.scale not in ("tiny", "paper"):
            raise UsageError(f"presets.{self.name}: scale is {self.scale!r}; it is tiny or paper")
        names = {run.name for run in self.runs}
        if len(names) != len(self.runs):
            raise UsageError(f"presets.{self.name}: runs must differ")
        for part, spec in (("timing", self.timing), ("lengths", self.lengths)):
            unlisted = set(spec.runs if spec else ()) - names
            if unlisted:
                raise UsageError(
                    f"presets.{self.name}.{part}: {min(unlisted)!r} is not in its runs"
                )
        sampled = {sample.prompts.name for sample in self.samples}
        measured = (
            ("score", self.score.prompts),
            ("vbench", self.vbench_prompts),
            ("proxies", self.proxies.prompts if self.proxies else None),
        )
        for part, prompts in measured:
            if prompts is not None and prompts.name not in sampled:
                raise UsageError(
                    f"presets.{self.name}.{part}: no videos are made of prompts {prompts.name!r}"
                )
        if self.lengths is not None:
            self._check_lengths(self.lengths)

    def _check_lengths(self, spec: LengthsSpec) -> None:
        where, most = f"presets.{self.name}.lengths", self.score.prompts.count
        if not 0 < spec.num_prompts <= most:
            raise UsageError(f"{where}: num_prompts {spec.num_prompts} must lie in 1 to {most}")
        for run in map(self.run, spec.runs):
            if run.tool != "hiar":
                raise UsageError(f"{where}: {run.name} is not sampled by hiar; leave it out")
            seconds = num_frames(spec.latent_frames) / run.fps
            if not spec.at_s or max(spec.at_s) > seconds:
                raise UsageError(
                    f"{where}: at_s {list(spec.at_s)} must be lengths up to {seconds:g} s, that of "
                    f"{spec.latent_frames} latent frames"
                )

    @property
    def vbench_prompts(self) -> PromptSet | None:
        """Prompts of VBench, None where it is not run."""
        return self.vbench.prompts if self.vbench else None

    @property
    def sample(self) -> SampleSpec:
        """The videos that drift is measured on and that figures show."""
        wanted = self.score.prompts.name
        return next(sample for sample in self.samples if sample.prompts.name == wanted)

    def run(self, name: str) -> RunSpec:
        """Returns the run of that name."""
        return next(run for run in self.runs if run.name == name)

    @property
    def sha256(self) -> str:
        """Hash of everything that decides a result: not of captions, costs and tables."""
        parts = {
            "runs": [_without(asdict(run), "label", "cost", "gpus") for run in self.runs],
            "samples": [asdict(sample) for sample in self.samples],
            "score": _without(asdict(self.score), "cost", "gpus"),
            "bench": _without(asdict(self.bench), "expected_s"),
            "vbench": self.vbench and self.vbench.prompts.name,
            "proxies": self.proxies and self.proxies.prompts.name,
            "timing": self.timing and asdict(self.timing),
            "lengths": self.lengths and asdict(self.lengths),
            "jobs": [_without(asdict(job), "expected_s", "retries") for job in self.jobs],
        }
        return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()


def _without(table: dict[str, Any], *keys: str) -> dict[str, Any]:
    return {key: value for key, value in table.items() if key not in keys}


def read_spec(text: str) -> dict[str, Preset]:
    """Parses a spec.

    Args:
        text: TOML.

    Returns:
        The presets by name.

    Raises:
        UsageError: On anything unknown, missing or of the wrong type.
    """
    try:
        data = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise UsageError(f"spec: {error}; it must be TOML") from None
    if data.get("schema") != SPEC_SCHEMA:
        raise UsageError(f"spec: schema is {data.get('schema')!r}; this reads {SPEC_SCHEMA!r}")
    sections = ("prompts", "costs", "runs", "presets")
    unknown = set(data) - {"schema", *sections}
    if unknown:
        raise UsageError(
            f"spec: unknown key {min(unknown)!r}; known: schema, {', '.join(sections)}"
        )
    prompts = named_tables(PromptSet, data.get("prompts", {}), "prompts")
    costs = named_tables(Cost, data.get("costs", {}), "costs")
    runs = named_tables(RunSpec, data.get("runs", {}), "runs", cost=costs)
    presets = data.get("presets", {})
    known: dict[str, Mapping[str, Any]] = {"prompts": prompts, "cost": costs}
    return {name: _preset(name, table, runs, known) for name, table in presets.items()}


def _preset(
    name: str,
    table: Mapping[str, Any],
    runs: Mapping[str, RunSpec],
    known: Mapping[str, Mapping[str, Any]],
) -> Preset:
    where = f"presets.{name}"
    parts: dict[str, Any] = {"name": name, **table}
    single = {"score": ScoreSpec, "bench": BenchSpec, "vbench": VBenchSpec, "proxies": ProxySpec,
              "timing": TimingSpec, "lengths": LengthsSpec, "figures": FigureSpec}  # fmt: skip
    for key, kind in single.items():
        if key in parts:
            parts[key] = from_table(kind, parts[key], f"{where}.{key}", **known)
    for key, kind in {"samples": SampleSpec, "jobs": ExtraJob}.items():
        if key in parts:
            parts[key] = [from_table(kind, one, f"{where}.{key}", **known) for one in parts[key]]
    return from_table(Preset, parts, where, runs=runs)


def load_preset(name: str, spec: Path | None = None) -> Preset:
    """Reads one preset.

    Args:
        name: Name of the preset.
        spec: Spec file to read; None is the one that ships with the package.

    Raises:
        UsageError: When there is no such file or preset, or the spec is wrong.
    """
    try:
        shipped = files("reports").joinpath(SHIPPED)
        text = (spec or shipped).read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or "not UTF-8"
        raise UsageError(f"--spec {spec}: {reason}; give a TOML file") from None
    try:
        presets = read_spec(text)
    except UsageError as error:
        raise UsageError(f"{spec or shipped}: {error}") from None
    if name not in presets:
        raise UsageError(f"--preset {name}: unknown; choose from {', '.join(presets)}")
    return presets[name]
