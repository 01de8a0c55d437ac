"""Procedural textures: a stack of small pictures (drawers, panels, screens, racks, tiles, paper)."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

SIZE = 128


@dataclass(frozen=True)
class Textures:
    """`stack (T, 128, 128, 3)` linear albedo; `kinds` maps a kind to the indices that show it."""

    stack: NDArray[np.float32]
    kinds: dict[str, tuple[int, ...]]

    def pick(self, kind: str, rng: np.random.Generator) -> int:
        return int(rng.choice(self.kinds[kind]))

    def look_up(self, texture: NDArray, uv: NDArray) -> NDArray:
        """`(N, 3)` colours of textures `(N,)` at coordinates `uv (2, N)`, which wrap around."""
        column, row = (np.mod(uv, 1.0) * (SIZE - 1)).astype(int)
        return self.stack[texture, row, column]


def make_textures(seed: int = 7, per_kind: int = 8) -> Textures:
    """The texture stack; the same for every scene of a data set."""
    rng = np.random.default_rng(seed)
    painters = {
        "drawers": _drawers, "panel": _panel, "screen": _screen, "rack": _rack, "tiles": _tiles, "paper": _paper,
        "stripes": _stripes, "clutter": _clutter,
    }  # fmt: skip
    pictures: list[NDArray] = []
    kinds = {}
    for kind, paint in painters.items():
        kinds[kind] = tuple(range(len(pictures), len(pictures) + per_kind))
        pictures += [paint(rng) for _ in range(per_kind)]
    stack = np.clip(np.stack(pictures), 0, 255).astype(np.float32) / 255.0
    return Textures(stack**2.2, kinds)


def _grey(rng: np.random.Generator, low: float, high: float, tint: float = 12) -> tuple[float, float, float]:
    level = rng.uniform(low, high)
    return tuple(float(c) for c in np.clip(level + rng.normal(0, tint, 3), 0, 255))  # type: ignore[return-value]


def _colour(rng: np.random.Generator) -> tuple[float, float, float]:
    hsv = np.array([[[rng.integers(0, 180), rng.integers(60, 255), rng.integers(60, 255)]]], np.uint8)
    return tuple(float(c) for c in cv2.cvtColor(hsv, cv2.COLOR_HSV2RGB)[0, 0])  # type: ignore[return-value]


def _canvas(colour: tuple[float, float, float]) -> NDArray:
    return np.full((SIZE, SIZE, 3), np.round(colour), np.uint8)


def _drawers(rng: np.random.Generator) -> NDArray:
    picture = _canvas(_grey(rng, 170, 250))
    rows = rng.integers(3, 7)
    for row in range(rows):
        top, bottom = int(row * SIZE / rows) + 2, int((row + 1) * SIZE / rows) - 2
        front = _colour(rng) if rng.random() < 0.15 else _grey(rng, 150, 250, 6)
        cv2.rectangle(picture, (4, top), (SIZE - 5, bottom), front, -1)
        cv2.rectangle(picture, (4, top), (SIZE - 5, bottom), _grey(rng, 60, 130), 1)
        middle = (top + bottom) // 2
        cv2.line(picture, (48, middle), (80, middle), _grey(rng, 20, 120), 3)
        if rng.random() < 0.5:
            cv2.rectangle(picture, (10, top + 3), (30, min(bottom, top + 10)), _grey(rng, 200, 255), -1)
    return picture


def _panel(rng: np.random.Generator) -> NDArray:
    picture = _canvas(_grey(rng, 90, 240))
    for _ in range(rng.integers(3, 12)):
        x, y = rng.integers(0, SIZE, 2)
        w, h = rng.integers(6, 60, 2)
        cv2.rectangle(
            picture, (int(x), int(y)), (int(x + w), int(y + h)), _grey(rng, 20, 255), -1 if rng.random() < 0.6 else 1
        )
    for _ in range(rng.integers(4, 20)):
        x, y = (int(v) for v in rng.integers(4, SIZE - 4, 2))
        cv2.circle(picture, (x, y), int(rng.integers(1, 6)), _colour(rng), -1)
    _text(picture, rng, 3)
    return picture


def _screen(rng: np.random.Generator) -> NDArray:
    picture = _canvas(_grey(rng, 2, 40, 5))
    if rng.random() < 0.6:
        for _ in range(rng.integers(1, 5)):
            x, y = (int(v) for v in rng.integers(0, SIZE - 30, 2))
            w, h = (int(v) for v in rng.integers(15, 80, 2))
            cv2.rectangle(picture, (x, y), (x + w, y + h), _grey(rng, 40, 255, 40), -1)
        for _ in range(rng.integers(1, 5)):
            y = int(rng.integers(10, SIZE - 10))
            points = np.stack([np.arange(SIZE), y + rng.normal(0, 4, SIZE)], 1).astype(np.int32)
            cv2.polylines(picture, [points], False, _colour(rng), 1)
    cv2.rectangle(picture, (0, 0), (SIZE - 1, SIZE - 1), _grey(rng, 10, 60), 6)
    return picture


def _rack(rng: np.random.Generator) -> NDArray:
    picture = _canvas(_grey(rng, 30, 200))
    rows = rng.integers(2, 6)
    for row in range(rows):
        bottom = int((row + 1) * SIZE / rows) - 3
        x = 3
        while x < SIZE - 8:
            w, h = int(rng.integers(4, 26)), int(rng.integers(8, max(9, SIZE // rows - 6)))
            cv2.rectangle(
                picture,
                (x, bottom - h),
                (x + w, bottom),
                _colour(rng) if rng.random() < 0.35 else _grey(rng, 20, 255),
                -1,
            )
            x += w + int(rng.integers(0, 6))
        cv2.line(picture, (0, bottom + 1), (SIZE, bottom + 1), _grey(rng, 100, 220), 2)
    return picture


def _tiles(rng: np.random.Generator) -> NDArray:
    picture = _canvas(_grey(rng, 200, 252, 6))
    count = int(rng.choice([4, 6, 8]))
    joint = _grey(rng, 120, 215, 4)
    for i in range(count + 1):
        position = int(i * SIZE / count)
        cv2.line(picture, (position, 0), (position, SIZE), joint, 1)
        cv2.line(picture, (0, position), (SIZE, position), joint, 1)
    return picture


def _paper(rng: np.random.Generator) -> NDArray:
    picture = _canvas(_grey(rng, 215, 255, 4))
    _text(picture, rng, 14)
    if rng.random() < 0.5:
        cv2.rectangle(picture, (0, 0), (SIZE, int(rng.integers(8, 40))), _colour(rng), -1)
    return picture


def _stripes(rng: np.random.Generator) -> NDArray:
    first, second = np.array(_grey(rng, 40, 250)), np.array(_grey(rng, 40, 250))
    wave = 0.5 + 0.5 * np.sin(np.arange(SIZE) * 2 * np.pi / rng.choice([8, 16, 32]))
    rows = first + (second - first) * wave[:, None]
    picture = np.broadcast_to(rows[None], (SIZE, SIZE, 3)).astype(np.uint8)
    return np.ascontiguousarray(picture)


def _clutter(rng: np.random.Generator) -> NDArray:
    picture = _canvas(_grey(rng, 20, 180))
    for _ in range(60):
        points = np.cumsum(rng.normal(0, 14, (7, 2)), 0) + rng.uniform(0, SIZE, 2)
        colour = _colour(rng) if rng.random() < 0.3 else _grey(rng, 5, 255)
        cv2.polylines(picture, [points.astype(np.int32)], False, colour, int(rng.integers(1, 5)))
    return picture


def _text(picture: NDArray, rng: np.random.Generator, lines: int) -> None:
    for _ in range(lines):
        word = "".join(chr(c) for c in rng.integers(65, 91, rng.integers(2, 10)))
        place = (int(rng.integers(0, SIZE - 30)), int(rng.integers(12, SIZE)))
        cv2.putText(picture, word, place, cv2.FONT_HERSHEY_SIMPLEX, float(rng.uniform(0.2, 0.6)), _grey(rng, 0, 120), 1)
