"""Records of the tiny studies with numbers that one can check by hand."""

from typing import Any

from hiar.tiny.mechanism import SAMPLINGS
from hiar.tiny.study import NO_FKL, STUDY_MODELS, STUDY_ROWS
from reports.records.record_files import schema_of
from reports.records.study_record import MEASURES, MechanismRecord, StudentsRecord, StudyRecord


def mechanism_record(drifts: dict[str, float], seeds: int = 3) -> dict[str, Any]:
    """A record of the mechanism study over two prompts, each row's drift scattered alike."""
    return _record(MechanismRecord, drifts, seeds)


def students_record(
    drifts: dict[str, float], seeds: int = 3, points: list[dict[str, Any]] | None = None
) -> dict[str, Any]:
    """A record of the students, as `mechanism_record`; `points` of Fig. 4 are every no-fkl's."""
    record = _record(StudentsRecord, drifts, seeds)
    record["trainings"] = [
        one | {"model": model.name, "dynamics": (points or []) if model is NO_FKL else []}
        for model in STUDY_MODELS
        for one in record["trainings"]
    ]
    return record


def _record(kind: type[StudyRecord], drifts: dict[str, float], seeds: int) -> dict[str, Any]:
    samplings = SAMPLINGS if kind is MechanismRecord else STUDY_ROWS

    def values(mean: float, seed: int) -> list[float]:
        return [mean * (1 + 0.1 * seed), mean * (1.4 + 0.1 * seed)]

    rows = [
        {"name": row.name, "label": row.label, "order": row.order, "context": row.context,
         "context_sigma": row.context_sigma, "model": row.model,
         "trainings": [
             {"drift": values(drifts.get(row.name, 0.2), seed),
              "seam_ratio": values(1.2, seed),
              "proxies": {name: values(0.9, seed) for name in MEASURES[2:]},
              "noise_floor": {}, "mean_slope": {}, "frames_sha256": "0" * 64}
             for seed in range(seeds)
         ]}
        for row in samplings
    ]  # fmt: skip
    return {
        "schema": schema_of(kind), "scale": "tiny", "prompts": ["one", "two"], "seconds": 20,
        "reference": samplings[0].name, "window": 21, "noise_seed": 0, "trainings": [
            {"command": "", "seed": seed, "settings": {},
             "loss_curve": [], "weights_sha256": "", "provenance": {}}
            for seed in range(seeds)
        ],
        "rows": rows, "provenance": {},
    }  # fmt: skip
