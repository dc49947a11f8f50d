"""The JSON object of a model that `list` and `show` print."""

from dataclasses import asdict
from typing import Any

from baselines.field.facts import FieldModel
from baselines.field.speeds import speeds_of
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
        "trained_s": spec.trained_s,
        "published_speeds": [asdict(speed) for speed in speeds_of(spec.key)],
        "repository": spec.repository,
        "revision": spec.revision,
        "reaches_20_s": spec.reaches_20_s,
        "weights_present": status.num_present == len(status.weights),
        "environment_missing": [str(path) for path in status.missing_environment],
        "needs": status.needs,
    }


def describe_field(model: FieldModel) -> dict[str, Any]:
    """Describes a model that is known but does not run here."""
    return asdict(model) | {"published_speeds": [asdict(s) for s in speeds_of(model.key)]}


def speed_lines(key: str) -> list[str]:
    """The published speeds of a model as lines of text; empty if there are none."""
    lines = []
    for speed in speeds_of(key):
        passes = speed.passes_per_block or "not known"
        lines.append(
            f"  {speed.fps:g} frames/s, {speed.kind}; {speed.hardware}; passes a block: {passes}; "
            f"decoding inside: {speed.decode}, text inside: {speed.text}  [{speed.source}]"
        )
    return ["", "published speed", *lines] if lines else []
