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
from typing import Any, Literal

from drift.errors import UsageError
from drift.typed_data import checked
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

SPEC_SCHEMA = "reports-spec/2"
SHIPPED = "paper/spec.toml"

Tables = dict[str, dict[str, Any]]


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
    scale: Literal["tiny", "paper"]
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
        names = {run.name for run in self.runs}
        if len(names) != len(self.runs):
            raise UsageError("runs must differ")
        for part, spec in (("timing", self.timing), ("lengths", self.lengths)):
            unlisted = set(spec.runs if spec else ()) - names
            if unlisted:
                raise UsageError(f"{part}: {min(unlisted)!r} is not in its runs")
        sampled = {sample.prompts.name for sample in self.samples}
        measured = (
            ("score", self.score.prompts),
            ("vbench", self.vbench_prompts),
            ("proxies", self.proxies.prompts if self.proxies else None),
        )
        for part, prompts in measured:
            if prompts is not None and prompts.name not in sampled:
                raise UsageError(f"{part}: no videos are made of prompts {prompts.name!r}")
        if self.lengths is not None:
            self._check_lengths(self.lengths)

    def _check_lengths(self, spec: LengthsSpec) -> None:
        where, most = "lengths", self.score.prompts.count
        if spec.longer and not 0 < spec.num_prompts <= most:
            raise UsageError(f"{where}: num_prompts {spec.num_prompts} must lie in 1 to {most}")
        for run in map(self.run, spec.runs):
            if spec.longer and run.tool != "hiar":
                raise UsageError(f"{where}: {run.name} is not sampled by hiar; leave it out")
            frames = num_frames(spec.latent_frames) if spec.longer else self.sample.num_frames(run)
            seconds = frames / run.fps
            if not spec.at_s or max(spec.at_s) > seconds:
                raise UsageError(
                    f"{where}: at_s {list(spec.at_s)} must be lengths up to {seconds:g} s, that of "
                    f"the videos of {run.name}"
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
            "runs": [
                _without(asdict(run), "label", "cost", "gpus", "in_figures") for run in self.runs
            ],
            "samples": [asdict(sample) for sample in self.samples],
            "score": _without(asdict(self.score), "cost", "gpus"),
            "bench": _without(asdict(self.bench), "expected_s"),
            "vbench": self.vbench and self.vbench.identity,
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
    spec = checked(_SpecFile, data, "spec")
    known = {"prompts": _with_names(spec.prompts), "cost": _with_names(spec.costs)}
    runs: Tables = _resolved(_with_names(spec.runs), known, "runs")
    checked(dict[str, PromptSet], known["prompts"], "prompts")
    checked(dict[str, Cost], known["cost"], "costs")
    checked(dict[str, RunSpec], runs, "runs")
    presets: Tables = _resolved(_with_names(spec.presets), known, "presets")
    for name, table in presets.items():
        if "runs" in table:  # at the top only: deeper down, runs are names
            table["runs"] = _look_up(runs, table["runs"], f"presets.{name}.runs")
    return checked(dict[str, Preset], presets, "presets")


@dataclass(frozen=True, kw_only=True)
class _SpecFile:
    """The sections of a spec, whose tables refer to one another by name."""

    schema: str
    prompts: Tables
    costs: Tables
    runs: Tables
    presets: Tables


def _with_names(tables: Tables) -> Tables:
    return {name: {"name": name, **table} for name, table in tables.items()}


def _resolved(value: Any, known: Mapping[str, Tables], where: str) -> Any:
    """A value in which each name of a table in `known`, by key, is replaced by that table."""
    if isinstance(value, list):
        return [_resolved(one, known, where) for one in value]
    if not isinstance(value, dict):
        return value
    return {
        key: _look_up(known[key], one, f"{where}.{key}")
        if key in known
        else _resolved(one, known, f"{where}.{key}")
        for key, one in value.items()
    }


def _look_up(tables: Tables, name: object, where: str) -> Any:
    """The table of that name, or those of a list of names."""
    if isinstance(name, list):
        return [_look_up(tables, one, where) for one in name]
    if not isinstance(name, str) or name not in tables:
        raise UsageError(f"{where}: {name!r} is unknown; choose from {', '.join(tables)}")
    return tables[name]


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
