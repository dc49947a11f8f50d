"""Records of the mechanism study with numbers that one can check by hand."""

from typing import Any

from hiar.tiny.mechanism import REFERENCE, SAMPLINGS
from reports.records.mechanism_record import MEASURES, MECHANISM_SCHEMA


def mechanism_record(drifts: dict[str, float], seeds: int = 3) -> dict[str, Any]:
    """A record of the mechanism study over two prompts, each row's drift scattered alike."""

    def values(mean: float, seed: int) -> list[float]:
        return [mean * (1 + 0.1 * seed), mean * (1.4 + 0.1 * seed)]

    rows = [
        {"name": row.name, "label": row.label, "order": row.order, "context": row.context,
         "context_sigma": row.context_sigma,
         "trainings": [
             {"drift": values(drifts.get(row.name, 0.2), seed),
              "seam_ratio": values(1.2, seed),
              "proxies": {name: values(0.9, seed) for name in MEASURES[2:]},
              "noise_floor": {}, "mean_slope": {}, "frames_sha256": "0" * 64}
             for seed in range(seeds)
         ]}
        for row in SAMPLINGS
    ]  # fmt: skip
    return {
        "schema": MECHANISM_SCHEMA, "scale": "tiny", "prompts": ["one", "two"], "seconds": 20,
        "reference": REFERENCE, "window": 21, "noise_seed": 0, "trainings": [
            {"command": "", "seed": seed, "settings": {},
             "loss_curve": [], "weights_sha256": "", "provenance": {}}
            for seed in range(seeds)
        ],
        "rows": rows, "provenance": {},
    }  # fmt: skip
