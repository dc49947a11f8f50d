"""The four ways of running VBench that papers use, as data. docs/protocols.md has the sources."""

from dataclasses import dataclass

from drift.errors import UsageError
from eval.protocol.dimensions import DIMENSIONS

# Source: Vchitect/VBench 45e79ec README-FAQ.md: VBench for < 5.0 s, VBench-Long for >= 5.0 s.
LONG_FROM_S = 5.0
_ALL = tuple(dimension.name for dimension in DIMENSIONS)
_QUALITY = tuple(dimension.name for dimension in DIMENSIONS if dimension.group == "quality")


@dataclass(frozen=True, kw_only=True)
class Protocol:
    """One way of running VBench.

    Attributes:
        name: Name that ``--protocol`` takes.
        mode: Upstream's name of the mode.
        long: Whether videos are first cut into clips (VBench-Long).
        suite: Whether the videos are of VBench's own prompts.
        dimensions: Names of the dimensions that can be measured.
        summary: Description in one line.
    """

    name: str
    mode: str
    long: bool
    suite: bool
    dimensions: tuple[str, ...]
    summary: str


PROTOCOLS: dict[str, Protocol] = {
    protocol.name: protocol
    for protocol in (
        Protocol(
            name="vbench",
            mode="vbench_standard",
            long=False,
            suite=True,
            dimensions=_ALL,
            summary="946 prompts x 5 samples, whole videos, all 16 dimensions, Total",
        ),
        Protocol(
            name="vbench-custom",
            mode="custom_input",
            long=False,
            suite=False,
            dimensions=_QUALITY,
            summary="own videos, whole, the 7 quality dimensions",
        ),
        Protocol(
            name="vbench-long",
            mode="long_vbench_standard",
            long=True,
            suite=True,
            dimensions=_ALL,
            summary="946 prompts, clips of 2 s (10 s for prompts of human_action, temporal_style, "
            "overall_consistency), long-range half of the consistencies, all 16, Total",
        ),
        Protocol(
            name="vbench-long-custom",
            mode="long_custom_input",
            long=True,
            suite=False,
            dimensions=_QUALITY,
            summary="own videos, clips of 2 s, long-range half of the consistencies, 7 quality "
            "dimensions",
        ),
    )
}


def choose_dimensions(protocol: Protocol, names: str | None) -> tuple[str, ...]:
    """Parses names such as ``a,b``; None takes all dimensions of the protocol.

    Raises:
        UsageError: A name is unknown, or the protocol cannot measure that dimension.
    """
    if names is None:
        return protocol.dimensions
    chosen = tuple(dict.fromkeys(name.strip() for name in names.split(",") if name.strip()))
    if not chosen:
        raise UsageError("--dimensions is empty; give names as `hiar-vbench dimensions` lists them")
    for name in chosen:
        if name not in _ALL:
            raise UsageError(
                f"{name!r} is no VBench dimension; `hiar-vbench dimensions` lists them"
            )
        if name not in protocol.dimensions:
            raise UsageError(
                f"{name} needs VBench's own prompts, which --protocol {protocol.name} has not; "
                "use vbench or vbench-long"
            )
    return chosen


def length_warning(protocol: Protocol, seconds: tuple[float, ...]) -> str:
    """Warns if the authors' rule asks for the other benchmark; empty if it does not.

    Args:
        protocol: The chosen protocol.
        seconds: Duration of each video; 0 if it is not known.
    """
    known = [length for length in seconds if length > 0]
    odd = [length for length in known if (length >= LONG_FROM_S) != protocol.long]
    if not odd:
        return ""
    rule = "VBench for videos below 5.0 s, VBench-Long from 5.0 s on"
    return (
        f"{len(odd)} of {len(known)} videos are {min(odd):.2f} to {max(odd):.2f} s long; "
        f"the authors' rule is {rule}; say which was used"
    )
