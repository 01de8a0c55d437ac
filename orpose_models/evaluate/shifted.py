"""Shifted and mirrored copies of labelled images, so that not one picture's luck is measured.

Where a picture's pixels fall on a network's grid moves scores by 0.1 to 0.3, at times by 0.5. Copies that nobody could
tell apart show how often a person is found and a thing is taken for one:
`python -m orpose_models.evaluate.shifted IMAGES --annotations LABELS --out COPIES`, then `orpose run COPIES`.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from orpose_models.annotations import AnnotationSet, LabelledImage, PersonLabel, read_annotations, write_annotations
from orpose_models.errors import InputError, OrposeError
from orpose_models.runtime.sources import image_files, images_in
from orpose_models.skeleton import Skeleton, flip_horizontally

#: Shifts along x and y, px; each picture is copied with each of them, as it is and mirrored.
SHIFTS = ((0, 0), (-6, 3), (3, 6), (6, -3), (-3, -6), (5, 5))
COPIES = tuple((shift, mirrored) for shift in SHIFTS for mirrored in (False, True))


def shifted(image: NDArray[np.uint8], shift: tuple[int, int], mirrored: bool) -> NDArray[np.uint8]:
    """The picture `(H, W, 3)` moved by `shift`, its border repeated, then mirrored if asked for."""
    height, width = image.shape[:2]
    matrix = np.array([[1, 0, shift[0]], [0, 1, shift[1]]], np.float64)
    moved = cv2.warpAffine(image, matrix, (width, height), borderMode=cv2.BORDER_REPLICATE)
    return np.ascontiguousarray(moved[:, ::-1] if mirrored else moved)


def shifted_label(
    label: PersonLabel, shift: tuple[int, int], mirrored: bool, size: tuple[int, int], skeleton: Skeleton
) -> PersonLabel:
    """The person of a copy of `size` (w, h): what is within it of box and 2D joints (px), role; nothing else."""
    corners = label.bbox[:2] + shift, label.bbox[:2] + label.bbox[2:] + shift
    (x1, y1), (x2, y2) = (np.clip(corner, 0, size) for corner in corners)
    keypoints = None
    if label.keypoints is not None:
        keypoints = label.keypoints.copy()
        keypoints[:, :2] += shift
        outside = (keypoints[:, :2] < 0).any(axis=1) | (keypoints[:, :2] >= size).any(axis=1)
        keypoints[outside | (keypoints[:, 2] == 0)] = 0
        if mirrored:
            keypoints = flip_horizontally(keypoints, size[0], skeleton)
            keypoints[keypoints[:, 2] == 0] = 0
    bbox = np.array([size[0] - x2 if mirrored else x1, y1, x2 - x1, y2 - y1])
    return PersonLabel(
        label.annotation_id, label.image_id, bbox, keypoints, area=label.area, is_crowd=label.is_crowd, role=label.role
    )


def write_copies(folder: Path, labels: AnnotationSet | None, out: Path) -> int:
    """Writes twelve PNG files of each picture, and `annotations.json` if there are labels. Returns how many files.

    People who are pushed out of a copy are not in its labels.

    Raises:
        InputError: a picture is missing or cannot be read, a copy cannot be written, or `out` has images already.
    """
    if out.is_dir() and image_files(out.iterdir()):
        raise InputError(f"{out}: has images already, which would be measured as well; give a new folder")
    if labels is not None:
        paths = [(image, folder / image.file_name) for image in labels.images]
    else:
        paths = [(LabelledImage(i, path.name, 0, 0), path) for i, path in enumerate(images_in(folder))]
    out.mkdir(parents=True, exist_ok=True)
    images: list[LabelledImage] = []
    persons: list[PersonLabel] = []
    people = {} if labels is None else labels.persons_by_image()
    for number, (image, path) in enumerate(paths):
        picture = cv2.imread(str(path))
        if picture is None:
            raise InputError(
                f"{path}: expected an image, cannot be read; give the folder that the labels' names are in"
            )
        size = (picture.shape[1], picture.shape[0])
        for k, (shift, mirrored) in enumerate(COPIES):
            name = f"{number:04d}_{k:02d}_{Path(image.file_name).stem}.png"
            # copies of one picture are no independent samples: `evaluate --resample sequence` draws them together
            copy = LabelledImage(len(images), name, *size, sequence=image.sequence or image.file_name)
            if not cv2.imwrite(str(out / copy.file_name), shifted(picture, shift, mirrored)):
                raise InputError(f"{out / copy.file_name}: cannot be written; is the disk full?")
            images.append(copy)
            for label in people.get(image.image_id, ()):
                assert labels is not None
                own = shifted_label(label, shift, mirrored, size, labels.skeleton)
                if own.bbox[2:].min() > 0:
                    persons.append(replace(own, image_id=copy.image_id, annotation_id=len(persons) + 1))
    if labels is not None:
        copies = AnnotationSet(tuple(images), tuple(persons), skeleton=labels.skeleton, info=labels.info)
        write_annotations(out / "annotations.json", copies)
    return len(images)


def main(arguments: Sequence[str] | None = None) -> int:
    """Returns 0, or 2 for a user error."""
    parser = argparse.ArgumentParser(prog="python -m orpose_models.evaluate.shifted", description=__doc__)
    parser.add_argument("images", type=Path, help="folder of the pictures")
    parser.add_argument("--annotations", type=Path, help="their label file (default: none, such as of empty rooms)")
    parser.add_argument("--out", type=Path, required=True, help="folder of the copies, and of their annotations.json")
    args = parser.parse_args(arguments)
    try:
        if not args.images.is_dir():
            raise InputError(f"{args.images}: expected a folder of images, found none there")
        labels = None if args.annotations is None else read_annotations(args.annotations)
        print(f"{args.out}: {write_copies(args.images, labels, args.out)} images")
    except OrposeError as error:
        parser.exit(2, f"{parser.prog}: {error}\n")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
