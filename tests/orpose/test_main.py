"""The command as a user meets it: exit codes, one line for user errors, and help that names units and defaults."""

from __future__ import annotations

import argparse
import errno
import os
import re
import subprocess
import sys
import types
from pathlib import Path

import pytest

from orpose import main as command
from orpose_models import errors

ROOT = Path(__file__).resolve().parents[2]
#: Words of which a number's help must have one: what it is measured in, or what it counts.
UNITS = re.compile(
    r"\b(px|mm|m|metres?|ms|s|seconds?|minutes?|fps|Hz|frames?|images?|persons?|people|cores?|threads?|process(es)?|workers?"
    r"|steps?|epochs?|times?|runs?|views?|lines?|degrees?|MiB|GiB|batch|size|seed|port|domain|share|factor|columns?)\b"
    r"|\d ?x\b|\[0, ?1\]|\b0\s*(-|–|to)\s*1\b|%",
    re.IGNORECASE,
)


def run_command(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "orpose", *arguments], cwd=ROOT, capture_output=True, text=True, timeout=120
    )


def subparser(name: str) -> argparse.ArgumentParser:
    parser = command.build_parser(name)
    action = next(a for a in parser._actions if isinstance(a, argparse._SubParsersAction))
    return action.choices[name]


@pytest.fixture
def fake_command(monkeypatch):
    """Replaces `orpose doctor` by one that does what the test says."""

    def install(run):
        module = types.ModuleType("orpose.doctor")
        module.add_arguments = lambda parser: None
        module.run = run
        monkeypatch.setitem(sys.modules, "orpose.doctor", module)

    return install


@pytest.mark.parametrize(("returned", "code"), [(0, 0), (None, 0), (1, 1), (2, 2)])
def test_the_subcommands_return_value_is_the_exit_code(fake_command, returned, code):
    fake_command(lambda args: returned)
    assert command.main(["doctor"]) == code


@pytest.mark.parametrize("name", [None, "out/log.jsonl"])
def test_a_full_disk_is_a_user_error(fake_command, capsys, name):
    def run(args):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), name)

    fake_command(run)
    assert command.main(["doctor"]) == 2
    advice = "No space left on device; free the disk and run the same command again"
    assert capsys.readouterr().err == f"orpose doctor: {name or 'output'}: {advice}\n"


@pytest.mark.parametrize(
    ("failed", "is_the_users"),
    [
        ("mine/new", True),
        ("mine", True),
        (".orpose-run-x1", True),
        ("mine/new/log.jsonl", True),
        ("mine/new/a/b", False),
        ("elsewhere/weights", False),
        ("input.mp4", False),
        (None, False),
    ],
)
def test_an_output_that_cannot_be_made_is_a_user_error(fake_command, capsys, failed, is_the_users):
    """Other trouble of the system is a defect."""

    def run(args):
        args.out = Path("mine/new")
        raise OSError(errno.EROFS, os.strerror(errno.EROFS), failed)

    fake_command(run)
    if not is_the_users:
        with pytest.raises(OSError, match="Read-only file system"):
            command.main(["doctor"])
        return
    assert command.main(["doctor"]) == 2
    expected = f"orpose doctor: mine/new: cannot be written ({failed}: Read-only file system); choose another --out\n"
    assert capsys.readouterr().err == expected


@pytest.mark.parametrize("words", [["run", "samples/or_clip"], ["train", "training/configs/reduced/undistilled.yaml"]])
@pytest.mark.parametrize("out", ["/sys/xx", "/proc/xx/results"])
def test_where_nothing_can_be_made_is_one_line(words, out, capfd, monkeypatch):
    monkeypatch.chdir(ROOT)
    assert command.main([*words, "--out", out]) == 2
    error = capfd.readouterr().err
    assert error.startswith(f"orpose {words[0]}: {out}: cannot be ")
    assert error.endswith("; choose another --out\n")
    assert error.count("\n") == 1


@pytest.mark.parametrize(
    "error_class",
    [c for c in vars(errors).values() if isinstance(c, type)],
    ids=lambda error_class: error_class.__name__,
)
def test_a_user_error_is_one_line_and_exit_code_2(fake_command, capsys, error_class):
    def run(args):
        raise error_class("clip.mp4: no such file, expected a video; check the path")

    fake_command(run)
    assert command.main(["doctor"]) == 2
    captured = capsys.readouterr()
    assert captured.err == "orpose doctor: clip.mp4: no such file, expected a video; check the path\n"
    assert captured.out == ""


def test_a_defect_is_not_hidden(fake_command):
    def run(args):
        raise KeyError("a programming mistake")

    fake_command(run)
    with pytest.raises(KeyError):
        command.main(["doctor"])


def test_unknown_subcommand_exits_2_and_names_the_known_ones():
    ended = run_command("dance")
    assert ended.returncode == 2
    assert ended.stdout == ""
    last_line = ended.stderr.splitlines()[-1]
    assert "dance" in last_line
    assert all(name in last_line for name in command.COMMANDS)
    assert "Traceback" not in ended.stderr


def test_no_subcommand_exits_2():
    ended = run_command()
    assert ended.returncode == 2
    assert "COMMAND" in ended.stderr.splitlines()[-1]


def test_help_lists_every_subcommand():
    ended = run_command("--help")
    assert ended.returncode == 0
    assert ended.stderr == ""
    assert all(name in ended.stdout for name in command.COMMANDS)


def test_the_help_of_all_subcommands_imports_nothing_heavy():
    code = (
        "import sys\n"
        "from orpose.main import COMMANDS, build_parser\n"
        "for name in COMMANDS: build_parser(name).format_help()\n"
        "heavy = sorted({'torch', 'onnxruntime', 'openvino', 'cv2', 'rclpy'} & set(sys.modules))\n"
        "sys.exit(f'loaded {heavy}' if heavy else 0)\n"
    )
    ended = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, timeout=120)
    assert ended.returncode == 0, ended.stderr


@pytest.mark.parametrize("name", command.COMMANDS)
def test_help_of_a_subcommand_exits_0(name, capsys):
    with pytest.raises(SystemExit) as ended:
        command.main([name, "--help"])
    captured = capsys.readouterr()
    assert ended.value.code == 0
    assert captured.out.startswith(f"usage: orpose {name}")
    assert captured.err == ""


@pytest.mark.parametrize("name", command.COMMANDS)
def test_every_argument_has_help_with_unit_and_default(name):
    parser = subparser(name)
    text = " ".join(parser.format_help().split())
    for action in parser._actions:
        where = f"orpose {name} {'/'.join(action.option_strings) or action.dest}"
        assert action.help, f"{where}: no help text"
        if action.option_strings and action.default not in (None, False, argparse.SUPPRESS, []):
            assert f"(default: {action.default})" in text, f"{where}: the help does not give the default"
        if action.type in (int, float):
            assert UNITS.search(action.help), f"{where}: the help {action.help!r} names no unit"


@pytest.mark.parametrize("name", command.COMMANDS)
def test_an_unknown_option_exits_2(name, capsys):
    with pytest.raises(SystemExit) as ended:
        command.main([name, "--no-such-option"])
    assert ended.value.code == 2
    assert re.fullmatch(rf"orpose( {name})?: error: .*", capsys.readouterr().err.splitlines()[-1])


def run_stand_in(body: str, stdout: int) -> subprocess.CompletedProcess[str]:
    """`orpose doctor` with another body, in a process of its own."""
    code = (
        "import sys, types\n"
        "from orpose import main as command\n"
        f"def run(args):\n    {body}\n"
        "sys.modules['orpose.doctor'] = types.SimpleNamespace(add_arguments=lambda parser: None, run=run)\n"
        "sys.exit(command.main(['doctor']))\n"
    )
    return subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, stdout=stdout, stderr=subprocess.PIPE, text=True, timeout=120
    )


def test_output_that_nobody_reads_any_more_is_no_defect():
    reader, writer = os.pipe()
    os.close(reader)
    ended = run_stand_in("print('row')", writer)
    os.close(writer)
    assert ended.stderr == ""
    assert ended.returncode == 141


def test_another_broken_pipe_is_a_defect():
    ended = run_stand_in("raise BrokenPipeError('of a worker')", subprocess.DEVNULL)
    assert "of a worker" in ended.stderr
    assert ended.returncode == 1


def test_a_torchvision_for_another_torch_is_a_user_error(fake_command, capsys):
    """What torch says then; any other RuntimeError is a defect."""

    def run(args):
        raise RuntimeError("operator torchvision::nms does not exist")

    fake_command(run)
    assert command.main(["doctor"]) == 2
    assert "torch and torchvision are not built for each other" in capsys.readouterr().err

    def fail(args):
        raise RuntimeError("something else")

    fake_command(fail)
    with pytest.raises(RuntimeError, match="something else"):
        command.main(["doctor"])


def test_replay_notices_a_folder_in_the_place_of_its_bag_before_playing(tmp_path, capsys):
    (tmp_path / "out/bag").mkdir(parents=True)
    (tmp_path / "out/bag/notes.txt").touch()
    assert command.main(["replay", "camera.mcap", "--out", str(tmp_path / "out")]) == 2
    assert "out/bag: holds something else than a bag (no metadata.yaml)" in capsys.readouterr().err
