"""`orpose synth`: renders a labelled synthetic operating room (or the everyday domain)."""

from __future__ import annotations

import argparse
import importlib
from pathlib import Path

from orpose.options import add_options, settings_from_args
from orpose_models.errors import ConfigError


def add_arguments(parser: argparse.ArgumentParser) -> None:
    from training.synthetic_or.config import SynthConfig

    add_options(parser, SynthConfig)
    parser.add_argument("--out", type=Path, required=True, help="folder to write; an unfinished one is continued")
    parser.add_argument("--workers", type=int, default=2, help="processes")
    parser.add_argument("--bag", type=Path, help="also write sequences as rosbag2 (MCAP) into this new folder")
    parser.add_argument("--contact-sheet", type=Path, help="also write a picture of images and their labels")
    parser.add_argument(
        "--compare", type=Path, nargs="+", metavar="PATH",
        help="with --contact-sheet: show the images beside these folders or pictures, at 1x and at 12x",
    )  # fmt: skip


def run(args: argparse.Namespace) -> int:
    from training.synthetic_or.config import SynthConfig

    config = settings_from_args(SynthConfig, args)
    _require_packages("embreex", "scipy")
    from orpose_models.runtime.sources import open_source
    from training.synthetic_or.generate import generate

    if args.compare and not args.contact_sheet:
        raise ConfigError("command line: compare: needs the picture's name; give --contact-sheet as well")
    for path in args.compare or ():
        open_source(path)  # complains before the work, not after it
    if args.bag:
        from training.synthetic_or.bag import bag_paths, write_bags

        bag_paths(config, args.bag)  # complains before the work, not after it
    labels = generate(config, args.out, args.workers)
    ignored = sum(person.is_crowd for person in labels.persons)
    people = len(labels.persons) - ignored
    print(f"images {len(labels.images)}  people {people}  ignored {ignored}  {args.out}/annotations.json")
    if args.bag:
        for path in write_bags(config, args.out, labels, args.bag):
            print(f"bag {path}")
    if args.contact_sheet:
        from training.synthetic_or.contact_sheet import write_comparison, write_contact_sheet

        if args.compare:
            write_comparison(args.out, args.compare, args.contact_sheet)
        else:
            write_contact_sheet(args.out, args.contact_sheet)
        print(f"contact sheet {args.contact_sheet}")
    return 0


def _require_packages(*names: str) -> None:
    from orpose_models.errors import BackendError

    for name in names:
        try:
            importlib.import_module(name)
        except ImportError:
            raise BackendError(f"{name}: not installed, needed to render; run: pip install 'orpose[synth]'") from None
