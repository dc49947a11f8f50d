"""Whether runs may be compared: the same preset, metrics, settings, frame rates and lengths."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

from drift.errors import UsageError
from drift.metrics.preset import Preset
from drift.record.tables import RunData

MUST_AGREE = {"fps": "frame rates", "frames": "lengths in frames"}
SHOULD_AGREE = {"codec": "codecs", "pix_fmt": "pixel formats", "width": "widths in pixels"}


@dataclass(frozen=True, kw_only=True)
class NamedRun:
    """A run and its name in the result."""

    name: str
    data: RunData


def invalid_mark(runs: Sequence[NamedRun]) -> dict[str, str]:
    """`invalid`, and why the numbers of the first run that has none mean nothing; or nothing."""
    marks = (run.data.provenance.get("invalid") for run in runs)
    return next(({"invalid": mark} for mark in marks if mark), {})


def select(run: NamedRun, metrics: Sequence[str] | None, preset: Preset | None) -> NamedRun:
    """Replaces the preset of a run or leaves metrics out.

    Args:
        run: Run to change.
        metrics: Metrics to keep; None keeps all.
        preset: Preset to score with; None keeps the run's own.

    Returns:
        The changed run.

    Raises:
        UsageError: the run lacks a metric, or the preset does not cover one.
    """
    data = replace(run.data, preset=preset or run.data.preset)
    if metrics is not None:
        absent = [name for name in metrics if name not in data.config.metrics]
        if absent:
            raise UsageError(
                f"{run.name} has no {', '.join(absent)}, only {', '.join(data.config.metrics)}; "
                "score it again with them, or compare without"
            )
        kept = tuple(name for name in data.config.metrics if name in metrics)
        rows = tuple(
            replace(row, values={k: v for k, v in row.values.items() if k in kept})
            for row in data.rows
        )
        variants = tuple(pair for pair in data.config.variants if pair[0] in kept)
        config = replace(data.config, metrics=kept, variants=variants)
        data = replace(data, config=config, rows=rows)
    data.preset.check_covers(data.config.metrics)
    return replace(run, data=data)


def check_comparable(runs: Sequence[NamedRun], *, allow_mixed: bool = False) -> list[str]:
    """Refuses runs whose scores are different quantities: other settings, weights or lengths.

    Args:
        runs: Two or more.
        allow_mixed: Accept settings, frame rates and lengths that differ, with a note. Different
            presets or metrics are never accepted.

    Returns:
        Notes on differences that may affect a score.

    Raises:
        UsageError: the runs cannot be compared; says what differs and what to do.
    """
    _check_preset_and_metrics(runs)
    settings = [asdict(replace(run.data.config, blocks=None)) for run in runs]
    differ = {name: [setting[name] for setting in settings] for name in settings[0]}
    differ |= {words: [_kinds(r.data, key) for r in runs] for key, words in MUST_AGREE.items()}
    differ |= _weights(runs)
    grave = _differences(runs, differ)
    if grave and not allow_mixed:
        raise UsageError(
            f"the runs differ in {'; '.join(grave)}: their drift is not the same quantity; score "
            "them alike, or pass --allow-mixed"
        )
    light = {words: [_kinds(r.data, key) for r in runs] for key, words in SHOULD_AGREE.items()}
    return [
        *(f"compared although the runs differ in {line}" for line in grave),
        *(
            f"the runs differ in {line}, which alone may move a metric"
            for line in _differences(runs, light)
        ),
    ]


def _check_preset_and_metrics(runs: Sequence[NamedRun]) -> None:
    hashes = [f"{run.data.preset.name} {run.data.preset.sha256[:12]}" for run in runs]
    if len({run.data.preset.sha256 for run in runs}) > 1:
        raise UsageError(
            f"the runs have different presets ({_per_run(runs, hashes)}); scores of different "
            "presets are never compared: pass --preset FILE or --preset v1 to score all alike"
        )
    metrics = [run.data.config.metrics for run in runs]
    _check_versions(runs)
    if any(names != metrics[0] for names in metrics):
        shared = [name for name in metrics[0] if all(name in names for names in metrics)]
        remedy = f"--metrics {','.join(shared)} compares on what they share"
        raise UsageError(
            f"the runs have different metrics ({_per_run(runs, map(', '.join, metrics))}); "
            + (remedy if shared else "they share none: score them alike")
        )


def _check_versions(runs: Sequence[NamedRun]) -> None:
    """Refuses values of two versions of one metric; a run too old to tell them is let pass."""
    for name in runs[0].data.config.metrics:
        versions = [run.data.versions.get(name) for run in runs]
        if len({version for version in versions if version is not None}) > 1:
            raise UsageError(
                f"{name} was measured with different versions ({_per_run(runs, versions)}), whose "
                "values are different quantities; score the older runs again"
            )


def _weights(runs: Sequence[NamedRun]) -> dict[str, list[Any]]:
    """Hashes of each weight file that all runs used, one a run."""
    used = [run.data.provenance.get("weights", {}) for run in runs]
    shared = sorted(set.intersection(*(set(weights) for weights in used)))
    return {f"weights {file}": [weights[file][:12] for weights in used] for file in shared}


def _differences(runs: Sequence[NamedRun], values: dict[str, list[Any]]) -> list[str]:
    """One line for each setting that is not the same in all runs."""
    return [
        f"{name} ({_per_run(runs, each)})"
        for name, each in values.items()
        if any(value != each[0] for value in each)
    ]


def _per_run(runs: Sequence[NamedRun], values: Any) -> str:
    return ", ".join(f"{run.name}: {value}" for run, value in zip(runs, values, strict=True))


def _kinds(data: RunData, key: str) -> str:
    """The different values of a media field over the scored videos, in words."""
    if key == "fps" and data.config.fps:  # sampled by time: the files' own rates have no effect
        return f"{data.config.fps:g}"
    kinds = {row.media[key] for row in data.rows if row.status == "ok"}
    named = sorted(str(round(k, 3)) if isinstance(k, float) else str(k) for k in kinds)
    return " and ".join(named[:3]) + (f" and {len(named) - 3} more" if len(named) > 3 else "")
