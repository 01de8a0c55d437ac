"""What polished floors and steel mirror: blurred, from few rays, since only their broad light and colour count."""

from __future__ import annotations

from collections.abc import Callable

import cv2
import numpy as np
from numpy.typing import NDArray

from training.synthetic_or.rendering.surfaces import Surface, dot, unit

_STEP = 3  # one mirrored ray for so many rows and columns
_OFFSET = 2e-3  # which starts this far off the surface (m)
_BLUR = 5  # width of the mean over the mirrored rays; odd
_GRAZING = 0.6  # how much is mirrored at the flattest angles


def mirrored(
    surface: Surface, mirror: NDArray[np.float32], pixels: NDArray, image_size: tuple[int, int],
    look: Callable[[NDArray, NDArray], tuple[NDArray, NDArray]],
) -> tuple[NDArray[np.int64], NDArray[np.float32], NDArray[np.float32]]:  # fmt: skip
    """The mirrored light on N points, which are `pixels (N,)` of an image.

    Args:
        surface: The points.
        mirror: `(N,)` which share of the light each of them mirrors, seen from above.
        pixels: `(N,)` flat indices.
        image_size: Width, height in px.
        look: Radiance `(3, H)` that comes back along rays from origins along unit directions (both `(K, 3)`), and which
            H of them hit something.

    Returns:
        Which K points mirror something, `(K,)` how much of the light, and `(3, K)` what.
    """
    width, height = image_size
    which = np.flatnonzero(mirror)
    row, column = pixels[which] // width, pixels[which] % width
    rays = which[(row % _STEP == 0) & (column % _STEP == 0)]
    normals, view = unit(surface.normals[:, rays]), surface.view[:, rays]
    directions = 2 * dot(normals, view) * normals - view
    starts = surface.points[:, rays] + (normals + directions) * np.float32(_OFFSET)
    radiance, hit = look(np.ascontiguousarray(starts.T), np.ascontiguousarray(directions.T))
    picture = np.zeros((-(-height // _STEP), -(-width // _STEP), 4), np.float32)
    places = pixels[rays[hit]]
    picture[places // width // _STEP, places % width // _STEP] = np.vstack([radiance, np.ones(len(hit))]).T
    blurred = cv2.GaussianBlur(picture, (_BLUR, _BLUR), 0)
    found = cv2.resize(blurred, (picture.shape[1] * _STEP, picture.shape[0] * _STEP), interpolation=cv2.INTER_LINEAR)
    found = np.ascontiguousarray(found[row, column].T)
    found[:3] /= np.maximum(found[3], 1e-3)
    cosine = np.minimum(np.abs(dot(unit(surface.normals[:, which]), surface.view[:, which])), 1)
    share = mirror[which] + (1 - mirror[which]) * _GRAZING * (1 - cosine) ** 5
    return which, share * (found[3] > 1e-3), found[:3]
