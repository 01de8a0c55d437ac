"""`orpose evaluate`: metrics of one or several results files against annotations, as tables, JSON and plots."""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from orpose.options import add_options, settings_from_args
from orpose_models.errors import InputError
from orpose_models.evaluate.protocols import PROTOCOLS
from orpose_models.evaluate.resample import ResampleSettings
from orpose_models.runtime.config import RuntimeConfig

if TYPE_CHECKING:
    from orpose_models.annotations import AnnotationSet
    from orpose_models.evaluate.results import Result


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--protocol", choices=sorted(PROTOCOLS), required=True, help="which metric")
    parser.add_argument(
        "--annotations", type=Path, required=True, help="label file: COCO, MVOR, MVOR+, WEPDTOF-Pose or our own"
    )
    parser.add_argument(
        "--results",
        nargs="+",
        required=True,
        metavar="[NAME=]FILE",
        help="results.json of `orpose run --annotations`; several are compared, e.g. 1x=a.json 12x=b.json",
    )
    parser.add_argument(
        "--against",
        type=Path,
        metavar="FILE",
        help="results whose metric is taken away from each of --results, with intervals",
    )
    parser.add_argument(
        "--min-score",
        type=float,
        metavar="SCORE",
        help=f"leave results of lower scores (0-1) out (default: none, found: {RuntimeConfig().score_threshold:g})",
    )
    parser.add_argument("--roles", choices=("all", "staff", "patient"), default="all", help="others are ignored")
    parser.add_argument(
        "--joints", choices=("all", "seen"), default="all", help="seen: hidden ones (flag 1) are not measured"
    )
    parser.add_argument("--per-joint", action="store_true", help="PCK@0.2, or the 3D error, of every joint")
    parser.add_argument("--per-size", action="store_true", help="the main metric by COCO's three sizes of people")
    parser.add_argument("--per-bone", action="store_true", help="mean and spread of the bone lengths of 3D poses, mm")
    parser.add_argument(
        "--keep-label-ids",
        action="store_true",
        help="coco-bbox: repeat a flaw of pycocotools, the label of id 0 is never found",
    )
    parser.add_argument("--intervals", action="store_true", help="bootstrap confidence intervals of the main metrics")
    parser.add_argument("--json", type=Path, metavar="OUT", help="also write everything to this file")
    parser.add_argument("--plots", type=Path, metavar="DIR", help="write PNG plots into this folder")
    add_options(parser, ResampleSettings)


def run(args: argparse.Namespace) -> int:
    from orpose_models.annotations import read_annotations
    from orpose_models.evaluate import report
    from orpose_models.evaluate.roles import with_roles
    from orpose_models.evaluate.seen import with_joints

    resampling = settings_from_args(ResampleSettings, args)
    intervals = args.intervals or args.against is not None
    _check_options(args, intervals)
    annotations = with_joints(with_roles(read_annotations(args.annotations), args.roles), args.joints)
    if annotations.others:
        print(f"{args.annotations}: annotations of other categories than person, left out: {annotations.others}")
    paths = _named(args.results)
    files = {name: _read(path, annotations, args) for name, path in paths.items()}
    against = None if args.against is None else _read(args.against, annotations, args)
    wanted = report.Wanted(
        joints=args.per_joint,
        sizes=args.per_size,
        bones=args.per_bone,
        keep_label_ids=args.keep_label_ids,
        resampling=resampling if intervals else None,
    )
    runs = report.measure(args.protocol, annotations, files, wanted, against)
    print(report.as_text(runs, resampling, str(args.against)))
    if args.json is not None:
        content = {
            "protocol": args.protocol,
            "annotations": str(args.annotations),
            "other_categories": annotations.others,
            "roles": args.roles,
            "joints": args.joints,
            "min_score": _min_score(args),
            "images": len(annotations.images),
            "against": None if args.against is None else str(args.against),
            "resampling": resampling.model_dump() if intervals else None,
            "runs": {name: {"results": str(paths[name]), **measured.as_dict()} for name, measured in runs.items()},
        }
        _write_json(args.json, content)
    if args.plots is not None:
        for path in report.write_plots(args.plots, args.protocol, annotations, files, runs, wanted):
            print(f"wrote {path}")
    return 0


def _check_options(args: argparse.Namespace, intervals: bool) -> None:
    """Raises InputError for an option that would change nothing."""
    given = [name for name in ResampleSettings.model_fields if hasattr(args, name)]
    if given and not intervals:
        raise InputError(
            f"--{given[0]}: changes nothing without intervals; add --intervals or --against, or leave it out"
        )
    if args.min_score is not None and not 0 <= args.min_score <= 1:
        raise InputError(f"--min-score: expected 0 to 1, got {args.min_score:g}")
    if args.keep_label_ids and args.protocol != "coco-bbox":
        raise InputError(f"--keep-label-ids: of coco-bbox, not of {args.protocol}; leave it out")


def _named(texts: Sequence[str]) -> dict[str, Path]:
    """NAME=FILE; a file that exists under the whole text, or a text without =, is named by its stem."""
    paths: dict[str, Path] = {}
    for text in texts:
        name, separator, path = text.partition("=")
        if not separator or Path(text).exists():
            name, path = Path(text).stem, text
        if name in paths:
            raise InputError(f"--results: two are named {name!r}: {paths[name]} and {path}; give NAME=FILE")
        paths[name] = Path(path)
    return paths


def _read(path: Path, annotations: AnnotationSet, args: argparse.Namespace) -> list[Result]:
    from orpose_models.evaluate.results import check_images, read_results

    score = ("score",) if args.min_score is not None else ()
    need = {*PROTOCOLS[args.protocol].need, *score, *(("keypoints_3d",) if args.per_bone else ())}
    results = read_results(path, need=sorted(need))
    check_images(results, annotations, str(path), args.annotations)
    least = _min_score(args)
    return results if least is None else [result for result in results if result["score"] >= least]


def _min_score(args: argparse.Namespace) -> float | None:
    if args.min_score is None and args.protocol == "found":
        return RuntimeConfig().score_threshold
    return args.min_score


def _write_json(path: Path, content: Any) -> None:
    from orpose_models.files import write_atomically
    from orpose_models.json_values import without_nan

    try:
        path.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InputError(f"{path}: cannot be written ({error.strerror}); choose another --json") from None
    write_atomically(path, (json.dumps(without_nan(content), indent=1, allow_nan=False) + "\n").encode())
