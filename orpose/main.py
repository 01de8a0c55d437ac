"""Entry point of `orpose`: finds the subcommand, turns user errors into one line and exit code 2."""

from __future__ import annotations

import argparse
import errno
import importlib
import os
import select
import sys
from collections.abc import Sequence
from pathlib import Path
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
#: torchvision's operators are missing where it was built for another torch, say a CPU one of another index.
TORCH_PAIR = (
    "torch and torchvision are not built for each other; install both from one index, in versions that belong together "
    "(pyproject.toml, extra dev, has a pair)"
)
#: Options of subcommands that name what is written.
_OUTPUTS = ("out", "json", "plot", "plots", "picture", "contact_sheet", "bag")


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


def _output_problem(args: argparse.Namespace, error: OSError) -> str | None:
    """What the user can mend: a full disk, an output that cannot be made. None: the error is a defect."""
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return f"{error.filename or 'output'}: {error.strerror}; free the disk and run the same command again"
    if not isinstance(error.filename, str):
        return None
    failed = Path(error.filename).absolute()
    for option in _OUTPUTS:
        output = getattr(args, option, None)
        path = Path(output or "").absolute()
        # The output, a folder on the way to it, a file directly in it, or a temporary one beside one of these: an
        # input that lies there, too, is not.
        is_temporary = failed.name.startswith(".") and path.is_relative_to(failed.parent)
        if output and (path.is_relative_to(failed) or failed.parent == path or is_temporary):
            advice = f"choose another --{option.replace('_', '-')}"
            return f"{output}: cannot be written ({error.filename}: {error.strerror}); {advice}"
    return None


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
    except OSError as error:
        if (problem := _output_problem(args, error)) is None:
            raise
        print(f"orpose {args.command}: {problem}", file=sys.stderr)
        return 2
    except RuntimeError as error:
        if "torchvision::" not in str(error):
            raise
        print(f"orpose {args.command}: {TORCH_PAIR}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        return 130


if __name__ == "__main__":
    sys.exit(main())
