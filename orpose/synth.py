"""`orpose synth`: renders a labelled synthetic operating room (or the everyday domain)."""

from __future__ import annotations

import argparse
import importlib
from pathlib import Path
from typing import TYPE_CHECKING

from orpose.options import add_options, settings_from_args
from orpose_models.errors import BackendError, ConfigError

if TYPE_CHECKING:
    from training.synthetic_or.config import SynthConfig


def add_arguments(parser: argparse.ArgumentParser) -> None:
    from training.synthetic_or.benchmark import split_names
    from training.synthetic_or.config import SynthConfig

    add_options(parser, SynthConfig)
    splits = split_names()
    parser.add_argument(
        "--benchmark", choices=splits, metavar="SPLIT",
        help=f"a split of the benchmark SynthOR ({', '.join(splits)}), which has its own settings; --images takes its "
        "first ones, --size makes them smaller",
    )  # fmt: skip
    parser.add_argument("--out", type=Path, help="folder to write; an unfinished one is continued")
    machines = parser.add_mutually_exclusive_group()
    machines.add_argument("--workers", type=int, help="processes; one for every usable processor if not given")
    machines.add_argument(
        "--cluster",
        metavar="auto|ADDRESS",
        help="render on the machines of a Ray cluster that this one belongs to; --out must be a folder they all see",
    )
    parser.add_argument("--mvor", action="store_true", help="write MVOR's keys into annotations.json as well")
    parser.add_argument("--bag", type=Path, help="also write sequences as rosbag2 (MCAP) into this new folder")
    parser.add_argument("--contact-sheet", type=Path, help="also write a picture of images and their labels")
    parser.add_argument(
        "--compare", type=Path, nargs="+", metavar="PATH",
        help="with --contact-sheet: show the images beside these folders or pictures, at 1x and at 12x",
    )  # fmt: skip
    parser.add_argument("--report", action="store_true", help="also write OUT/report.html: statistics beside real ones")
    parser.add_argument(
        "--report-real", type=Path, metavar="PATH",
        help="with --report: real frames of the own room to compare with (folder, video or bag)",
    )  # fmt: skip
    parser.add_argument(
        "--build-bodies", action="store_true", help="make the bank of bodies anew first (needs the package anny)"
    )


def run(args: argparse.Namespace) -> int:
    if args.build_bodies:
        _build_bodies()
        if args.out is None:
            return 0
    if args.out is None:
        raise ConfigError("command line: out: missing; give the folder to write with --out")
    config = _config(args)
    _require("embreex", "scipy", "threadpoolctl", install="pip install 'orpose[synth]'", purpose="to render")
    _check(args, config)
    from training.synthetic_or.generate import generate

    made = generate(config, args.out, workers=args.workers, cluster=args.cluster, mvor=args.mvor)
    print(f"images {made.images}  people {made.people}  ignored {made.ignored}  {args.out}/annotations.json")
    rejected = ", ".join(f"{count} ({reason})" for reason, count in made.rejected.items()) or "0"
    print(f"views with nobody: {made.empty}  views rejected: {rejected}")
    if made.images < config.num_images:
        print(f"{config.num_images - made.images} views are missing: things before the lens wherever a camera was put")
    if args.benchmark:
        from training.synthetic_or.benchmark import check_split

        compared = check_split(args.benchmark, config, args.out)
        if compared:
            print(f"SynthOR {args.benchmark}: the first {compared} scenes agree with the checksum")
        else:
            print(f"SynthOR {args.benchmark}: nothing to compare: another --size, or fewer images than a scene")
    _write_extras(args, config)
    return 0


def _config(args: argparse.Namespace) -> SynthConfig:
    from training.synthetic_or.benchmark import split_config
    from training.synthetic_or.config import SynthConfig

    if args.benchmark:
        return split_config(
            args.benchmark, {name: vars(args)[name] for name in SynthConfig.model_fields if name in args}
        )
    return settings_from_args(SynthConfig, args)


def _check(args: argparse.Namespace, config: SynthConfig) -> None:
    """Complains before the work, not after it."""
    if "fps" in vars(args) and not config.sequence:
        raise ConfigError("command line: fps: only sequences have frames a second; give --sequence SECONDS as well")
    if args.report_real:
        from orpose_models.runtime.sources import open_source

        if not args.report:
            raise ConfigError("command line: report_real: nothing to compare; give --report as well")
        open_source(args.report_real)
    if args.contact_sheet:
        from orpose_models.files import check_picture_name

        check_picture_name(args.contact_sheet)
    if args.compare:
        from orpose_models.runtime.sources import open_source

        if not args.contact_sheet:
            raise ConfigError("command line: compare: needs the picture's name; give --contact-sheet as well")
        for path in args.compare:
            open_source(path)
    if args.bag:
        from training.synthetic_or.bag import bag_paths

        bag_paths(config, args.bag)


def _write_extras(args: argparse.Namespace, config: SynthConfig) -> None:
    """What is made of the finished data set: bags, pictures, the report."""
    if args.bag:
        from orpose_models.annotations import read_annotations
        from training.synthetic_or.bag import write_bags

        for path in write_bags(config, args.out, read_annotations(args.out / "annotations.json"), args.bag):
            print(f"bag {path}")
    if args.contact_sheet:
        from training.synthetic_or.contact_sheet import write_comparison, write_contact_sheet

        if args.compare:
            write_comparison(args.out, args.compare, args.contact_sheet)
        else:
            write_contact_sheet(args.out, args.contact_sheet)
        print(f"contact sheet {args.contact_sheet}")
    if args.report:
        from training.synthetic_or.report import write_report

        write_report(args.out, args.out / "report.html", args.report_real)
        print(f"report {args.out}/report.html")


def _build_bodies() -> None:
    _require("anny", install="pip install 'orpose[bodies]'", purpose="to make bodies")
    from training.synthetic_or.people.bodies import BANK_PATH
    from training.synthetic_or.people.build_bodies import build

    build(BANK_PATH)
    print(f"bodies {BANK_PATH}  {BANK_PATH.stat().st_size / 1e6:.1f} MB")


def _require(*packages: str, install: str, purpose: str) -> None:
    for name in packages:
        try:
            importlib.import_module(name)
        except ImportError:
            raise BackendError(f"{name}: not installed, needed {purpose}; run: {install}") from None
