"""Cut-Occlude (SSPCM 2023): joints are pasted over with patches around other people's joints; the labels stay.

So the network has to tell where a joint is from the rest of the body. `occlusion.py` covers at random instead, and
takes hard labels away.
"""

from __future__ import annotations

from dataclasses import replace

import cv2
import numpy as np
from numpy.typing import NDArray

from training.data.augment_config import AugmentConfig
from training.data.geometry import CROP_PADDING
from training.data.sample import Sample

#: Width and height of the person crop whose px the configuration's sizes count in.
_CROP = (192, 256)


def cut_occlude(sample: Sample, donor: Sample, config: AugmentConfig, rng: np.random.Generator) -> Sample:
    """The sample with `cut_occlude_joints` joints of each person pasted over by patches of `donor`.

    A patch is cut around a random labelled joint of the donor. It is pasted near the joint: both its size and the
    jitter are px of a 192x256 crop of each person. A donor without labelled joints changes nothing.
    """
    sources = _patch_centres(donor)
    if len(sources) == 0:
        return sample
    image = sample.image.copy()
    people = ~sample.crowd
    for joints, scale in zip(sample.soft[people], px_per_crop_px(sample.boxes[people]), strict=True):
        known = np.flatnonzero(joints[:, 2] > 0)
        for joint in rng.permutation(known)[: config.cut_occlude_joints]:
            centre = joints[joint, :2] + rng.normal(0, config.cut_occlude_jitter_px, 2) * scale
            half = rng.integers(config.cut_occlude_half_px[0], config.cut_occlude_half_px[1] + 1) * scale
            x, y, source_scale = sources[rng.integers(len(sources))]
            paste_patch(image, centre, half, donor.image, np.array([x, y]), source_scale / scale)
    return replace(sample, image=image)


def px_per_crop_px(boxes: NDArray) -> NDArray[np.float64]:
    """`(N,)` image px of one px of each person's 192x256 crop; boxes `(N, 4)` xyxy."""
    width, height = (boxes[:, 2:] - boxes[:, :2]).astype(np.float64).T
    return np.maximum(width, height * _CROP[0] / _CROP[1]) * CROP_PADDING / _CROP[0]


def paste_patch(
    image: NDArray[np.uint8],
    centre: NDArray,
    half: float,
    source: NDArray[np.uint8],
    source_centre: NDArray,
    source_px_per_px: float,
) -> None:
    """Covers the square of `image` within `half` px of `centre` by what lies around `source_centre`, in place.

    Points are x, y px from the images' edges. The source's border is repeated beyond it.
    """
    limits = (image.shape[1], image.shape[0])
    left, top = np.clip(np.round(centre - half), 0, limits).astype(int)
    right, bottom = np.clip(np.round(centre + half), 0, limits).astype(int)
    if right <= left or bottom <= top:
        return
    # pixel (i, j) of the patch has its middle at (left + i + 0.5, top + j + 0.5)
    offset = source_centre + (np.array([left, top]) + 0.5 - centre) * source_px_per_px - 0.5
    matrix = np.array([[source_px_per_px, 0, offset[0]], [0, source_px_per_px, offset[1]]])
    image[top:bottom, left:right] = cv2.warpAffine(
        source,
        matrix,
        (int(right - left), int(bottom - top)),
        flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP,
        borderMode=cv2.BORDER_REPLICATE,
    )


def _patch_centres(donor: Sample) -> NDArray[np.float64]:
    """`(K, 3)` x, y px and image px per crop px of all labelled joints."""
    people = ~donor.crowd
    known = donor.soft[people][..., 2] > 0
    scales = np.broadcast_to(px_per_crop_px(donor.boxes[people])[:, None], known.shape)
    return np.column_stack([donor.soft[people][known][:, :2], scales[known]])
