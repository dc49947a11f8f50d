"""The paper's claims as data, and the verdicts that this reproduction writes about them."""

from __future__ import annotations

import tomllib
from dataclasses import asdict, dataclass
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import Any, Literal

from drift.errors import UsageError
from drift.files import atomic_write_text, dump_json
from drift.typed_data import checked
from reports.tables import TABLES
from reports.tables.cells import Change

CLAIMS_SCHEMA = "reports-claims/1"
VERDICTS_SCHEMA = "reports-verdicts/1"
HOLDS, FAILS, UNDECIDED, NOT_RUN = "holds", "does not hold", "undecided", "not run"
POWER_FACTOR = (1.96 + 0.84) / 1.96
"""Normal quantiles of a two-sided test at 5 % and of a power of 80 %."""
VERDICTS = (HOLDS, FAILS, UNDECIDED, NOT_RUN)


@dataclass(frozen=True, kw_only=True)
class Claim:
    """A claim of claims.toml; all keys from `table` on are for claims of kind `change`.

    Attributes:
        table, column, row: The cell that the claim is about.
        direction: Whether the paper says that `row` is lower or higher than each row in `against`.
        against: Ids of the rows to compare with, or `others` for all that have a number.
        group: Group of rows that `others` is limited to; empty for none.
        order: Order whose speed the claim is about; empty for claims not about speed.
        factor: Whether the change is worded as a ratio.
        paper: What the paper says, for a table that it does not have.
    """

    id: str
    text: str
    where: str
    kind: Literal["change", "correlation", "decline", "sharpening"]
    table: str = ""
    column: str = ""
    row: str = ""
    direction: Literal["lower", "higher", ""] = ""
    against: tuple[str, ...] = ()
    group: str = ""
    order: str = ""
    factor: bool = False
    paper: str = ""

    def __post_init__(self) -> None:
        if self.kind == "change" and self.table not in TABLES:
            raise UsageError(f"table {self.table!r}; there is {', '.join(TABLES)}")
        if self.kind == "change" and not self.direction:
            raise UsageError("direction is lower or higher")


@dataclass(frozen=True, kw_only=True)
class Verdict:
    """What a reproduction found about a claim.

    Attributes:
        verdict: One of `VERDICTS`.
        paper: The paper's value, in words.
        measured: What was measured, with its interval, in words; empty if it was not run.
        why: Why the claim was not run or is undecided; empty otherwise.
        changes: The measured changes or correlations that were judged.
        published: The paper's changes, as many; empty where it gives no number.
    """

    claim: Claim
    verdict: str
    paper: str
    measured: str = ""
    why: str = ""
    changes: tuple[Change, ...] = ()
    published: tuple[float, ...] = ()

    @property
    def detectable(self) -> float | None:
        """The smallest change that would have been seen four times in five, as a fraction.

        Taken from the widest interval: one whose half width is h lies on one side of 0 with a
        power of 80 % if the change is h (1.96 + 0.84) / 1.96. None where there is no interval.
        """
        if not self.changes or any(change.interval is None for change in self.changes):
            return None
        widest = max(c.interval[1] - c.interval[0] for c in self.changes if c.interval)
        return POWER_FACTOR * widest / 2


@cache
def load_claims() -> tuple[Claim, ...]:
    """Reads the claims that ship with the package."""
    return read_claims(files("reports").joinpath("paper/claims.toml").read_text(encoding="utf-8"))


def read_claims(text: str) -> tuple[Claim, ...]:
    """Parses claims.

    Raises:
        UsageError: The schema is another one, a key is unknown, or a claim contradicts itself.
    """
    data = tomllib.loads(text)
    if data.get("schema") != CLAIMS_SCHEMA:
        raise UsageError(f"claims: schema is {data.get('schema')!r}; this reads {CLAIMS_SCHEMA!r}")
    return tuple(checked(Claim, item, f"claim {item.get('id')}") for item in data["claims"])


def write_claims(verdicts: list[Verdict], scale: str, out: Path) -> list[Path]:
    """Writes claims.json and claims.md and returns the paths."""
    record = {
        "schema": VERDICTS_SCHEMA,
        "scale": scale,
        "claims": [_record(verdict) for verdict in verdicts],
    }
    paths = [out / "claims.json", out / "claims.md"]
    atomic_write_text(paths[0], dump_json(record))
    atomic_write_text(paths[1], to_markdown(verdicts, scale))
    return paths


def _record(verdict: Verdict) -> dict[str, Any]:
    found = {k: v for k, v in asdict(verdict).items() if k != "claim"}
    return {**asdict(verdict.claim), **found, "detectable": verdict.detectable}


def to_markdown(verdicts: list[Verdict], scale: str) -> str:
    """Renders the list as a table."""
    lines = [
        f"## Claims of the paper, judged at scale {scale}",
        "",
        "| claim | where | the paper | measured here | could be seen | verdict |",
        "| --- | --- | --- | --- | --- | --- |",
    ]
    for v in verdicts:
        said = v.verdict + (f": {v.why}" if v.why else "")
        seen = detectable_text(v)
        cells = (v.claim.text, v.claim.where, v.paper, v.measured or "–", seen or "–", said)
        lines.append("| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |")
    return "\n".join([*lines, "", *(f"- {line}" for line in how_judged(scale)), ""])


def detectable_text(verdict: Verdict) -> str:
    """Words the smallest change that would have been seen: `25 %`, or `0.4` of a correlation."""
    seen = verdict.detectable
    if seen is None:
        return ""
    if verdict.claim.kind != "change":
        return f"{seen:.2g}"
    return f"{100 * seen:.2g} %" if seen < 1 else f"{100 * seen:.0f} %"


def how_judged(scale: str) -> list[str]:
    """Returns sentences that say what the verdicts mean."""
    lines = [
        "Holds: the whole 95 % interval of the change lies on the claimed side of 0, against every "
        "row named; how far it lies is not judged. Does not hold: for some row it lies on the "
        "other side. Undecided: neither. Against several rows, the change that supports it least "
        "is shown.",
        "A drift score and a tiny proxy of VBench's have an interval over prompts, paired by "
        "video, and over trainings and prompts together where a study has several trainings. A "
        "speed's brackets hold all pairs of its repeats. A VBench score has none: the value alone "
        "decides.",
        "Could be seen: the smallest change that would have come out as decided four times in "
        "five, at the width of the widest interval.",
        "Intervals of correlations take the checkpoints as independent; those of one training are "
        "not quite, so they are too narrow.",
    ]
    if scale == "tiny":
        lines.append(
            "At scale tiny a verdict is about models of a million parameters in a world of moving "
            "shapes. It neither supports nor contradicts the paper."
        )
    return lines
