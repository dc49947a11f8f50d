"""The controls as data: what is done to a video, at which dose, and the frames that come of it."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial

import cv2
import numpy as np

from drift.controls import orders
from drift.controls.degradations import DEGRADATIONS, Frame

DOSES = (1, 2, 3)
UNTREATED = "untreated"
SLOW_PAN = "slow_pan"
SHUFFLED = "shuffled"
SLOWING = "frozen_motion"
ORDERS: dict[str, orders.Order] = {
    UNTREATED: orders.whole,
    "frozen": orders.frozen,
    "looped": orders.looped,
    "reversed": orders.reversed_,
    SHUFFLED: orders.shuffled,
}
UNDOSED = (*ORDERS, SLOW_PAN)
"""Controls without doses, the untreated video first."""
DOSED = (*DEGRADATIONS, SLOWING)
"""Degradations, each at every dose."""
PAN_ZOOM = 1.25
"""How much of a slow pan's picture is out of view: it moves over a fifth of the width."""


@dataclass(frozen=True, kw_only=True)
class Control:
    """What is done to a video.

    Args:
        name: A name of `UNDOSED` or `DOSED`.
        dose: A number of `DOSES`; 0 for a control without doses.
    """

    name: str
    dose: int = 0

    @property
    def folder(self) -> str:
        """Folder of its videos."""
        return f"{self.name}-{self.dose}" if self.dose else self.name

    @property
    def strength(self) -> float:
        """Strength at the end of the video, in (0, 1]; 0 without doses."""
        return self.dose / DOSES[-1]

    def apply(self, frames: Sequence[Frame]) -> Iterator[Frame]:
        """The frames of the control. A degradation grows linearly from none at the first frame.

        Args:
            frames: uint8 (H, W, 3) of the source.
        """
        num_frames = len(frames)
        if self.name == SLOW_PAN:
            yield from (pan(frames[0], i / max(1, num_frames - 1)) for i in range(num_frames))
            return
        slowing = partial(orders.slowing, strength=self.strength)
        order = ORDERS.get(self.name, slowing if self.name == SLOWING else orders.whole)
        degrade = DEGRADATIONS.get(self.name)
        for i, source in enumerate(order(num_frames)):
            frame = frames[source]
            if degrade is not None:
                frame = degrade(frame, self.strength * i / max(1, num_frames - 1), i)
            yield frame


def all_controls() -> tuple[Control, ...]:
    """Every control, the untreated video first."""
    undosed = (Control(name=name) for name in UNDOSED)
    return (*undosed, *(Control(name=name, dose=dose) for name in DOSED for dose in DOSES))


def pan(frame: Frame, position: float) -> Frame:
    """A part of a frame, enlarged to its size.

    Args:
        frame: uint8 (H, W, 3).
        position: 0 shows the left end, 1 the right one.
    """
    height, width = frame.shape[:2]
    hidden = PAN_ZOOM - 1
    shift = np.array(
        [[PAN_ZOOM, 0, -hidden * width * position], [0, PAN_ZOOM, -hidden * height / 2]]
    )
    moved = cv2.warpAffine(
        frame, shift, (width, height), flags=cv2.INTER_CUBIC, borderMode=cv2.BORDER_REPLICATE
    )
    return np.asarray(moved, dtype=np.uint8)
