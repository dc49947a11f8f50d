"""What every figure module returns: the picture, the numbers in it, and what is still missing."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from matplotlib.figure import Figure


@dataclass(frozen=True, kw_only=True)
class Drawing:
    """A figure before it is written.

    Attributes:
        figure: The picture, None where nothing of it was measured.
        data: What is in it, one flat record a point or picture.
        needs: What it would take to complete it, one entry a part.
        notes: What a reader must know.
    """

    figure: Figure | None = None
    data: tuple[dict[str, Any], ...] = ()
    needs: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
