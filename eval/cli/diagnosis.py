"""What each dimension needs, and what of it is missing: modules, weights, a GPU."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from eval.protocol.dimensions import DIMENSIONS
from eval.protocol.protocols import Protocol
from eval.upstream.environment import Inspection
from eval.upstream.recipe import CORE, GRIT_DIMENSIONS, LONG, Step, detectron2_step
from eval.upstream.weights import WEIGHTS, Root, State, WeightFile, check, locate, needed_weights

SCHEMA = "vbench-doctor/1"


@dataclass(frozen=True, kw_only=True)
class Lack:
    """One thing that a dimension lacks, and the remedy."""

    what: str
    remedy: str


def steps_for(dimensions: Sequence[str], protocol: Protocol) -> tuple[Step, ...]:
    """Steps of the recipe that some dimensions need."""
    steps = [CORE]
    if set(dimensions) & set(GRIT_DIMENSIONS):
        steps.append(detectron2_step())
    if protocol.long:
        steps.append(LONG)
    return tuple(steps)


def modules_of(dimension: str, protocol: Protocol) -> tuple[str, ...]:
    """Modules that must import before a dimension can be measured."""
    long = ("vbench2_beta_long", f"vbench2_beta_long.{dimension}") if protocol.long else ()
    return ("vbench", f"vbench.{dimension}", *long)


def find_lacks(
    dimension: str,
    protocol: Protocol,
    inspection: Inspection | None,
    roots: Mapping[Root, Path],
    *,
    hashed: bool = False,
) -> tuple[Lack, ...]:
    """Finds what a dimension lacks on this machine.

    Args:
        dimension: Name of the dimension.
        protocol: Protocol under which it would be run.
        inspection: Contents of the isolated environment; None if there is no environment.
        roots: Folders that hold weights.
        hashed: Whether to compare weights with their hashes, which reads all of them.

    Returns:
        What is missing; empty if the dimension can run.
    """
    lacks = []
    if inspection is None:
        lacks.append(Lack(what="the isolated environment", remedy="hiar-vbench setup"))
    else:
        failed = [m for m in modules_of(dimension, protocol) if m in inspection.failures]
        lacks += [
            Lack(what=f"{module} ({inspection.failures[module]})", remedy=_setup_for(module))
            for module in failed[:1]
        ]
    for name in needed_weights(dimension, protocol):
        state, detail = check(WEIGHTS[name], roots, hashed=hashed)
        if state != "present":
            what = f"weights {name}" if state == "missing" else f"weights {name} ({detail})"
            lacks.append(Lack(what=what, remedy=f"hiar-vbench weights fetch {name}"))
    return tuple(lacks)


def _setup_for(module: str) -> str:
    if module.startswith("vbench2_beta_long"):
        return "hiar-vbench setup --long"
    grit = module.removeprefix("vbench.") in GRIT_DIMENSIONS
    return f"hiar-vbench setup{' --detectron2' if grit else ''}"


def examine(
    protocol: Protocol,
    inspection: Inspection | None,
    roots: Mapping[Root, Path],
    *,
    hashed: bool,
) -> dict[str, Any]:
    """Examines the environment, every dimension and every weight file.

    Returns:
        The JSON record of ``hiar-vbench doctor``.
    """
    states: dict[str, tuple[State, str]] = {
        name: check(weight, roots, hashed=hashed) for name, weight in WEIGHTS.items()
    }
    return {
        "schema": SCHEMA,
        "protocol": protocol.name,
        "environment": None
        if inspection is None
        else {
            "python": inspection.python,
            "broken": dict(inspection.broken),
            "failures": dict(inspection.failures),
            "cuda_devices": inspection.cuda_devices,
            "packages": dict(inspection.packages),
        },
        "dimensions": [
            {
                "name": dimension.name,
                "needs": dimension.needs,
                "weights": list(needed_weights(dimension.name, protocol)),
                "lacks": [
                    {"what": lack.what, "remedy": lack.remedy}
                    for lack in find_lacks(
                        dimension.name, protocol, inspection, roots, hashed=hashed
                    )
                ],
            }
            for dimension in DIMENSIONS
            if dimension.name in protocol.dimensions
        ],
        "weights": [_describe(weight, states[name], roots) for name, weight in WEIGHTS.items()],
    }


def _describe(
    weight: WeightFile, state: tuple[State, str], roots: Mapping[Root, Path]
) -> dict[str, Any]:
    return {
        "name": weight.name,
        "state": state[0],
        "detail": state[1] if state[0] == "wrong" else "",
        "path": str(locate(weight, roots)),
        "url": weight.address,
        "megabytes": weight.megabytes,
    }
