"""Reasons that there is no number, with names left out, so that equal needs count as one."""

from __future__ import annotations


def merge_needs(reason: str) -> str:
    """Shortens a reason.

    Args:
        reason: As a cell gives it: `needs weights tianweiy/CausVid, needs a GPU`.

    Returns:
        What is needed, the same for all models and jobs: `need weights and a GPU`.
    """
    needs, others = [], []
    for part in reason.split(", "):
        if part.startswith("needs weights"):
            needs.append("weights")
        elif part.startswith("needs "):
            needs.append(part.removeprefix("needs "))
        else:
            others.append("a job has no result" if part.startswith("job ") else part)
    words = [*([f"need {_join(needs)}"] if needs else []), *others]
    return ", ".join(dict.fromkeys(words))


def _join(words: list[str]) -> str:
    *first, last = dict.fromkeys(words)
    return f"{', '.join(first)} and {last}" if first else last
