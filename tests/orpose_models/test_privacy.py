"""Core dumps and errors' texts of processes that hold images at full resolution."""

from __future__ import annotations

import os
import resource
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from orpose_models.errors import ImageError
from orpose_models.privacy import error_text

ROOT = Path(__file__).resolve().parents[2]


def unlimited_cores() -> None:
    hard = resource.getrlimit(resource.RLIMIT_CORE)[1]
    resource.setrlimit(resource.RLIMIT_CORE, (hard, hard))


def run(code: str, folder: Path) -> tuple[int, str]:
    """Wait status and stderr of a process that would leave a core dump if it may."""
    process = subprocess.Popen(
        [sys.executable, "-c", code],
        cwd=folder,
        env=os.environ | {"PYTHONPATH": str(ROOT)},
        stderr=subprocess.PIPE,
        text=True,
        preexec_fn=unlimited_cores,
    )
    assert process.stderr
    errors = process.stderr.read()
    _, status = os.waitpid(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    process.stderr.close()
    return status, errors


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells whether it dumped core")
def test_no_core_dump(tmp_path):
    status, _ = run("import os; os.abort()", tmp_path)
    if not os.WCOREDUMP(status):
        pytest.skip("this machine writes no core dumps at all")
    guarded = "import os; from orpose_models.privacy import guard_process; guard_process(); "
    status, _ = run(guarded + "os.abort()", tmp_path)
    assert not os.WCOREDUMP(status)
    raised_again = "import resource as r; r.setrlimit(r.RLIMIT_CORE, (r.getrlimit(r.RLIMIT_CORE)[1],) * 2); "
    status, _ = run(guarded + raised_again + "os.abort()", tmp_path)
    assert not os.WCOREDUMP(status), "a crash reporter does not care about the limit"


@pytest.mark.parametrize("where", ["fail()", "t = threading.Thread(target=fail); t.start(); t.join()"])
def test_tracebacks_show_lines_and_no_texts(tmp_path, where):
    code = f"import threading\ndef fail():\n    raise ValueError('12 34 56')\n{{}}\n{where}\n"
    _, errors = run(code.format(""), tmp_path)
    assert "12 34 56" in errors
    _, errors = run(code.format("from orpose_models.privacy import guard_process; guard_process()"), tmp_path)
    assert "Traceback" in errors and "ValueError" in errors and "line 3" in errors
    assert "12 34 56" not in errors


def test_hooks_that_somebody_else_set_stay(tmp_path):
    code = (
        "import sys; from orpose_models.privacy import guard_process\n"
        "sys.excepthook = lambda *what: print('mine', file=sys.stderr)\nguard_process()\n1 / 0"
    )
    assert run(code, tmp_path)[1] == "mine\n"


def test_what_is_said_of_an_error():
    own, image = ImageError("image is 0x0, which has no pixels"), np.full((2, 2), 171)
    assert error_text(own, 1) == error_text(own, 12) == "image is 0x0, which has no pixels"
    try:
        raise ValueError(f"cannot use {image!r}")
    except ValueError as error:
        assert "171" in error_text(error, 1)
        text = error_text(error, 12)
    assert "ValueError in test_privacy.py, line" in text
    assert "171" not in text
