"""The JSON beside a model file that cannot hold its own metadata: `model.engine.json` describes `model.engine`."""

from __future__ import annotations

import json
from pathlib import Path

from orpose_models.errors import ModelError
from orpose_models.files import file_sha256

#: What built the file, and its version; the GPU it was built for.
BUILT_BY_KEY, GPU_KEY = "orpose.built_by", "orpose.gpu"
_SHA256_KEY = "orpose.sha256"
#: In an .xml file: the sha256 of its .bin. Files from before this was kept name none.
BIN_SHA256_KEY = "orpose.bin_sha256"


def description_path(path: Path) -> Path:
    """Where the description of a file lies: `model.engine` -> `model.engine.json`."""
    return path.with_name(path.name + ".json")


def read_description(path: Path) -> dict[str, str]:
    """What the JSON beside `path` says, checked to be of this very file.

    Raises:
        ModelError: No such JSON, one that cannot be read, or one of another file: their sha256 differ.
    """
    beside = description_path(path)
    try:
        found = json.loads(beside.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise ModelError(f"{path}: {beside.name} is not beside it; copy both files, or export again") from None
    except OSError as error:
        raise ModelError(f"{beside}: cannot be read ({error.strerror})") from None
    except ValueError as error:
        raise ModelError(f"{beside}: not JSON ({error}); copy both files again, or export again") from None
    if not isinstance(found, dict) or not all(isinstance(value, str) for value in found.values()):
        raise ModelError(f"{beside}: expected one JSON object of texts, as `orpose export` writes it; export again")
    expected, actual = found.get(_SHA256_KEY, "none"), file_sha256(path)
    if actual != expected:
        raise ModelError(
            f"{path}: its sha256 is {actual[:12]}..., {beside.name} says {expected[:12]}: damaged, or another file's "
            "JSON; copy both files again, or export again"
        )
    return found
