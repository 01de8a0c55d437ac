"""A results file with its people followed over time and placed in metres, as `orpose run` does it with a model.

    python -m training.synthetic_or.noisy_results data/annotations.json --out data/noisy.json
    python -m training.synthetic_or.followed_results data/annotations.json data/noisy.json --out data/followed.json
    python -m training.synthetic_or.followed_results ... --set smoothing=false track_oks_weight=0

For measuring what tracking, smoothing and depth do, apart from one model's faults.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import yaml

from orpose_models.annotations import AnnotationSet, LabelledImage, read_annotations
from orpose_models.depth import read_depth
from orpose_models.errors import OrposeError
from orpose_models.evaluate.results import Result, read_results
from orpose_models.metric3d import located
from orpose_models.people import People, PeopleConfig
from orpose_models.runtime.results import entries_from_persons, person_from_entry, write_results
from orpose_models.runtime.types import FrameResult, Person, TrackState
from orpose_models.settings import build_settings


def followed_results(
    labels: AnnotationSet,
    results: Sequence[Result],
    config: PeopleConfig,
    *,
    score_threshold: float,
    depth_folder: Path | None,
) -> list[dict[str, Any]]:
    """Entries of a results file, in the order of time, camera by camera.

    Args:
        labels: Say which images follow each other, and where cameras and depth images are.
        results: Of these images.
        config: Of tracking and smoothing.
        score_threshold: Box score from which on a candidate is a person.
        depth_folder: What the labels' depth file names are relative to; None: places come from sizes alone.
    """
    found: dict[int, list[Result]] = {}
    for result in results:
        found.setdefault(int(result["image_id"]), []).append(result)
    people: dict[tuple[str | None, str | None], People] = {}
    entries = []
    for image in sorted(labels.images, key=lambda one: (one.stamp_ns or 0, one.image_id)):
        candidates = tuple(sorted(map(_unnamed, found.get(image.image_id, [])), key=lambda p: -p.score))
        frame = FrameResult(persons=(), image_size=(image.width, image.height), candidates=candidates)
        own = people.setdefault((image.sequence, image.camera_id), People(config))
        place = _place(labels, image, depth_folder)
        followed = own.update(frame, image.stamp_ns or 0, score_threshold, place)
        entries += entries_from_persons(image.image_id, image.file_name, followed.candidates)
    return entries


def _unnamed(entry: Result) -> Person:
    """The person without the identity that another tracker gave."""
    return replace(person_from_entry(entry), track_id=-1, track_state=TrackState.NONE)


def _place(labels: AnnotationSet, image: LabelledImage, depth_folder: Path | None) -> Callable[[Person], Person] | None:
    if image.camera_id is None or image.camera_id not in labels.cameras:
        return None
    depth = None
    if depth_folder is not None and image.depth_file_name is not None:
        depth = read_depth(depth_folder / image.depth_file_name)
    lens = labels.cameras[image.camera_id].lens
    return partial(located, lens=lens, depth=depth, frame_size=(image.width, image.height))


def main(arguments: Sequence[str] | None = None) -> int:
    """Returns 0, or 2 for a user error."""
    parser = argparse.ArgumentParser(prog="python -m training.synthetic_or.followed_results", description=__doc__)
    parser.add_argument("annotations", type=Path, help="label file with sequences")
    parser.add_argument("results", type=Path, help="results file to follow people in")
    parser.add_argument("--out", type=Path, required=True, help="results file to write")
    parser.add_argument("--score-threshold", type=float, default=0.5, help="box score of a person (default: 0.5)")
    parser.add_argument("--no-depth", action="store_true", help="place people by their size, not by depth")
    parser.add_argument("--set", nargs="+", default=[], metavar="NAME=VALUE", help="settings of tracking and smoothing")
    args = parser.parse_args(arguments)
    try:
        values = {name: yaml.safe_load(text) for name, _, text in (item.partition("=") for item in args.set)}
        config = build_settings(PeopleConfig, values, "--set")
        results = read_results(args.results, need=("bbox", "score", "keypoints", "keypoints_3d"))
        folder = None if args.no_depth else args.annotations.parent
        labels, threshold = read_annotations(args.annotations), args.score_threshold
        entries = followed_results(labels, results, config, score_threshold=threshold, depth_folder=folder)
        write_results(args.out, entries)
    except OrposeError as error:
        parser.exit(2, f"{parser.prog}: {error}\n")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
