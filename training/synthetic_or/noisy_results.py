"""Labels with noise as a results file: what a detector of a chosen quality would have found.

    python -m training.synthetic_or.noisy_results data/annotations.json --out data/noisy.json --px 5 --mm 60

For measuring what comes after the network (fusion, calibration, tracking) without depending on one model's faults.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from orpose_models.annotations import AnnotationSet, PersonLabel, read_annotations
from orpose_models.errors import OrposeError
from orpose_models.runtime.results import entries_from_persons, write_results
from orpose_models.runtime.types import Person
from orpose_models.skeleton import COCO17, H36M17

#: Scores of joints that are seen, hidden and not in the image, as a calibrated network would give them.
_SCORES = np.array([0.02, 0.5, 0.9])
#: Joints that are not seen are guessed this much worse.
_WORSE = np.array([8.0, 2.0, 1.0])


def noisy_results(
    labels: AnnotationSet, *, px: float, mm: float, size: float, miss: float, seed: int
) -> list[dict[str, Any]]:
    """Entries of a results file.

    Args:
        labels: With keypoints and keypoints_3d.
        px: Standard deviation of joints that are seen, px; of hidden ones twice that.
        mm: Standard deviation of each lifted joint, mm, pelvis-relative.
        size: Standard deviation of a person's lifted size, as a share.
        miss: Probability that somebody is not found in an image.
        seed: Of the noise.
    """
    rng = np.random.default_rng(seed)
    names = {image.image_id: image.file_name for image in labels.images}
    entries = []
    for label in labels.persons:
        if label.is_crowd or label.keypoints is None or label.keypoints_3d is None or rng.random() < miss:
            continue
        person = _noisy(label, rng, px, mm, size)
        entries += entries_from_persons(label.image_id, names[label.image_id], [person])
    return entries


def _noisy(label: PersonLabel, rng: np.random.Generator, px: float, mm: float, size: float) -> Person:
    assert label.keypoints is not None and label.keypoints_3d is not None
    flags = label.keypoints[:, 2].astype(int)
    middle = label.bbox[:2] + label.bbox[2:] / 2
    joints = np.where(flags[:, None] > 0, label.keypoints[:, :2], middle)
    joints = joints + rng.normal(0, px, (COCO17.num_joints, 2)) * _WORSE[flags][:, None]
    lifted = label.keypoints_3d[:, :3] - label.keypoints_3d[H36M17.root, :3]
    lifted = lifted * (1 + rng.normal(0, size)) + rng.normal(0, mm, lifted.shape)
    lifted -= lifted[H36M17.root]
    return Person(
        score=float(rng.uniform(0.6, 1.0)),
        bbox_xywh=label.bbox.astype(np.float32),
        keypoints=np.column_stack([joints, _SCORES[flags]]).astype(np.float32),
        keypoints_3d=np.column_stack([lifted, np.full(len(lifted), 0.8)]).astype(np.float32),
    )


def main(arguments: Sequence[str] | None = None) -> int:
    """Returns 0, or 2 for a user error."""
    parser = argparse.ArgumentParser(prog="python -m training.synthetic_or.noisy_results", description=__doc__)
    parser.add_argument("annotations", type=Path, help="label file with 3D joints")
    parser.add_argument("--out", type=Path, required=True, help="results file to write")
    parser.add_argument("--px", type=float, default=5.0, help="noise of 2D joints, px")
    parser.add_argument("--mm", type=float, default=60.0, help="noise of lifted joints, mm")
    parser.add_argument("--size", type=float, default=0.05, help="noise of a person's lifted size, as a share")
    parser.add_argument("--miss", type=float, default=0.1, help="probability that somebody is not found")
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args(arguments)
    values = {name: vars(args)[name] for name in ("px", "mm", "size", "miss", "seed")}
    try:
        write_results(args.out, noisy_results(read_annotations(args.annotations), **values))
    except OrposeError as error:
        parser.exit(2, f"{parser.prog}: {error}\n")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
