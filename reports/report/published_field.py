"""What others published of speed beside what it counts, and which numbers users did not get."""

from __future__ import annotations

from dataclasses import dataclass

from baselines.field.facts import PublishedSpeed
from baselines.field.models import FIELD
from baselines.field.speeds import SPEEDS, speeds_of
from baselines.registry import MODELS
from reports.paper.spec import Preset


@dataclass(frozen=True, kw_only=True)
class FairRow:
    """The columns that must be equal before two published speeds compare.

    Attributes:
        label: Label of the model.
        trained_s: Length of the videos that it was trained on; None if that is not known.
        made_s: Length of the preset's videos of it; None where the preset has none.
        speed: A published speed; None where none is known.
    """

    label: str
    trained_s: float | None
    made_s: float | None
    speed: PublishedSpeed | None

    def fps(self, kind: str) -> str:
        """Returns the speed if it is of that kind, else a dash."""
        return f"{self.speed.fps:g}" if self.speed and self.speed.kind == kind else "–"


def fair_rows(preset: Preset) -> list[FairRow]:
    """Makes a row for each published speed; models of the preset come first, also without one."""
    made_s = {
        run.model: preset.sample.num_frames(run) / run.fps
        for run in reversed(preset.runs)
        if run.model != "tiny"
    }
    trained_s = {spec.key: spec.trained_s for spec in MODELS}
    labels = {model.key: model.label for model in FIELD} | {spec.key: spec.label for spec in MODELS}
    keys = dict.fromkeys([*reversed(made_s), *(speed.model for speed in SPEEDS)])
    return [
        FairRow(
            label=labels[key], trained_s=trained_s.get(key), made_s=made_s.get(key), speed=speed
        )
        for key in keys
        for speed in speeds_of(key) or (None,)
    ]
