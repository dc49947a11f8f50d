"""The tiny world: short clips of a coloured textured shape that moves over a panning background.

A scene is a handful of words, which make its prompt, and a few numbers, which do not: where the
shape starts, how fast it is, and the look of the scene. A look varies smoothly and no word names
it, so a model that continues a video can know it only from the frames before: errors add up, as
those of exposure and grading do in real footage. Colours are kept at mid saturation and edges near
one pixel, so that a sampler that drifts has room to saturate, fade, sharpen or blur. Rendering is
pure: a scene always gives the same pixels.
"""

from __future__ import annotations

import colorsys
import itertools
import math
from dataclasses import dataclass, fields
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

    Floats = NDArray[np.float64]

SIZE_PX = 48
FPS = 16
"""Frame rate of Wan2.1, which the tiny preset keeps (Wan2.1 generate.py, sample_fps = 16)."""

COLOURS: dict[str, tuple[float, float, float]] = {
    "red": (0.78, 0.30, 0.28),
    "orange": (0.82, 0.55, 0.27),
    "yellow": (0.84, 0.80, 0.36),
    "green": (0.32, 0.68, 0.35),
    "blue": (0.30, 0.42, 0.80),
    "purple": (0.62, 0.34, 0.72),
}
BACKGROUNDS: dict[str, tuple[float, float, float]] = {
    "grey": (0.55, 0.55, 0.56),
    "teal": (0.34, 0.52, 0.52),
    "brown": (0.52, 0.43, 0.34),
    "navy": (0.27, 0.31, 0.45),
}
SHAPES = ("disc", "square", "triangle", "ring")
TEXTURES = ("plain", "striped", "dotted")
MOTIONS = ("left", "right", "up", "down", "diagonally", "in a circle", "slowly and spins")
PANS = ("still", "panning left", "panning right")

RADIUS_PX = 13.0
"""Radius of the circle that every shape is inscribed in: large enough to tell the kinds apart."""
SPEED_PX = 1.1
MARGIN_PX = 1.0


@dataclass(frozen=True, kw_only=True)
class Look:
    """How a scene looks within what its words allow; each number in [-1, 1], 0 is the middle.

    Attributes:
        hue: Hue of the shape, up to 8 degrees either way.
        saturation, background_saturation: Saturation of the colours, by factors 0.73 to 1.37.
        brightness: Brightness of the shape, up to 12 % either way.
        texture, background_contrast: Depth of the patterns, by factors 0.66 to 1.52.
        softness: Width of the outline, 0.5 to 2 pixels.
    """

    hue: float = 0.0
    saturation: float = 0.0
    brightness: float = 0.0
    texture: float = 0.0
    background_saturation: float = 0.0
    background_contrast: float = 0.0
    softness: float = 0.0


@dataclass(frozen=True, kw_only=True)
class Scene:
    """One clip of the tiny world.

    Attributes:
        colour, shape, texture, motion, background, pan: Words of the prompt.
        jitter: Six numbers in [-1, 1]: start x, start y, speed, radius, texture phase, background
            phase. The prompt does not say them.
        look: How the scene looks, which the prompt does not say either.
    """

    colour: str
    shape: str
    texture: str
    motion: str
    background: str
    pan: str
    jitter: tuple[float, float, float, float, float, float]
    look: Look = Look()

    @property
    def prompt(self) -> str:
        """The sentence that describes the scene."""
        verb = "moves" if self.motion != "diagonally" else "bounces"
        return (
            f"a {self.texture} {self.colour} {self.shape} {verb} {self.motion} "
            f"over a {self.background} background, {self.pan}"
        )


def all_words() -> Iterator[tuple[str, str, str, str, str, str]]:
    """Every combination of words, in a fixed order (6 x 4 x 3 x 7 x 4 x 3 = 6,048)."""
    return itertools.product(COLOURS, SHAPES, TEXTURES, MOTIONS, BACKGROUNDS, PANS)


def is_held_out(words: tuple[str, str, str, str, str, str]) -> bool:
    """Whether a combination is kept from training: one in eight, spread over every word."""
    index = sum(
        options.index(word) * stride
        for word, options, stride in zip(
            words,
            (list(COLOURS), SHAPES, TEXTURES, MOTIONS, list(BACKGROUNDS), PANS),
            (1, 3, 5, 2, 7, 4),
            strict=True,
        )
    )
    return index % 8 == 0


def draw_scene(rng: np.random.Generator, *, held_out: bool = False) -> Scene:
    """Draw a scene whose words are (or are not) in the training split."""
    groups: tuple[tuple[str, ...], ...] = (
        tuple(COLOURS), SHAPES, TEXTURES, MOTIONS, tuple(BACKGROUNDS), PANS,
    )  # fmt: skip
    while True:
        words = tuple(group[rng.integers(len(group))] for group in groups)
        colour, shape, texture, motion, background, pan = words
        if is_held_out((colour, shape, texture, motion, background, pan)) == held_out:
            break
    jitter = rng.uniform(-1.0, 1.0, size=6)
    return Scene(
        colour=colour, shape=shape, texture=texture, motion=motion, background=background, pan=pan,
        jitter=(jitter[0], jitter[1], jitter[2], jitter[3], jitter[4], jitter[5]),
        look=Look(**{field.name: rng.uniform(-1.0, 1.0) for field in fields(Look)}),
    )  # fmt: skip


def render(
    scene: Scene, num_frames: int, *, first_frame: int = 0, size_px: int = SIZE_PX
) -> NDArray[np.uint8]:
    """Render a scene.

    Args:
        scene: Scene to draw.
        num_frames: Frames at 16 frames/s, at least 1.
        first_frame: Index of the first frame rendered.
        size_px: Height and width of the square picture.

    Returns:
        uint8 RGB, shape (num_frames, size_px, size_px, 3).
    """
    scale = size_px / SIZE_PX
    frame_index = np.arange(first_frame, first_frame + num_frames, dtype=np.float64)
    radius = (RADIUS_PX + 0.7 * scene.jitter[3]) * scale
    centre_x, centre_y, angle = _trajectory(scene, frame_index, radius, size_px)
    rows, columns = np.meshgrid(np.arange(size_px), np.arange(size_px), indexing="ij")
    dx = columns[None] - centre_x[:, None, None]
    dy = rows[None] - centre_y[:, None, None]
    cos, sin = np.cos(angle)[:, None, None], np.sin(angle)[:, None, None]
    u, v = cos * dx + sin * dy, -sin * dx + cos * dy
    width = math.exp2(scene.look.softness) * scale
    cover = np.clip(0.5 - _signed_distance(scene.shape, u, v, radius) / width, 0.0, 1.0)[..., None]
    shape_rgb = _shape_colour(scene, u, v, radius)
    picture = cover * shape_rgb + (1.0 - cover) * _background(scene, frame_index, rows, columns)
    return (np.clip(picture, 0.0, 1.0) * 255.0 + 0.5).astype(np.uint8)


def _trajectory(
    scene: Scene, frame_index: Floats, radius: float, size_px: int
) -> tuple[Floats, Floats, Floats]:
    """Centre (px) and angle (radians) of the shape at each frame."""
    scale = size_px / SIZE_PX
    speed = SPEED_PX * (1.0 + 0.35 * scene.jitter[2]) * scale
    low, high = radius + MARGIN_PX, size_px - 1 - radius - MARGIN_PX
    middle, offset = (size_px - 1) / 2, 5.0 * scale
    x, y = middle + offset * scene.jitter[0], middle + offset * scene.jitter[1]
    vx, vy, spin = {
        "left": (-1.0, 0.0, 0.0),
        "right": (1.0, 0.0, 0.0),
        "up": (0.0, -1.0, 0.0),
        "down": (0.0, 1.0, 0.0),
        "diagonally": (0.9, 0.6, 0.0),
        "in a circle": (0.0, 0.0, 0.0),
        "slowly and spins": (0.45, 0.0, 0.09),
    }[scene.motion]
    if scene.motion == "in a circle":
        orbit = (high - low) / 2 * 0.85
        turn = frame_index * speed / orbit + 0.5 * scene.jitter[0]
        return middle + orbit * np.cos(turn), middle + orbit * np.sin(turn), 0.0 * turn
    return (
        _bounce(x + speed * vx * frame_index, low, high),
        _bounce(y + speed * vy * frame_index, low, high),
        spin * frame_index,
    )


def _bounce(position: Floats, low: float, high: float) -> Floats:
    """Fold a straight line into [low, high] as a ball between two walls does."""
    span = high - low
    folded: Floats = low + span - np.abs((position - low) % (2 * span) - span)
    return folded


def _signed_distance(shape: str, u: Floats, v: Floats, radius: float) -> Floats:
    """Distance in pixels to the outline: negative inside. Corners touch the circle of `radius`."""
    if shape == "disc":
        return np.hypot(u, v) - radius
    if shape == "ring":
        return np.abs(np.hypot(u, v) - 0.75 * radius) - 0.25 * radius
    if shape == "square":
        return np.maximum(np.abs(u), np.abs(v)) - math.sqrt(0.5) * radius
    half_sqrt3 = np.sqrt(3.0) / 2
    sides: Floats = np.maximum(half_sqrt3 * np.abs(u) - 0.5 * v, v)
    return sides - 0.5 * radius


def _shape_colour(scene: Scene, u: Floats, v: Floats, radius: float) -> Floats:
    """RGB of the shape's surface, in the shape's own coordinates (so texture turns with it)."""
    look = scene.look
    base = _graded(
        COLOURS[scene.colour], hue=look.hue, saturation=look.saturation, brightness=look.brightness
    )
    depth = 0.28 * math.exp2(0.6 * look.texture)
    period = 0.8 * radius
    phase = 0.8 * scene.jitter[4]
    if scene.texture == "plain":
        tone = np.zeros_like(u)
    elif scene.texture == "striped":
        tone = np.sin(2 * np.pi * u / period + phase)
    else:
        tone = 1.4 * np.sin(np.pi * u / period + phase) * np.sin(np.pi * v / period)
    return np.asarray(base * (1.0 + depth * tone[..., None]))


def _graded(
    rgb: tuple[float, float, float],
    *,
    hue: float = 0.0,
    saturation: float = 0.0,
    brightness: float = 0.0,
) -> Floats:
    """A colour of the palette as a look shows it."""
    h, s, v = colorsys.rgb_to_hsv(*rgb)
    s, v = min(1.0, s * math.exp2(0.45 * saturation)), min(1.0, v * (1.0 + 0.12 * brightness))
    return np.asarray(colorsys.hsv_to_rgb((h + 8.0 / 360.0 * hue) % 1.0, s, v))


def _background(
    scene: Scene, frame_index: Floats, rows: NDArray[np.int_], columns: NDArray[np.int_]
) -> Floats:
    """RGB of the background: two slow waves that pan together, over a vertical shade."""
    base = _graded(BACKGROUNDS[scene.background], saturation=scene.look.background_saturation)
    depth = 0.13 * math.exp2(0.6 * scene.look.background_contrast)
    size_px = rows.shape[0]
    drift = {"still": 0.0, "panning left": 0.45, "panning right": -0.45}[scene.pan]
    shift = drift * frame_index[:, None, None] * size_px / SIZE_PX
    wave = 2 * np.pi / (size_px / 2.4)
    phase = 1.5 * scene.jitter[5]
    x = columns[None] + shift
    tone = np.sin(wave * x + phase) + 0.6 * np.sin(wave * (0.6 * x + 0.9 * rows[None]) - phase)
    shade = 0.10 * (rows[None] / (size_px - 1) - 0.5)
    return np.asarray(base * (1.0 + depth * tone + shade)[..., None])


def draw_held_out_prompts(num_prompts: int, seed: int) -> list[str]:
    """Prompts whose word combinations no training clip has."""
    rng = np.random.default_rng(seed)
    prompts: list[str] = []
    while len(prompts) < num_prompts:
        prompt = draw_scene(rng, held_out=True).prompt
        if prompt not in prompts:
            prompts.append(prompt)
    return prompts
