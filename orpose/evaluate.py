"""`orpose evaluate`: a metric of results against annotations, as a table and as JSON."""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from orpose_models.annotations import AnnotationSet
    from orpose_models.evaluate.results import Result

#: Protocol -> keys each result must have.
PROTOCOLS = {
    "coco-bbox": ("bbox", "score"),
    "coco-keypoints": ("keypoints", "score"),
    "mvor-pck": ("keypoints", "score"),
    "mpjpe": ("keypoints", "keypoints_3d"),
}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--protocol", choices=sorted(PROTOCOLS), required=True, help="which metric")
    parser.add_argument("--annotations", type=Path, required=True, help="label file: COCO, MVOR or our own")
    parser.add_argument("--results", type=Path, required=True, help="results.json of `orpose run --annotations`")
    parser.add_argument("--roles", choices=("all", "staff", "patient"), default="all", help="others are ignored")
    parser.add_argument("--json", type=Path, metavar="OUT", help="also write the metrics to this file")


def run(args: argparse.Namespace) -> int:
    from orpose_models.annotations import read_annotations
    from orpose_models.evaluate.results import read_results
    from orpose_models.evaluate.roles import with_roles

    annotations = with_roles(read_annotations(args.annotations), args.roles)
    results = read_results(args.results, need=PROTOCOLS[args.protocol])
    _check_image_ids(annotations, results, args)
    metrics = _metric(args.protocol)(annotations, results)
    for name, value in metrics.items():
        print(f"{name:>18}  {value:10.4f}")
    if args.json is not None:
        report = {
            "protocol": args.protocol,
            "annotations": str(args.annotations),
            "results": str(args.results),
            "roles": args.roles,
            "images": len(annotations.images),
            "metrics": metrics,
        }
        args.json.parent.mkdir(parents=True, exist_ok=True)
        args.json.write_text(json.dumps(report, indent=1) + "\n", encoding="utf-8")
    return 0


def _metric(protocol: str) -> Callable[[AnnotationSet, Sequence[Result]], dict[str, float]]:
    from orpose_models.evaluate import coco, mpjpe, mvor_pck

    functions: dict[str, Callable[[AnnotationSet, Sequence[Result]], dict[str, float]]] = {
        "coco-bbox": coco.box_metrics,
        "coco-keypoints": coco.keypoint_metrics,
        "mvor-pck": mvor_pck.mvor_pck,
        "mpjpe": mpjpe.mpjpe,
    }
    return functions[protocol]


def _check_image_ids(annotations: AnnotationSet, results: Sequence[Result], args: argparse.Namespace) -> None:
    from orpose_models.errors import InputError

    known = {image.image_id for image in annotations.images}
    for index, result in enumerate(results):
        if result["image_id"] not in known:
            raise InputError(
                f"{args.results}: result {index}: image_id {result['image_id']} is not in {args.annotations};"
                " give `orpose run` the same --annotations, so that it writes the label file's ids"
            )
