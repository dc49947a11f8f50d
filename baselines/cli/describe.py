"""The JSON object of a model that `list` and `show` print."""

from dataclasses import asdict
from typing import Any

from baselines.run.status import ModelStatus
from baselines.wan_family import sampler_facts

SCHEMA = "baselines/2"


def describe(status: ModelStatus) -> dict[str, Any]:
    """Describes a model and what of it exists on this machine."""
    spec = status.spec
    fields = asdict(spec)
    del fields["release"], fields["overlap"]
    fields["distilled"] = sampler_facts(spec)
    fields["weights"] = [
        {
            "repo": weight.file.repo,
            "revision": weight.file.revision,
            "path": weight.file.path,
            "address": weight.file.address,
            "target": str(weight.target),
            "found": None if weight.path is None else str(weight.path),
            "present": weight.present,
            "sha256": weight.sha256,
        }
        for weight in status.weights
    ]
    for length in fields["lengths"]:
        length["seconds"] = length["num_frames"] / spec.fps
    return fields | {
        "repository": spec.repository,
        "revision": spec.revision,
        "reaches_20_s": spec.reaches_20_s,
        "weights_present": status.num_present == len(status.weights),
        "environment_missing": [str(path) for path in status.missing_environment],
        "needs": status.needs,
    }
