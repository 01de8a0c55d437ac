"""Painters of small pictures, sRGB: drawers, panels, screens, racks, tiles, paper, what windows and doors show."""

from __future__ import annotations

from collections.abc import Callable

import cv2
import numpy as np
from numpy.typing import NDArray

SIZE = 128


def _grey(rng: np.random.Generator, low: float, high: float, tint: float = 5) -> tuple[float, float, float]:
    level = rng.uniform(low, high)
    return tuple(float(c) for c in np.clip(level + rng.normal(0, tint, 3), 0, 255))  # type: ignore[return-value]


def _colour(rng: np.random.Generator) -> tuple[float, float, float]:
    hsv = np.array([[[rng.integers(0, 180), rng.integers(40, 210), rng.integers(50, 245)]]], np.uint8)
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
    count = 4
    joint = _grey(rng, 150, 225, 4)
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


def _doorway(rng: np.random.Generator) -> NDArray:
    """A corridor or a dark room seen through a door or a pane."""
    picture = _canvas(_grey(rng, 10, 110))
    floor = int(rng.integers(70, 110))
    cv2.rectangle(picture, (0, floor), (SIZE, SIZE), _grey(rng, 40, 170), -1)
    for _ in range(rng.integers(2, 8)):
        x, y, w, h = (int(v) for v in rng.integers((0, 20, 6, 10), (110, 100, 50, 70)))
        colour = _colour(rng) if rng.random() < 0.25 else _grey(rng, 20, 220)
        cv2.rectangle(picture, (x, y), (x + w, y + h), colour, -1)
    for _ in range(rng.integers(0, 3)):
        x, y = (int(v) for v in rng.integers((0, 0), (100, 30)))
        cv2.rectangle(picture, (x, y), (x + int(rng.integers(15, 50)), y + 5), (250, 250, 245), -1)
    return cv2.GaussianBlur(picture, (0, 0), 1.5)


def _outside(rng: np.random.Generator) -> NDArray:
    """Sky, trees and houses."""
    sky = np.add(_grey(rng, 190, 250, 5), (-12, 0, 14))
    picture = np.broadcast_to(np.linspace(1.0, 0.9, SIZE)[:, None, None] * sky, (SIZE, SIZE, 3)).copy()
    picture = np.clip(picture, 0, 255).astype(np.uint8)
    for _ in range(rng.integers(2, 7)):
        x, w = (int(v) for v in rng.integers((-20, 15), (120, 70)))
        top = int(rng.integers(30, 110))
        if rng.random() < 0.5:
            cv2.rectangle(picture, (x, top), (x + w, SIZE), _grey(rng, 90, 220, 20), -1)
        else:
            green = (float(rng.integers(30, 110)), float(rng.integers(70, 150)), float(rng.integers(20, 80)))
            cv2.circle(picture, (x + w // 2, top + 25), w // 2 + 8, green, -1)
    return cv2.GaussianBlur(picture, (0, 0), 1.2)


def _blinds(rng: np.random.Generator) -> NDArray:
    picture = _outside(rng)
    period = int(rng.choice([4, 8, 16]))
    light = np.array(_grey(rng, 170, 250, 6))
    rows = np.arange(SIZE) % period
    if rng.random() < 0.5:
        picture = picture.transpose(1, 0, 2).copy()
    picture[rows < period * 0.7] = light
    picture[rows == 0] = light * 0.75
    return np.ascontiguousarray(picture if rng.random() < 0.5 else picture.transpose(1, 0, 2))


def _picture(rng: np.random.Generator) -> NDArray:
    """A poster: soft colours, a headline, sometimes something that could be a portrait."""
    noise = cv2.resize(rng.uniform(0, 255, (6, 6, 3)).astype(np.float32), (SIZE, SIZE), interpolation=cv2.INTER_CUBIC)
    strength = rng.uniform(0.1, 0.6)
    picture = np.clip(np.array(_grey(rng, 120, 250)) * (1 - strength) + noise * strength, 0, 255).astype(np.uint8)
    if rng.random() < 0.4:
        x = int(rng.integers(40, 90))
        cv2.ellipse(picture, (x, 120), (34, 50), 0, 0, 360, _colour(rng), -1)
        cv2.ellipse(picture, (x, 55), (16, 20), 0, 0, 360, (205, 165, 140), -1)
    _text(picture, rng, 5)
    return picture


def _board(rng: np.random.Generator) -> NDArray:
    picture = _canvas(_grey(rng, 225, 252, 4))
    for _ in range(rng.integers(0, 9)):
        y = int(rng.integers(10, SIZE - 6))
        points = np.stack([np.arange(8, 8 + rng.integers(20, 110), 2)] * 2, 1)
        points[:, 1] = y + rng.normal(0, 1.5, len(points))
        colour = (20, 30, 120) if rng.random() < 0.6 else (160, 30, 30)
        cv2.polylines(picture, [points.astype(np.int32)], False, colour, 1)
    for _ in range(rng.integers(0, 5)):
        x, y = (int(v) for v in rng.integers(0, 110, 2))
        cv2.rectangle(picture, (x, y), (x + 16, y + 20), _colour(rng) if rng.random() < 0.5 else (255, 250, 200), -1)
    return picture


def _xray(rng: np.random.Generator) -> NDArray:
    """Bright bones on black, in one to four fields."""
    picture = _canvas((6, 7, 9))
    fields = int(rng.choice([1, 2]))
    for i in range(fields):
        for j in range(fields):
            field = np.zeros((SIZE, SIZE), np.float32)
            for _ in range(rng.integers(4, 12)):
                x, y = (int(v) for v in rng.normal(64, 20, 2))
                axes = (int(rng.integers(4, 45)), int(rng.integers(3, 20)))
                cv2.ellipse(field, (x, y), axes, float(rng.uniform(0, 180)), 0, 360, float(rng.uniform(60, 200)), -1)
            field = cv2.GaussianBlur(field, (0, 0), 3.0)
            small = cv2.resize(field, (SIZE // fields - 4, SIZE // fields - 4), interpolation=cv2.INTER_AREA)
            top, left = j * SIZE // fields + 2, i * SIZE // fields + 2
            picture[top : top + len(small), left : left + len(small)] = small[..., None] * (0.94, 0.98, 1.0)
    return picture


def _clock(rng: np.random.Generator) -> NDArray:
    picture = _canvas((235, 235, 232))
    cv2.circle(picture, (64, 64), 60, (20, 20, 20), 6)
    for length, width in ((30, 5), (46, 3)):
        angle = rng.uniform(0, 6.28)
        cv2.line(
            picture, (64, 64), (int(64 + length * np.cos(angle)), int(64 + length * np.sin(angle))), (10, 10, 10), width
        )
    return picture


def _keys(rng: np.random.Generator) -> NDArray:
    dark = rng.random() < 0.7
    picture = _canvas(_grey(rng, 10, 40) if dark else _grey(rng, 190, 240))
    key = _grey(rng, 40, 80, 3) if dark else _grey(rng, 150, 250, 3)
    for y in range(6):
        for x in range(14):
            cv2.rectangle(picture, (x * 9 + 2, y * 21 + 3), (x * 9 + 8, y * 21 + 19), key, -1)
    return picture


def _wood(rng: np.random.Generator) -> NDArray:
    base = np.array([(170, 130, 90), (120, 80, 50), (205, 175, 135), (90, 60, 45)][rng.integers(4)], float)
    grain = cv2.resize(rng.normal(0, 1, (64, 5)).astype(np.float32), (SIZE, SIZE), interpolation=cv2.INTER_CUBIC)
    picture = base * (1 + 0.10 * grain[..., None])
    for y in range(0, SIZE, int(rng.choice([32, 64]))):
        picture[y : y + 1] *= 0.75
    return np.clip(picture, 0, 255).astype(np.uint8)


def _glass_cabinet(rng: np.random.Generator) -> NDArray:
    """Shelves with packs behind two panes."""
    picture = cv2.addWeighted(_rack(rng), 0.75, _canvas((200, 210, 215)), 0.25, 0)
    for x in (0, 62, 122):
        cv2.rectangle(picture, (x, 0), (x + 5, SIZE), _grey(rng, 190, 235, 3), -1)
    for y in (0, 123):
        cv2.rectangle(picture, (0, y), (SIZE, y + 5), _grey(rng, 190, 235, 3), -1)
    return picture


def _fronts(rng: np.random.Generator) -> NDArray:
    """Plain white doors beside drawers with bar handles: a medical sideboard."""
    front = _grey(rng, 215, 250, 4)
    picture = _canvas(front)
    gap, handle = _grey(rng, 110, 180, 3), _grey(rng, 70, 170, 3)
    columns = int(rng.integers(2, 5))
    for i in range(columns):
        left, right = i * SIZE // columns, (i + 1) * SIZE // columns
        rows = int(rng.choice([1, 1, 3, 4, 5]))
        for j in range(rows):
            top, bottom = j * SIZE // rows, (j + 1) * SIZE // rows
            cv2.rectangle(picture, (left, top), (right, bottom), gap, 1)
            middle = (left + right) // 2
            cv2.line(picture, (middle - 6, top + 7), (middle + 6, top + 7), handle, 2)
    return picture


def _device(rng: np.random.Generator) -> NDArray:
    """The front of a pump or a monitor: light housing, dark display, a row of keys."""
    picture = _canvas(_grey(rng, 170, 250, 5))
    for row in range(int(rng.integers(1, 4))):
        top = int(8 + row * 40)
        display = (int(rng.integers(4, 24)), int(rng.integers(50, 100)))
        cv2.rectangle(picture, (display[0], top), (display[1], top + 20), _grey(rng, 5, 60, 10), -1)
        cv2.line(picture, (display[0] + 4, top + 10), (display[1] - 6, top + 10), _colour(rng), 2)
        for x in range(display[1] + 6, SIZE - 4, 9):
            key = _colour(rng) if rng.random() < 0.3 else _grey(rng, 30, 160)
            cv2.circle(picture, (x, top + int(rng.integers(4, 16))), 3, key, -1)
        cv2.rectangle(picture, (2, top - 5), (SIZE - 3, top + 27), _grey(rng, 120, 210), 1)
    return picture


Painter = Callable[[np.random.Generator], NDArray]
PAINTERS: dict[str, Painter] = {
    "drawers": _drawers, "panel": _panel, "screen": _screen, "rack": _rack, "tiles": _tiles, "paper": _paper,
    "stripes": _stripes, "clutter": _clutter, "doorway": _doorway, "outside": _outside, "blinds": _blinds,
    "picture": _picture, "board": _board, "xray": _xray, "clock": _clock, "keys": _keys, "wood": _wood,
    "glass_cabinet": _glass_cabinet, "fronts": _fronts, "device": _device,
}  # fmt: skip
