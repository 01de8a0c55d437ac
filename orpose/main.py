"""Entry point of `orpose`: finds the subcommand, turns user errors into one line and exit code 2."""

from __future__ import annotations

import argparse
import errno
import importlib
import os
import select
import sys
from collections.abc import Sequence
from typing import NoReturn

from orpose_models.errors import OrposeError

#: Subcommand -> what it does. Each is a module `orpose/<name with _>.py` with `add_arguments(parser)` and `run(args)`.
COMMANDS = {
    "run": "images, a video or a bag -> results, overlay video and contact sheet (no ROS)",
    "replay": "play a bag through the node over DDS, record what it publishes, write a report",
    "bench": "latency, throughput and memory of the models on this machine, beside a peer",
    "calibrate": "the poses of several cameras, from a ChArUco board or from people they see at once",
    "synth": "render a labelled synthetic operating room",
    "pseudo-label": "label images with a teacher: soft and hard pseudo labels, 2D and 3D",
    "train": "train a student network from a configuration file",
    "evaluate": "compute a metric of results against annotations",
    "export": "turn trained weights into a static graph or an engine",
    "convert": "other people's weights (torchvision, detectron2, ORPose), or an .onnx file of ours -> our weights",
    "doctor": "what is installed, which backends work, and why not",
}


class _Parser(argparse.ArgumentParser):
    """One line for a usage error, as for every other user error."""

    def error(self, message: str) -> NoReturn:
        self.exit(2, f"{self.prog}: error: {message}; see {self.prog} --help\n")


class _Help(argparse.ArgumentDefaultsHelpFormatter):
    """Shows defaults that say something."""

    def _get_help_string(self, action: argparse.Action) -> str | None:
        return action.help if action.default in (None, False) else super()._get_help_string(action)


def build_parser(only: str | None = None) -> argparse.ArgumentParser:
    """The parser; with `only`, other subcommands' modules are not imported."""
    parser = _Parser(prog="orpose", description="Multi-person 2D and 3D pose in the operating room.")
    subparsers = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    for name, summary in COMMANDS.items():
        sub = subparsers.add_parser(name, help=summary, description=summary, formatter_class=_Help)
        if only in (None, name):
            module = importlib.import_module(f"orpose.{name.replace('-', '_')}")
            module.add_arguments(sub)
            sub.set_defaults(run=module.run)
    return parser


def _nobody_reads_stdout() -> bool:
    """Whether whoever read the output, say `head`, has seen enough; then nothing is said at exit either."""
    poller = select.poll()
    poller.register(sys.stdout.fileno(), 0)
    if not any(event & select.POLLERR for _, event in poller.poll(0)):
        return False
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    return True


def main(argv: Sequence[str] | None = None) -> int:
    """Runs one subcommand. Returns 0, 2 (user error, one line on stderr) or 1 (a defect, with its traceback)."""
    arguments = list(sys.argv[1:] if argv is None else argv)
    only = next((argument for argument in arguments if argument in COMMANDS), "")
    args = build_parser(only).parse_args(arguments)
    try:
        code = int(args.run(args) or 0)
        sys.stdout.flush()
        return code
    except BrokenPipeError:
        if not _nobody_reads_stdout():
            raise
        return 141
    except OrposeError as error:
        print(f"orpose {args.command}: {error}", file=sys.stderr)
        return 2
    except OSError as error:  # wherever the disk is full
        if error.errno not in (errno.ENOSPC, errno.EDQUOT):
            raise
        advice = "free the disk and run the same command again"
        print(f"orpose {args.command}: {error.filename or 'output'}: {error.strerror}; {advice}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        return 130


if __name__ == "__main__":
    sys.exit(main())
