"""A stack of small pictures, filtered for every distance (a mip pyramid)."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from training.synthetic_or.shapes.painters import PAINTERS, SIZE


@dataclass(frozen=True)
class Textures:
    """`pyramid` holds the linear albedo of all `count` textures, level after level: each level's `(T, S, S, 3)` texels
    in a row, S halved from level to level; `kinds` maps a kind to the indices that show it.
    """

    pyramid: NDArray[np.float32]
    count: int
    kinds: dict[str, tuple[int, ...]]

    def pick(self, kind: str, rng: np.random.Generator) -> int:
        return int(rng.choice(self.kinds[kind]))

    def look_up(self, texture: NDArray, uv: NDArray, step: NDArray | None = None) -> NDArray:
        """`(N, 3)` colours of textures `(N,)` at coordinates `uv (2, N)`, which wrap around.

        `step (N,)` is how far uv moves from one pixel to the next: far away the texture is smoothed, not sampled.
        """
        level = np.zeros(len(texture), np.int64)
        if step is not None:
            level = np.clip(np.log2(np.maximum(step * SIZE, 1.0)) + 0.3, 0, len(_LEVELS) - 1).astype(np.int64)
        side = _SIDES[level]
        place = (uv - np.floor(uv)) * side - 0.5
        low = np.floor(place)
        (share_x, share_y), (left, top) = (place - low).astype(np.float32)[..., None], low.astype(np.int64)
        last, base = side - 1, self.count * _LEVELS[level] + texture * side * side
        columns, rows = (left & last, (left + 1) & last), (base + (top & last) * side, base + ((top + 1) & last) * side)
        upper, lower = (self._mix(row + columns[0], row + columns[1], share_x) for row in rows)
        return np.asarray(upper + (lower - upper) * share_y)

    def _mix(self, first: NDArray, second: NDArray, share: NDArray) -> NDArray:
        one = self.pyramid.take(first, axis=0)
        return np.asarray(one + (self.pyramid.take(second, axis=0) - one) * share)


#: Width of the levels (px) and how many texels of one texture come before each level.
_SIDES = SIZE >> np.arange(int(np.log2(SIZE)) - 1)
_LEVELS = np.concatenate([[0], np.cumsum(_SIDES.astype(np.int64) ** 2)[:-1]])


def make_textures(seed: int = 7, per_kind: int = 8) -> Textures:
    """The textures; the same for every scene of a data set."""
    rng = np.random.default_rng(seed)
    pictures: list[NDArray] = []
    kinds = {}
    for kind, paint in PAINTERS.items():
        kinds[kind] = tuple(range(len(pictures), len(pictures) + per_kind))
        pictures += [paint(rng) for _ in range(per_kind)]
    level = (np.clip(np.stack(pictures), 0, 255).astype(np.float32) / 255.0) ** 2.2
    pyramid = [level.reshape(-1, 3)]
    for side in _SIDES[1:]:
        level = level.reshape(len(pictures), side, 2, side, 2, 3).mean((2, 4))
        pyramid.append(level.reshape(-1, 3))
    return Textures(np.concatenate(pyramid), len(pictures), kinds)
