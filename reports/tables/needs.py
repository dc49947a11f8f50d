"""Why a cell holds no number: what a run for it would need, or what went wrong."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class Need:
    """One thing that is missing here.

    Attributes:
        what: Kind of thing, the same for all models: `weights`, `a GPU`.
        which: The one that this row needs, such as a repository; empty where there is no choice.
    """

    what: str
    which: str = ""

    def __str__(self) -> str:
        return f"needs {self.what} {self.which}".rstrip()


GPU = Need(what="a GPU")
VBENCH = Need(what="VBench")
TRAINED_VARIANT = Need(what="the trained variant")


@dataclass(frozen=True, kw_only=True)
class NotRun:
    """Why there is no measured number: things that are needed, or a cause.

    Attributes:
        needs: What is missing here.
        cause: What kept the number away where nothing is missing, such as a job that failed.
        cause_summary: The cause without names of jobs; empty takes the cause itself.
    """

    needs: tuple[Need, ...] = ()
    cause: str = ""
    cause_summary: str = ""

    @property
    def reason(self) -> str:
        """The whole reason: `needs weights tianweiy/CausVid, needs a GPU`."""
        return ", ".join([*map(str, self.needs), *([self.cause] if self.cause else [])])

    @property
    def summary(self) -> str:
        """The reason without names, so that equal ones can be counted: `need weights and a GPU`."""
        needs = [f"need {_listed(need.what for need in self.needs)}"] if self.needs else []
        return ", ".join(filter(None, [*needs, self.cause_summary or self.cause]))


def no_result(why: str) -> NotRun:
    """Returns the reason that a job has no result, `why` as `Measurements.why` gives it."""
    return NotRun(cause=why, cause_summary="a job has no result")


def _listed(words: Iterable[str]) -> str:
    *first, last = dict.fromkeys(words)
    return f"{', '.join(first)} and {last}" if first else last
