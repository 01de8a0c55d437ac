"""Built engines on disk: found again, checked, rebuilt when anything differs, never in the way.

An engine only fits the model, library version, GPU, precision and shape it was built for. All of these are in its key,
the key is in its file, and so is a checksum: whatever does not fit is built anew and replaces the file by an atomic
rename. A lock per engine lets the second of two processes wait for the first one's result; it ends with its process,
however that ends. Where nothing can be stored (full disk, read-only folder) the engine is used all the same and built
again at the next start, which a warning says.
"""

from __future__ import annotations

import contextlib
import dataclasses
import fcntl
import hashlib
import json
import logging
import os
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, Generic, TypeVar

from orpose_models.errors import BackendError
from orpose_models.files import remove_if_possible, temporary_path

_log = logging.getLogger(__name__)
_MAGIC = b"orpose engine 1\n"
_HEADER_SIZE_BYTES = 4
_CHUNK_BYTES = 1 << 20

T = TypeVar("T")


@dataclass(frozen=True)
class EngineKey:
    """What an engine was built from and for; it fits nothing else.

    Attributes:
        library: What built it, `tensorrt`.
        version: That library's version.
        device: Compute capability and name of the GPU, `sm87 Orin`.
        model_sha256: Of the whole model file.
        precision: Of the arithmetic, as the model file asks for it.
        shape: Of the input, `(1, H, W, 3)`.
    """

    library: str
    version: str
    device: str
    model_sha256: str
    precision: str
    shape: tuple[int, ...]

    def file_name(self) -> str:
        """Readable, and different for every key."""
        digest = hashlib.sha256(json.dumps(self._as_json()).encode()).hexdigest()[:16]
        shape = "x".join(str(side) for side in self.shape)
        readable = f"{self.library}-{self.version}-{self.device}-{self.precision}-{shape}"
        return f"{re.sub(r'[^A-Za-z0-9.]+', '-', readable)[:120]}-{digest}.engine"

    def _as_json(self) -> dict[str, object]:
        return {**dataclasses.asdict(self), "shape": list(self.shape)}


@dataclass(frozen=True)
class Engine:
    """A built engine.

    Attributes:
        content: The library's own serialised form.
        precision: Really built: the arithmetic of its heavy layers.
    """

    content: bytes
    precision: str


@dataclass(frozen=True)
class CachedEngine(Generic[T]):
    """An engine ready for use.

    Attributes:
        loaded: What `load` gave.
        precision: Really built.
        origin: For people: whether it was loaded or built, and where it lies.
    """

    loaded: T
    precision: str
    origin: str


class UnusableEngineError(Exception):
    """The library refuses to load an engine."""


class _DamagedError(Exception):
    pass


def default_folder() -> Path:
    """`$XDG_CACHE_HOME/orpose`, or `~/.cache/orpose` where that is not set."""
    base = os.environ.get("XDG_CACHE_HOME")
    return (Path(base) if base else Path.home() / ".cache") / "orpose"


class EngineCache:
    """A folder of engines.

    Args:
        folder: `default_folder()` unless given.
    """

    def __init__(self, folder: str | Path = "") -> None:
        self.folder = Path(folder).expanduser() if folder else default_folder()

    def path(self, key: EngineKey) -> Path:
        return self.folder / key.file_name()

    def get(self, key: EngineKey, build: Callable[[], Engine], load: Callable[[bytes], T]) -> CachedEngine[T]:
        """The engine for a key: from its file, or built and stored.

        Args:
            key: What the engine must fit.
            build: Makes it; may take minutes.
            load: Gives the library the serialised engine. Raises UnusableEngineError if the library refuses it.

        Raises:
            BackendError: Not even a new engine can be loaded. What `build` raises passes through.
        """
        path = self.path(key)
        with exclusive(path):
            try:
                engine = _read(path, key)
                return CachedEngine(load(engine.content), engine.precision, f"loaded from {path}")
            except FileNotFoundError:
                reason = "not built yet"
            except (_DamagedError, UnusableEngineError) as error:
                reason = str(error)
            except OSError as error:
                reason = f"cannot be read ({error.strerror})"
            _log.warning("%s: %s; building it, which can take minutes", path, reason)
            engine = build()
            stored = _store(path, key, engine)
        try:
            return CachedEngine(load(engine.content), engine.precision, f"built ({reason}), {stored}")
        except UnusableEngineError as error:
            raise BackendError(
                f"{key.library} {key.version} cannot load the engine it has just built: {error}"
            ) from None


@contextlib.contextmanager
def exclusive(path: Path) -> Iterator[None]:
    """Holds the lock of an entry. Where there can be none (read-only folder, a file system without locks), goes on."""
    with contextlib.ExitStack() as stack:
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            file = stack.enter_context(path.with_name(f".{path.name}.lock").open("ab"))
            _lock(file, path)
        except OSError as error:
            _log.info("%s: no lock (%s); two processes may build the same engine", path, error.strerror)
        yield


def _lock(file: BinaryIO, path: Path) -> None:
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        _log.warning("%s: another process is building or loading it; waiting", path)
        fcntl.flock(file, fcntl.LOCK_EX)


def _read(path: Path, key: EngineKey) -> Engine:
    with path.open("rb") as file:
        if file.read(len(_MAGIC)) != _MAGIC:
            raise _DamagedError("is no engine file of this version of orpose")
        header = _read_header(file)
        if header.get("key") != key._as_json():
            raise _DamagedError("was built for something else")
        content = file.read()
    if hashlib.sha256(content).hexdigest() != header.get("sha256"):
        raise _DamagedError("is damaged")
    return Engine(content, str(header.get("precision")))


def _read_header(file: BinaryIO) -> dict[str, object]:
    size = int.from_bytes(file.read(_HEADER_SIZE_BYTES), "little")
    try:
        header = json.loads(file.read(min(size, _CHUNK_BYTES)))
    except ValueError:
        raise _DamagedError("is damaged") from None
    if not isinstance(header, dict):
        raise _DamagedError("is damaged")
    return header


def _store(path: Path, key: EngineKey, engine: Engine) -> str:
    """Writes an entry; what came of it, for people."""
    header = {
        "key": key._as_json(),
        "precision": engine.precision,
        "sha256": hashlib.sha256(engine.content).hexdigest(),
    }
    header_bytes = json.dumps(header).encode()
    temporary = temporary_path(path)
    try:
        for stale in path.parent.glob(f".{path.name}.*.part"):  # of processes that were killed
            remove_if_possible(stale)
        with temporary.open("wb") as file:
            file.write(_MAGIC + len(header_bytes).to_bytes(_HEADER_SIZE_BYTES, "little") + header_bytes)
            file.write(engine.content)
        os.replace(temporary, path)
    except OSError as error:
        remove_if_possible(temporary)
        _log.warning("%s: cannot be stored (%s); the next start builds it again", path, error.strerror)
        return f"not stored ({error.strerror})"
    return f"stored as {path}"
