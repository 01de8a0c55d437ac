"""The engine cache: with plain bytes, and with real engines where TensorRT-RTX, which needs no GPU, is installed."""

from __future__ import annotations

import contextlib
import dataclasses
import importlib.util
import os
import resource
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from orpose_models.errors import BackendError
from orpose_models.runtime.engine_cache import Engine, EngineCache, EngineKey, UnusableEngineError, default_folder

HAS_RTX = importlib.util.find_spec("tensorrt_rtx_bindings") is not None
KEY = EngineKey("tensorrt", "10.3.0", "sm87 Orin", "0" * 64, "fp16", (1, 480, 640, 3))
CONTENT = bytes(range(256)) * 40
#: `python -c WORKER folder file-that-gets-a-line-for-each-build seconds [model]`
WORKER = """
import sys, time, pathlib
from orpose_models.runtime.engine_cache import Engine, EngineCache, EngineKey
folder, builds, seconds, *model = sys.argv[1:]

def build():
    with open(builds, "a") as file:
        file.write("build\\n")
    time.sleep(float(seconds))
    if not model:
        return Engine(b"content" * 1000, "fp32")
    import tensorrt_rtx_bindings as trt
    from orpose_models.runtime.tensorrt_build import build_engine
    return build_engine(trt, pathlib.Path(model[0]), 86)

key = EngineKey("tensorrt", "10.3.0", "sm86", "1" * 64, "fp32", (1, 64, 64, 3))
print(EngineCache(folder).get(key, build, len).origin)
"""


class Builder:
    """Counts its builds."""

    def __init__(self, build: Callable[[], Engine]) -> None:
        self.count = 0
        self._build = build

    def __call__(self) -> Engine:
        self.count += 1
        return self._build()


@pytest.fixture(params=["bytes", pytest.param("tensorrt-rtx", marks=pytest.mark.skipif(not HAS_RTX, reason="no RTX"))])
def builder(request, tiny_graph) -> Builder:
    if request.param == "bytes":
        return Builder(lambda: Engine(CONTENT, "fp16"))
    trt = pytest.importorskip("tensorrt_rtx_bindings")
    from orpose_models.runtime.tensorrt_build import build_engine

    return Builder(lambda: build_engine(trt, tiny_graph("fp16"), 86))


@pytest.fixture
def cache(tmp_path) -> EngineCache:
    return EngineCache(tmp_path / "cache" / "orpose")


def test_built_once_then_loaded(cache, builder):
    first = cache.get(KEY, builder, bytes)
    second = cache.get(KEY, builder, bytes)
    assert builder.count == 1
    assert first.loaded == second.loaded != b""
    assert first.precision == second.precision == "fp16"
    assert first.origin == f"built (not built yet), stored as {cache.path(KEY)}"
    assert second.origin == f"loaded from {cache.path(KEY)}"


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("library", "tensorrt-rtx"),
        ("version", "10.3.1"),
        ("device", "sm86 Orin"),
        ("device", "sm87 another"),
        ("model_sha256", "1" * 64),
        ("precision", "fp32"),
        ("shape", (1, 240, 320, 3)),
    ],
)
def test_whatever_differs_is_another_engine(cache, name, value):
    other = dataclasses.replace(KEY, **{name: value})
    builder = Builder(lambda: Engine(CONTENT, "fp16"))
    cache.get(KEY, builder, bytes)
    cache.get(other, builder, bytes)
    assert builder.count == 2
    # Even a file that was renamed to fit is noticed.
    cache.path(KEY).replace(cache.path(other))
    assert "was built for something else" in cache.get(other, builder, bytes).origin
    assert builder.count == 3


@pytest.mark.parametrize(
    "damage",
    [
        lambda content: b"",
        lambda content: content[:10],
        lambda content: content[:30],
        lambda content: content[: len(content) // 2],
        lambda content: content[:-1],
        lambda content: content + b"x",
        lambda content: content[:-100] + bytes([content[-100] ^ 1]) + content[-99:],
        lambda content: b"\xff" * len(content),
        lambda content: content[:16] + b"\xff\xff\xff\xff" + content[20:],
        lambda content: content[:16] + b"\x02\x00\x00\x00[]" + content[22:],
    ],
    ids=["empty", "in the mark", "in the header", "half", "short", "long", "one bit", "other", "size", "no mapping"],
)
def test_a_damaged_file_is_built_anew(cache, builder, damage, caplog):
    content = cache.get(KEY, builder, bytes).loaded
    path = cache.path(KEY)
    path.write_bytes(damage(path.read_bytes()))
    again = cache.get(KEY, builder, bytes)
    assert builder.count == 2
    assert len(again.loaded) == len(content)
    assert str(path) in caplog.text
    assert cache.get(KEY, builder, bytes).origin.startswith("loaded")
    assert builder.count == 2


def test_an_engine_that_the_library_refuses_is_built_anew(cache):
    cache.get(KEY, lambda: Engine(b"old", "fp32"), bytes)

    def load(content: bytes) -> bytes:
        if content == b"old":
            raise UnusableEngineError("TensorRT refuses it")
        return content

    cached = cache.get(KEY, lambda: Engine(b"new", "fp32"), load)
    assert (cached.loaded, cached.origin.split(",")[0]) == (b"new", "built (TensorRT refuses it)")
    assert cache.get(KEY, lambda: Engine(b"unused", "fp32"), load).loaded == b"new"


def test_a_new_engine_that_the_library_refuses_is_an_error(cache):
    def refuse(content: bytes) -> bytes:
        raise UnusableEngineError("out of memory")

    with pytest.raises(BackendError, match=r"tensorrt 10.3.0 cannot load the engine it has just built: out of memory"):
        cache.get(KEY, lambda: Engine(CONTENT, "fp32"), refuse)


def test_a_build_that_fails_leaves_nothing_behind(cache, builder):
    def fail() -> Engine:
        raise BackendError("no")

    with pytest.raises(BackendError, match=r"^no$"):
        cache.get(KEY, fail, bytes)
    assert not list(cache.folder.glob("*.engine"))
    assert cache.get(KEY, builder, bytes).loaded


def test_a_full_disk(cache, builder, caplog):
    cache.folder.mkdir(parents=True)
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (4096, before[1]))  # the kernel refuses to let files grow further
    try:
        cached = cache.get(KEY, builder, bytes)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert len(cached.loaded) > 4096
    assert "not stored" in cached.origin
    assert "cannot be stored" in caplog.text
    assert not [path for path in cache.folder.iterdir() if not path.name.endswith(".lock")]


def test_a_folder_that_cannot_be_written(builder):
    cache = EngineCache("/proc/orpose")
    for _ in range(2):
        cached = cache.get(KEY, builder, bytes)
        assert cached.loaded
        assert "not stored" in cached.origin
    assert builder.count == 2


@contextlib.contextmanager
def without_privileges() -> Iterator[None]:
    """To root nothing is read-only."""
    if os.geteuid() != 0:
        yield
        return
    os.seteuid(65534)
    try:
        yield
    finally:
        os.seteuid(0)


def test_a_read_only_folder_is_still_read():
    with tempfile.TemporaryDirectory() as name:  # pytest's own folders are closed to others
        cache = EngineCache(name)
        cache.get(KEY, lambda: Engine(CONTENT, "fp16"), bytes)
        for lock in cache.folder.glob(".*.lock"):
            lock.unlink()
        cache.folder.chmod(0o555)
        try:
            with without_privileges():
                loaded = cache.get(KEY, lambda: Engine(b"unused", "fp16"), bytes)
                other = cache.get(dataclasses.replace(KEY, version="11"), lambda: Engine(b"new", "fp16"), bytes)
        finally:
            cache.folder.chmod(0o755)
        assert (loaded.loaded, loaded.origin.split()[0]) == (CONTENT, "loaded")
        assert (other.loaded, other.origin) == (b"new", "built (not built yet), not stored (Permission denied)")
        assert len(list(cache.folder.iterdir())) == 1


def test_a_file_in_the_folders_place(tmp_path):
    (tmp_path / "file").write_text("")
    cached = EngineCache(tmp_path / "file").get(KEY, lambda: Engine(CONTENT, "fp32"), bytes)
    assert "not stored" in cached.origin


def start(cache: EngineCache, builds: Path, seconds: float, *model: Path) -> subprocess.Popen[str]:
    command = [sys.executable, "-c", WORKER, str(cache.folder), str(builds), str(seconds), *map(str, model)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, text=True)


MODELS = ["bytes", pytest.param("tensorrt-rtx", marks=pytest.mark.skipif(not HAS_RTX, reason="no TensorRT-RTX"))]


@pytest.mark.parametrize("kind", MODELS)
def test_two_processes_build_once(cache, tmp_path, tiny_graph, kind):
    model = () if kind == "bytes" else (tiny_graph("fp32"),)
    processes = [start(cache, tmp_path / "builds", 0.5, *model) for _ in range(2)]
    said = sorted(process.communicate(timeout=250)[0].split()[0] for process in processes)
    assert [process.returncode for process in processes] == [0, 0]
    assert said == ["built", "loaded"]
    assert (tmp_path / "builds").read_text() == "build\n"


@pytest.mark.parametrize("kind", MODELS)
def test_killed_while_building(cache, tmp_path, tiny_graph, kind):
    model = () if kind == "bytes" else (tiny_graph("fp32"),)
    first = start(cache, tmp_path / "builds", 100, *model)
    while not (tmp_path / "builds").exists():
        assert first.poll() is None
        time.sleep(0.05)
    first.send_signal(signal.SIGKILL)
    first.communicate()
    # What one that is killed while it writes would leave.
    (stale,) = [path.with_name(path.name.replace(".lock", ".somewhere-1.part")) for path in cache.folder.iterdir()]
    stale.write_bytes(b"half")
    second = start(cache, tmp_path / "builds", 0, *model)
    assert second.communicate(timeout=250)[0].startswith("built")
    assert second.returncode == 0
    assert not stale.exists()
    assert len(list(cache.folder.glob("*.engine"))) == 1


def test_the_default_folder(monkeypatch, tmp_path):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "caches"))
    assert EngineCache().folder == tmp_path / "caches" / "orpose"
    monkeypatch.delenv("XDG_CACHE_HOME")
    monkeypatch.setenv("HOME", str(tmp_path))
    assert default_folder() == tmp_path / ".cache" / "orpose"
    assert EngineCache("~/engines").folder == tmp_path / "engines"


def test_file_names_are_readable_and_safe():
    name = dataclasses.replace(KEY, device="sm89 NVIDIA RTX 4000 SFF / Ada").file_name()
    assert name.startswith("tensorrt-10.3.0-sm89-NVIDIA-RTX-4000-SFF-Ada-fp16-1x480x640x3-")
    assert "/" not in name
