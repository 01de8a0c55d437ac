"""Files that are there whole or not at all, whoever is killed while writing."""

from __future__ import annotations

import contextlib
import hashlib
import os
import socket
from collections.abc import Iterable
from pathlib import Path

from orpose_models.errors import InputError

_CHUNK_BYTES = 1 << 20


def temporary_path(path: Path) -> Path:
    """Where to write before the rename to `path`: in its folder, a name that no other process of any machine takes."""
    return path.with_name(f".{path.name}.{socket.gethostname()}-{os.getpid()}.part")


def write_atomically(path: Path, content: bytes) -> None:
    """Writes a file under a temporary name first, so that a half one never has its name.

    Raises:
        InputError: It cannot be written.
    """
    temporary = temporary_path(path)
    try:
        temporary.write_bytes(content)
        os.replace(temporary, path)
    except OSError as error:
        remove_if_possible(temporary)
        raise cannot_be_written(path, error) from None


def cannot_be_written(path: Path, error: OSError) -> InputError:
    """The error to raise, with a reason and advice."""
    return InputError(f"{path}: cannot be written ({error.strerror}); free the disk or choose another --out")


def remove_if_possible(path: Path) -> None:
    """Removes a file after an error, which counts: where files cannot be removed either, this stays silent."""
    with contextlib.suppress(OSError):
        path.unlink(missing_ok=True)


def remove_temporaries(folder: Path) -> None:
    """Removes what killed processes left in `folder`."""
    for path in folder.glob(".*.part"):
        path.unlink(missing_ok=True)


def file_sha256(path: str | Path) -> str:
    """SHA-256 of a file, hexadecimal, read in parts."""
    digest = hashlib.sha256()
    with open(path, "rb") as file:
        while chunk := file.read(_CHUNK_BYTES):
            digest.update(chunk)
    return digest.hexdigest()


def sources_sha256(*packages: str) -> str:
    """SHA-256 of the Python files of packages in this one ("network"): what was made by other code is known by it."""
    root, digest = Path(__file__).parent, hashlib.sha256()
    for path in sorted(path for package in packages for path in (root / package).glob("*.py")):
        digest.update(path.read_bytes())
    return digest.hexdigest()


def image_folder(labels: Path, names: Iterable[str]) -> Path | None:
    """The folder that image names of a label file start from: its own or `images` in that; None if in neither.

    Args:
        labels: The label file.
        names: Its images' names; the first one that is there decides.
    """
    folders = (labels.parent, labels.parent / "images")
    return next((folder for name in names for folder in folders if (folder / name).is_file()), None)


def check_picture_name(out: Path, option: str = "--contact-sheet") -> None:
    """Raises InputError if a picture cannot have this name, so that this shows before it is made.

    Args:
        out: The picture.
        option: The option that names it, for the error.
    """
    if out.suffix.lower() not in (".png", ".jpg", ".jpeg"):
        raise InputError(f"{out}: expected a file name that ends in .png or .jpg for {option}")
    if out.is_dir():
        raise InputError(f"{out}: is a folder; give the picture's name with {option}")
    if any(parent.exists() and not parent.is_dir() for parent in out.parents):
        raise InputError(f"{out}: cannot be written (not in a folder); choose another {option}")
