"""Scores control videos and says what each metric sees and what it is blind to."""

import json
from collections import Counter
from collections.abc import Mapping, Sequence, Set
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

from drift.controls.control import DOSED, DOSES, UNDOSED, UNTREATED, Control, all_controls
from drift.controls.degradations import BLOCK, FIRST_BLOCK
from drift.controls.sight import BLIND, Sight, see
from drift.errors import UsageError
from drift.metrics.networks.settings import MetricSettings
from drift.metrics.preset import preset_v1
from drift.record.tables import FRAMES_FILE, read_frames
from drift.run.score_folder import RunResult, score_folder
from drift.score.config import ScoreConfig
from drift.seams.pairs import PAIR_METRICS
from drift.seams.periodic import Borders, local_ratios
from drift.video.discover import find_videos

VALIDATION_SCHEMA = "drift-validation/1"
SEAMS, SCORE = "seams", "score"
"""Columns beside the metrics: the seam ratio of `difference`, in doublings, and the score."""

Readings = dict[tuple[str, Control], dict[str, float]]
"""Source and control -> what each column reads; a metric reads its signed drift, not limited to 1.
"""


def validate_controls(
    folder: Path,
    run: Path,
    *,
    config: ScoreConfig,
    settings: MetricSettings | None = None,
    workers: int | None = 1,
) -> dict[str, Any]:
    """Scores the controls of a folder into a run, and compares what metrics read with the doses.

    Args:
        folder: Folder that `write_controls` wrote.
        run: Folder of the run; videos that it holds are not measured again.
        config: Metrics and their settings.
        settings: Device, precision and weights of the learned metrics.
        workers: Processes that measure.

    Returns:
        Data for JSON.

    Raises:
        UsageError: a source lacks a control, or a control cannot be scored.
    """
    controls = read_controls(folder)
    sources = sorted({source for source, _ in controls.values()})
    _check_complete(set(controls.values()), sources)
    result = score_folder(
        folder, out=run, config=config, settings=settings, recursive=True, workers=workers
    )
    if result.failed:
        first = result.failed[0]
        raise UsageError(
            f"{first['path']}: {first['status']}: {first['reason']}; controls must be whole and "
            "long enough: write them again, from longer videos"
        )
    readings = _readings(controls, result)
    columns = list(readings[sources[0], Control(name=UNTREATED)])
    frozen = [controls[path] for path in result.summary["frozen"]]
    provenance = result.summary["provenance"]
    return {
        "schema": VALIDATION_SCHEMA,
        **({"invalid": provenance["invalid"]} if "invalid" in provenance else {}),
        "sources": sources,
        "media": result.summary["media"],
        "doses": list(DOSES),
        "blind_below": BLIND,
        "columns": {name: _column(name, readings, sources, result) for name in columns},
        "frozen": dict(sorted(Counter(control.folder for _, control in frozen).items())),
        "provenance": provenance,
    }


def read_controls(folder: Path) -> dict[str, tuple[str, Control]]:
    """The control videos of a folder: path -> name of the source and what was done to it.

    Raises:
        UsageError: some video there is no control.
    """
    controls = {}
    for video in find_videos([folder], recursive=True, skip=folder / ".none").videos:
        try:
            about = json.loads(video.file.with_suffix(".json").read_text(encoding="utf-8"))
            control = Control(name=about["control"], dose=about["dose"])
            controls[video.path] = (str(about["source"]), control)
        except (OSError, ValueError, KeyError, TypeError):
            raise UsageError(
                f"{video.path} has no sidecar of drift controls; give a folder that it wrote, or "
                "one of real videos"
            ) from None
    return controls


def holds_controls(folder: Path) -> bool:
    """Whether `drift controls` wrote a folder."""
    return any((folder / control.folder).is_dir() for control in all_controls())


def _readings(controls: Mapping[str, tuple[str, Control]], result: RunResult) -> Readings:
    preset = preset_v1()
    rows = {row.path: row for row in read_frames(result.out / FRAMES_FILE).rows}
    readings: Readings = {}
    for score in result.videos:
        reading = {
            name: part.total_change / preset.term(name).scale
            for name, part in score.metrics.items()
        }
        differences = rows[score.path].values.get("difference")
        if differences is not None:
            reading[SEAMS] = _seam_doublings(differences)
        readings[controls[score.path]] = {**reading, SCORE: score.score}
    return readings


def _seam_doublings(differences: Sequence[float]) -> float:
    """Logarithm to base 2 of the seam ratio at the borders that `block_jumps` plants."""
    borders = Borders(first=FIRST_BLOCK, block=BLOCK, source="given")
    values = np.asarray(differences, dtype=np.float64)
    ratios = local_ratios(values, BLOCK, PAIR_METRICS["difference"].floor)
    return float(np.log2(np.median(ratios[borders.pairs(len(values))])))


def _check_complete(controls: Set[tuple[str, Control]], sources: Sequence[str]) -> None:
    """Refuses a folder in which a source lacks a control."""
    for source in sources:
        for control in all_controls():
            if (source, control) not in controls:
                raise UsageError(
                    f"{control.folder} of {source} is missing; give drift controls the same "
                    "folders again, without --only"
                )


def _column(
    name: str, readings: Readings, sources: Sequence[str], result: RunResult
) -> dict[str, Any]:
    """What one metric, the seams or the score read in all controls."""
    sights = {
        degradation: see(
            [
                [
                    readings[source, control][name]
                    for control in (
                        Control(name=UNTREATED),
                        *(Control(name=degradation, dose=dose) for dose in DOSES),
                    )
                ]
                for source in sources
            ]
        )
        for degradation in DOSED
    }
    metric = result.summary["metrics"].get(name)
    return {
        "version": None if metric is None else metric["version"],
        "scale": None if metric is None else metric["scale"],
        "degradations": {each: _sight_entry(sight) for each, sight in sights.items()},
        "blind_to": [each for each, sight in sights.items() if sight.blind],
        "controls": {
            control: float(
                np.mean([abs(readings[source, Control(name=control)][name]) for source in sources])
            )
            for control in UNDOSED
        },
    }


def _sight_entry(sight: Sight) -> dict[str, Any]:
    return {**asdict(sight), "spread": list(sight.spread), "effects": list(sight.effects)}
