"""`python -m training.reproduce CONFIG.yaml`: runs the steps that are not done, then writes tables.md and plots.

Progress is each command's own; a step that fails ends the run with that command's exit code.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from orpose_models.errors import OrposeError
from orpose_models.files import write_atomically
from orpose_models.settings import build_settings, read_yaml_mapping
from training.reproduce.config import ReproduceConfig
from training.reproduce.steps import all_phases, all_steps
from training.steps import print_plan, run_chains, run_steps, steps_left


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m training.reproduce", description=__doc__)
    parser.add_argument("config", type=Path, help="YAML file (training/configs/reproduce.yaml)")
    parser.add_argument("--plan", action="store_true", help="only print the commands that are left")
    parser.add_argument("--tables", action="store_true", help="only write the tables and plots of what is finished")
    parser.add_argument("--jobs", type=_jobs, default=1, help="networks trained at once, where one GPU carries several")
    args = parser.parse_args()
    try:
        config = build_settings(ReproduceConfig, read_yaml_mapping(args.config), str(args.config))
        left = steps_left(all_steps(config))
        if args.plan:
            print_plan(left)
            return 0
        if code := 0 if args.tables else _run(config, args.jobs):
            return code
        _write_tables(config, args.config)
    except OrposeError as error:
        print(f"reproduce: error: {error}", file=sys.stderr)
        return 2
    return 0


def _jobs(text: str) -> int:
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"got {text!r}, expected a whole number from 1")
    return int(text)


def _run(config: ReproduceConfig, jobs: int) -> int:
    if jobs == 1:
        return run_steps(steps_left(all_steps(config)))
    return next(filter(None, (run_chains(phase, jobs) for phase in all_phases(config))), 0)


def _write_tables(config: ReproduceConfig, path: Path) -> None:
    from training.reproduce.page import page
    from training.reproduce.plots import write_plots

    config.runs.mkdir(parents=True, exist_ok=True)
    pictures = write_plots(config, config.runs)
    tables = config.runs / "tables.md"
    command = ["python", "-m", "training.reproduce", str(path)]
    write_atomically(tables, page(config, command, pictures).encode())
    for written in (tables, *pictures):
        print(f"wrote {written}")


if __name__ == "__main__":
    sys.exit(main())
