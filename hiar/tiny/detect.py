"""Detectors of what a video of the tiny world shows; they know the world's palette and shapes.

They stand in for the semantic dimensions of VBench at this size, and only at this size: a number
from here is a *tiny proxy*. On the world's own pictures they are right
(tests/hiar/tiny/test_detect.py).
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING

import cv2
import numpy as np

from hiar.errors import UsageError
from hiar.tiny import world

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Picture = NDArray[np.uint8]
    Weights = NDArray[np.float32]

BORDER_PX = 8
"""How far a silhouette may reach over the edge of the picture."""
COLOUR_MASS_RANGE = (0.5, 2.0)
"""Colour present: half to twice the mass that the scene's own picture has."""
SOLID = 0.5
"""Least colour weight of a pixel whose colour is examined; below, it is mostly background."""


@dataclass(frozen=True, kw_only=True)
class PromptFollowing:
    """Shares of the examined frames that show what the prompt names, 0 to 1."""

    shape: float
    colour: float

    @property
    def mean(self) -> float:
        """Mean of the two shares."""
        return (self.shape + self.colour) / 2


@lru_cache(maxsize=4096)
def scene_named(prompt: str) -> world.Scene:
    """The scene that a prompt names, with the middle value of everything the prompt leaves open.

    Raises:
        UsageError: If the tiny world knows no such prompt.
    """
    for colour, shape, texture, motion, background, pan in world.all_words():
        scene = world.Scene(
            colour=colour, shape=shape, texture=texture, motion=motion, background=background,
            pan=pan, jitter=(0.0,) * 6,
        )  # fmt: skip
        if scene.prompt == prompt:
            return scene
    raise UsageError(f"{prompt!r} is no prompt of the tiny world: its words make a fixed sentence")


def colour_weights(frame: Picture, scene: world.Scene) -> Weights:
    """Weight of the shape's colour against the background's at each pixel, 0 to 1.

    Each pixel's chroma (a, b of CIELAB) is projected on the line between the two colours.

    Args:
        frame: uint8 RGB (H, W, 3).
        scene: Scene that names the two colours.

    Returns:
        float32 (H, W).
    """
    away, line = _from_background(frame, scene, (scene.colour,))
    weights: Weights = (away @ line[0] / (line[0] @ line[0])).clip(0, 1)
    return weights


def colour_mass(frame: Picture, scene: world.Scene) -> float:
    """Mean colour weight, 0 to 1. Blur does not change it, unlike the pixels past a threshold."""
    return float(colour_weights(frame, scene).mean())


def colour_seen(frame: Picture, scene: world.Scene) -> str:
    """The colour of the palette that most pixels lie in the direction of, from the background.

    The direction does not change where a blurred or faded colour mixes with the background.

    Returns:
        Name of the colour; empty where nothing stands out from the background.
    """
    away, lines = _from_background(frame, scene, tuple(world.COLOURS))
    squared = (lines**2).sum(-1)
    is_solid = ((away @ lines.T) / squared).max(-1) >= SOLID
    if not is_solid.any():
        return ""
    nearest = (away[is_solid] @ (lines / np.sqrt(squared)[:, None]).T).argmax(-1)
    return tuple(world.COLOURS)[np.bincount(nearest).argmax()]


def _from_background(
    frame: Picture, scene: world.Scene, colours: tuple[str, ...]
) -> tuple[Weights, Weights]:
    """Chroma (a, b of CIELAB) of each pixel [H, W, 2] and colour [n, 2], less the background's."""
    named = [world.BACKGROUNDS[scene.background], *(world.COLOURS[name] for name in colours)]
    palette = cv2.cvtColor(np.array([named], np.float32), cv2.COLOR_RGB2LAB)[0, :, 1:]
    chroma = cv2.cvtColor(frame.astype(np.float32) / 255, cv2.COLOR_RGB2LAB)[..., 1:]
    return chroma - palette[0], palette[1:] - palette[0]


def shape_seen(frame: Picture, scene: world.Scene) -> str:
    """The kind of shape whose silhouette correlates best with the colour weights, at any place.

    A shape that spins is seen right while it stands near its upright position only.

    Returns:
        Name of the shape; empty where nothing of the colour stands out from the background.
    """
    weights = colour_weights(frame, scene)
    if weights.max() < SOLID:
        return ""
    weights = cv2.copyMakeBorder(weights, *(BORDER_PX,) * 4, cv2.BORDER_CONSTANT)
    scores = {
        kind: float(cv2.matchTemplate(weights, _silhouette(kind), cv2.TM_CCOEFF_NORMED).max())
        for kind in world.SHAPES
    }
    return max(scores, key=scores.__getitem__)


@lru_cache(maxsize=16)
def _silhouette(kind: str) -> Weights:
    """Colour weights of a shape in the middle of its picture, cut out close to it."""
    scene = world.Scene(
        colour="red", shape=kind, texture="plain", motion="up", background="teal", pan="still",
        jitter=(0.0,) * 6,
    )  # fmt: skip
    reach = math.ceil(world.RADIUS_PX) + 2
    near = slice(world.SIZE_PX // 2 - reach, world.SIZE_PX // 2 + reach)
    return colour_weights(world.render(scene, 1)[0], scene)[near, near]


def prompt_following(video: NDArray[np.uint8], prompt: str, *, every: int = 16) -> PromptFollowing:
    """How much of a video shows the shape and the colour that its prompt names.

    Args:
        video: uint8 RGB (T, H, W, 3), 48 x 48 pixels.
        prompt: Prompt of the tiny world.
        every: Step from one examined frame to the next, at least 1.

    Returns:
        Shares of the examined frames.

    Raises:
        UsageError: For a prompt that the tiny world does not know.
    """
    scene = scene_named(prompt)
    frames = video[::every]
    drawn = colour_mass(world.render(scene, 1)[0], scene)
    low, high = (drawn * bound for bound in COLOUR_MASS_RANGE)
    return PromptFollowing(
        shape=float(np.mean([shape_seen(frame, scene) == scene.shape for frame in frames])),
        colour=float(
            np.mean(
                [
                    low < colour_mass(frame, scene) < high
                    and colour_seen(frame, scene) == scene.colour
                    for frame in frames
                ]
            )
        ),
    )
