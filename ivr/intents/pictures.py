"""Two pictures of an evaluation: which intents are taken for which, and what rejecting more costs.

Knows figures only. Runs in the foreground of a command.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw

_EDGE = 60
_SIDE = 640
_INK, _GRID, _LINE = (32, 32, 32), (220, 220, 220), (20, 90, 180)


def confusion(counts: np.ndarray, names: Sequence[str], file: Path) -> None:
    """Rows are what was meant, columns what was taken; darker is more of the row, and red is wrong."""
    cell = max(4, min(40, 1_400 // max(1, len(names))))
    shares = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
    tint = 1 - np.sqrt(shares)
    pixels = np.stack([np.ones_like(tint), tint, tint], axis=-1)
    right = np.diag_indices(len(names))
    pixels[right] = np.stack([tint[right], tint[right], np.ones(len(names))], axis=-1)
    grid = Image.fromarray((255 * pixels).astype(np.uint8)).resize((cell * len(names),) * 2, Image.Resampling.NEAREST)
    labelled = cell >= 10
    margin = 8 + (6 * max(map(len, names)) if labelled else 0)
    picture = Image.new("RGB", (grid.width + margin + 8, grid.height + _EDGE), "white")
    picture.paste(grid, (margin, 40))
    draw = ImageDraw.Draw(picture)
    draw.text(
        (8, 8), f"rows: meant, columns: taken, both in the order of names; {int(counts.sum())} questions", fill=_INK
    )
    for row, name in enumerate(names) if labelled else ():
        text = name.encode("ascii", "replace").decode()
        draw.text((4, 40 + row * cell + cell // 2 - 6), text, fill=_INK)
    picture.save(file)


def trade_off(curve: Sequence[tuple[float, float]], here: tuple[float, float], file: Path) -> None:
    """Of callers within scope who are rejected (across), of those outside who are caught (up); we are at the dot."""
    picture = Image.new("RGB", (_SIDE + 2 * _EDGE, _SIDE + 2 * _EDGE), "white")
    draw = ImageDraw.Draw(picture)

    def at(point: tuple[float, float]) -> tuple[float, float]:
        return _EDGE + point[0] * _SIDE, _EDGE + (1 - point[1]) * _SIDE

    for step in range(11):
        share = step / 10
        draw.line([at((share, 0)), at((share, 1))], fill=_GRID)
        draw.line([at((0, share)), at((1, share))], fill=_GRID)
        draw.text((at((share, 0))[0] - 8, at((0, 0))[1] + 8), f"{100 * share:.0f}", fill=_INK)
        draw.text((_EDGE - 30, at((0, share))[1] - 6), f"{100 * share:.0f}", fill=_INK)
    draw.line([at(point) for point in curve], fill=_LINE, width=3)
    across, up = at(here)
    draw.ellipse([across - 6, up - 6, across + 6, up + 6], fill=(200, 30, 30))
    draw.text((_EDGE, 20), "up: out of scope and rejected, %    across: within scope and rejected, %", fill=_INK)
    picture.save(file)
