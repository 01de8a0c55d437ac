"""`orpose pseudo-label`: a teacher's soft and hard labels of unlabelled images."""

from __future__ import annotations

import argparse
import os
from pathlib import Path
from typing import TYPE_CHECKING

from orpose.options import add_options, settings_from_args
from orpose_models.errors import BackendError

if TYPE_CHECKING:
    from training.teacher.labelling import Summary

#: Unreadable images named at the end; all are in the file.
LISTED = 20


def add_arguments(parser: argparse.ArgumentParser) -> None:
    from training.teacher.config import LabellingConfig

    parser.add_argument(
        "input",
        metavar="INPUT",
        nargs="+",
        type=Path,
        help="folder of images or of recordings, label file (its labels are not used), image, video or rosbag2",
    )
    parser.add_argument("--teacher", type=Path, required=True, help="YAML file (training/configs/teacher_*.yaml)")
    parser.add_argument("--out", type=Path, required=True, help="folder to write; an unfinished run is continued")
    add_options(parser, LabellingConfig)
    parser.add_argument("--threshold", metavar="T", help="joint confidence of the hard set, instead of the teacher's")
    parser.add_argument("--box-threshold", metavar="T", help="lowest box score of a person, instead of the teacher's")
    parser.add_argument("--device", help="cpu, cuda, cuda:N or auto, instead of the teacher's")
    parser.add_argument(
        "--workers", type=int, help="processes on this machine, each with its own teacher, on the next GPU; default: 1"
    )
    parser.add_argument(
        "--cluster", metavar="ADDRESS", help="Ray cluster to use instead of this machine; 'auto': its own"
    )
    parser.add_argument(
        "--gpus", type=float, default=0.0, help="GPUs each process takes, also parts of 1; with --cluster"
    )
    parser.add_argument(
        "--results", action="store_true", help="also write results.json for `orpose evaluate`, to judge the teacher"
    )
    parser.add_argument("--contact-sheet", type=Path, help="also write a picture of some images with their labels")


def run(args: argparse.Namespace) -> int:
    # Threads that spin while they wait make everything slower as soon as another process wants a core.
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    try:
        import torch  # noqa: F401
    except ImportError as error:
        raise BackendError(f"pseudo-label: {error.name} is not installed; pip install 'orpose[teacher]'") from None
    from orpose_models.files import check_picture_name
    from orpose_models.settings import build_settings
    from training.teacher.config import LabellingConfig, TeacherConfig, read_teacher_config
    from training.teacher.contact_sheet import write_contact_sheet
    from training.teacher.labelling import label_images
    from training.teacher.results import write_teacher_results

    config = settings_from_args(LabellingConfig, args)
    given = {"joint_threshold": args.threshold, "box_threshold": args.box_threshold, "device": args.device}
    changes = {name: value for name, value in given.items() if value is not None}
    teacher = build_settings(
        TeacherConfig, {**read_teacher_config(args.teacher).model_dump(), **changes}, "command line"
    )
    if args.contact_sheet:
        check_picture_name(args.contact_sheet)  # before the work, not after it
    summary = label_images(
        args.input, teacher, config, args.out, workers=args.workers, cluster=args.cluster, gpus=args.gpus
    )
    print(_report(summary, args.out))
    if args.results:
        print(f"results {write_teacher_results(args.out, summary.batches)}")
    if args.contact_sheet:
        write_contact_sheet(args.out, args.contact_sheet, summary.batches, config.downsample)
        print(f"contact sheet {args.contact_sheet}")
    return 0


def _report(summary: Summary, out: Path) -> str:
    from training.teacher.labelling import TRAINING, UNREADABLE, VALIDATION

    share = summary.hard_joints / max(1, 17 * summary.people)
    lines = [
        f"images {summary.images}  people {summary.people}  hard joints {share:.0%}"
        f"  unreadable {len(summary.unreadable)}  {out}/{TRAINING}"
    ]
    if summary.was_whole:
        lines.append(f"labelled before: {out} keeps the images that it began with; label newer ones into another --out")
    if summary.validation_images:
        lines.append(f"kept aside for validation: images {summary.validation_images}  {out}/{VALIDATION}")
    lines += [f"unreadable: {name}: {reason}" for name, reason in summary.unreadable[:LISTED]]
    if len(summary.unreadable) > LISTED:
        lines.append(f"unreadable: and {len(summary.unreadable) - LISTED} more, all in {out}/{UNREADABLE}")
    return "\n".join(lines)
