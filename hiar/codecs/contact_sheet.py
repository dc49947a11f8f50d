"""One picture that shows a folder of videos: a row a video, frames from first to last."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from hiar.runtime.files import atomic_path

if TYPE_CHECKING:
    from PIL.Image import Image

NUM_COLUMNS = 8
MAX_ROWS = 24
TILE_HEIGHT_PX, GAP_PX, CAPTION_PX, MARGIN_PX = 120, 4, 18, 12
INK, PAPER = (30, 30, 30), (255, 255, 255)


@dataclass(frozen=True)
class Row:
    """A video file and the words above its frames."""

    video: Path
    caption: str


def write_contact_sheet(path: Path, rows: Sequence[Row]) -> None:
    """Write a PNG of evenly spaced frames, first and last among them.

    Args:
        path: The PNG file.
        rows: Videos in order; of more than `MAX_ROWS`, the first ones, and the title says so.
    """
    from PIL import Image, ImageDraw, ImageFont  # noqa: PLC0415

    shown = rows[:MAX_ROWS]
    strips = [[_tile(frame) for frame in spread_frames(row.video, NUM_COLUMNS)] for row in shown]
    row_height = CAPTION_PX + TILE_HEIGHT_PX + 2 * GAP_PX
    width = max(sum(tile.width + GAP_PX for tile in strip) for strip in strips) - GAP_PX
    size = (width + 2 * MARGIN_PX, len(shown) * row_height + CAPTION_PX + 2 * MARGIN_PX)
    sheet = Image.new("RGB", size, PAPER)
    draw = ImageDraw.Draw(sheet)
    font = ImageFont.load_default(size=12)
    title = f"{len(shown)} of {len(rows)} videos, {NUM_COLUMNS} frames each from first to last"
    draw.text((MARGIN_PX, MARGIN_PX), title, INK, font)
    for index, (row, strip) in enumerate(zip(shown, strips, strict=True)):
        top = MARGIN_PX + CAPTION_PX + GAP_PX + index * row_height
        characters = max(20, int(width / font.getlength("n")))
        caption = textwrap.shorten(row.caption, characters, placeholder=" ...")
        draw.text((MARGIN_PX, top), caption, INK, font)
        left = MARGIN_PX
        for tile in strip:
            sheet.paste(tile, (left, top + CAPTION_PX))
            left += tile.width + GAP_PX
    with atomic_path(path) as temporary:
        sheet.save(temporary, format="PNG")


def spread_indices(num_frames: int, count: int) -> list[int]:
    """Up to `count` different frame indices from first to last, evenly spaced."""
    count = min(count, num_frames)
    return [round(i * (num_frames - 1) / max(1, count - 1)) for i in range(count)]


def spread_frames(video: Path, count: int) -> list[Image]:
    """Those frames of a video file, in one pass and constant memory."""
    import av  # noqa: PLC0415

    with av.open(str(video)) as container:
        stream = container.streams.video[0]
        wanted = set(spread_indices(stream.frames, count))
        frames = enumerate(container.decode(stream))
        return [frame.to_image() for index, frame in frames if index in wanted]


def _tile(frame: Image) -> Image:
    width = round(frame.width * TILE_HEIGHT_PX / frame.height)
    return frame.resize((width, TILE_HEIGHT_PX))
