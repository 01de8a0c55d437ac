"""Bulk work in this process and in a pool: all items once, few in flight, errors and deaths told in one line.

Ray's side is in test_bulk_ray.py.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import textwrap
import time
from functools import partial
from pathlib import Path

import psutil
import pytest

from orpose_models import bulk
from orpose_models.bulk import map_items, usable_cpus, worker_number
from orpose_models.errors import BackendError, ConfigError, InputError, WorkerError

ROOT = Path(__file__).resolve().parents[2]


def make_square(log: Path | None = None):
    """A worker that squares; every worker made leaves a line in `log`."""
    if log:
        with log.open("a") as file:
            file.write(f"{os.getpid()}\n")
    return lambda number: number * number


def make_broken():
    raise InputError("no assets here")


def make_trouble(kind: str):
    def work(number: int) -> int:
        if number == 5:
            if kind == "user":
                raise InputError("item 5 has no file")
            if kind == "defect":
                raise ZeroDivisionError("item 5")
            os.kill(os.getpid(), signal.SIGKILL)
        return number

    return work


@pytest.mark.parametrize("workers", [1, 2])
def test_every_item_is_done_once_and_assets_are_loaded_once_a_process(tmp_path, workers):
    log = tmp_path / "log"
    results = list(map_items(range(40), partial(make_square, log), workers=workers))
    assert sorted(results) == [number * number for number in range(40)]
    made = log.read_text().split()
    assert 1 <= len(made) <= workers and len(set(made)) == len(made)


def test_items_may_be_anything_and_none(tmp_path):
    assert list(map_items([], partial(make_square, tmp_path / "log"), workers=2)) == []
    assert list(map_items([3], make_square, workers=8)) == [9]


def test_few_items_are_in_flight(monkeypatch):
    """Ten million items are handed over a few at a time, as results are taken."""
    submitted = []
    submit = bulk.ProcessPoolExecutor.submit

    def counted(self, function, item):
        submitted.append(item)
        return submit(self, function, item)

    monkeypatch.setattr(bulk.ProcessPoolExecutor, "submit", counted)
    results = map_items(range(10_000_000), make_square, workers=2)
    for taken in range(1, 50):
        next(results)
        assert len(submitted) <= taken + 2 * 2
    results.close()


@pytest.mark.parametrize("workers", [1, 2])
@pytest.mark.parametrize(("kind", "error"), [("user", InputError), ("defect", ZeroDivisionError)])
def test_an_items_error_is_raised(workers, kind, error):
    with pytest.raises(error, match="item 5"):
        list(map_items(range(1000), partial(make_trouble, kind), workers=workers))


def test_an_error_of_the_assets_is_raised():
    with pytest.raises(InputError, match="no assets here"):
        list(map_items(range(9), make_broken, workers=2))


def test_a_killed_worker_is_told(recwarn):
    with pytest.raises(WorkerError, match=r"a worker process died.*again to continue.*fewer than 2 workers"):
        list(map_items(range(100), partial(make_trouble, "kill"), workers=2))


@pytest.mark.parametrize("workers", [0, -3])
def test_workers_are_counted_from_one(workers):
    with pytest.raises(ConfigError, match=f"workers: got {workers}"):
        map_items(range(3), make_square, workers=workers)


def make_numbered():
    """Says which worker it is; slow enough for the other one to get items too."""

    def work(_: int) -> int:
        time.sleep(0.05)
        return worker_number()

    return work


def test_workers_are_numbered():
    assert set(map_items(range(40), make_numbered, workers=2)) == {0, 1}
    assert set(map_items(range(3), make_numbered, workers=1)) == {0}


def test_gpus_without_a_cluster_are_refused():
    with pytest.raises(ConfigError, match=r"gpus: got 0\.5 without a cluster"):
        map_items(range(3), make_square, workers=2, gpus=0.5)


def test_workers_and_cluster_exclude_each_other():
    with pytest.raises(ConfigError, match="exclude each other"):
        map_items(range(3), make_square, workers=2, cluster="auto")


def test_a_missing_ray_names_the_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "ray", None)
    with pytest.raises(BackendError, match=r"pip install 'orpose\[ray\]'"):
        list(map_items(range(3), make_square, cluster="auto"))


def test_usable_cpus_are_those_of_this_process():
    assert usable_cpus() == len(psutil.Process().cpu_affinity())


SLEEPERS = """
    import time
    from orpose_models.bulk import map_items

    def sleep(number):
        time.sleep(0.0 if number < 4 else 600.0)
        return number

    def make():
        return sleep

    if __name__ == "__main__":
        for number in map_items(range(10_000_000), make, workers=2):
            print(number, flush=True)
"""


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGKILL])
def test_workers_end_with_the_parent(tmp_path, number):
    """Ctrl-C, as the terminal sends it to all, or a killed parent: no process stays behind."""
    script = tmp_path / "script.py"
    script.write_text(textwrap.dedent(SLEEPERS))
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    parent = subprocess.Popen([sys.executable, script], env=environment, start_new_session=True, **pipes)
    assert sorted(parent.stdout.readline().strip() for _ in range(4)) == ["0", "1", "2", "3"]
    children = psutil.Process(parent.pid).children(recursive=True)
    assert len(children) >= 2
    if number == signal.SIGINT:
        os.killpg(parent.pid, number)
    else:
        parent.kill()
    _, errors = parent.communicate(timeout=30)
    assert errors.count("Traceback") == (1 if number == signal.SIGINT else 0)  # the parent's KeyboardInterrupt
    _, alive = psutil.wait_procs(children, timeout=20)
    assert alive == []
