"""Weight files: safetensors with the preset's name inside, and a YAML card beside them."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import yaml
from pydantic import ValidationError
from safetensors import SafetensorError, safe_open
from safetensors.torch import save

from orpose_models.errors import ConfigError, ModelError
from orpose_models.files import cannot_be_written, write_atomically
from orpose_models.network.conventions import Conventions
from orpose_models.network.presets import get_preset
from orpose_models.network.student import Student, build_student
from orpose_models.runtime.models import FORMAT_KEY
from orpose_models.settings import validation_message

#: With the key of exported graphs, this marks a safetensors file as ours; it has versions of its own.
FORMAT = "1"
PRESET_KEY = "orpose.preset"
#: Conventions that differ from ours, as JSON; absent where none does.
CONVENTIONS_KEY = "orpose.conventions"
#: What the lifters read; files without it are the paper's.
LIFTER_KEY = "orpose.lifter_input"
#: WIDTHxHEIGHT of the network's input that the weights are meant for, px; older files do not name it.
INPUT_SIZE_KEY = "orpose.input_size"
_WANTED = "give weights.safetensors of `orpose train` (not its checkpoint.pt), or what `orpose convert` wrote"


def save_weights(
    student: Student,
    path: str | Path,
    card: Mapping[str, Any] | None = None,
    input_size: tuple[int, int] | None = None,
) -> Path:
    """Writes the state dict and, beside it, the card `<name>.yaml` with preset, input size, sha256 and bytes added.

    The weights come last and by rename: where they are, they are whole and have their card.

    Args:
        student: Its weights are written.
        path: The `.safetensors` file.
        card: What the card says beside these facts.
        input_size: Width and height of the network's input that the weights are meant for, px; None where nobody knows.

    Returns:
        The card's path.

    Raises:
        InputError: A file cannot be written.
    """
    path = Path(path)
    tensors = {key: value.detach().cpu().contiguous() for key, value in student.state_dict().items()}
    preset = student.preset
    metadata = {FORMAT_KEY: FORMAT, PRESET_KEY: preset.name, LIFTER_KEY: preset.lifter_input}
    if own := preset.conventions.model_dump_json(exclude_defaults=True).removeprefix("{}"):
        metadata[CONVENTIONS_KEY] = own
    if input_size:
        metadata[INPUT_SIZE_KEY] = f"{input_size[0]}x{input_size[1]}"
    content = save(tensors, metadata=metadata)
    facts = {
        "preset": preset.name,
        "lifter_input": preset.lifter_input,
        **({"input_size": metadata[INPUT_SIZE_KEY]} if input_size else {}),
        "sha256": hashlib.sha256(content).hexdigest(),
        "bytes": len(content),
    }
    text = yaml.safe_dump({**(card or {}), **facts}, sort_keys=False, allow_unicode=True)
    card_path = path.with_suffix(".yaml")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise cannot_be_written(path, error) from None
    write_atomically(card_path, text.encode())
    write_atomically(path, content)
    return card_path


def load_student(path: str | Path) -> Student:
    """The student of a weight file, in evaluation mode.

    Raises:
        ModelError: the file is missing, corrupt, not ours, or does not fit its preset.
    """
    path = Path(path)
    with _opened(path) as handle:
        metadata = handle.metadata() or {}
        tensors = {key: handle.get_tensor(key) for key in handle.keys()}  # noqa: SIM118 (not a dict)
    if metadata.get(FORMAT_KEY) != FORMAT:
        found = metadata.get(FORMAT_KEY, "none")
        raise ModelError(f"{path}: not an orpose model: {FORMAT_KEY} is {found}, expected {FORMAT}")
    try:
        conventions = Conventions.model_validate_json(metadata.get(CONVENTIONS_KEY, "{}"))
        preset = get_preset(metadata.get(PRESET_KEY, "")).with_conventions(conventions)
        student = build_student(preset.with_lifter_input(metadata.get(LIFTER_KEY, "paper")))
        student.load_state_dict(tensors)
    except ConfigError as error:
        raise ModelError(f"{path}: {error}") from None
    except ValidationError as error:
        raise ModelError(
            f"{path}: {CONVENTIONS_KEY}: {validation_message(error)}; a newer orpose may read it"
        ) from None
    except RuntimeError as error:
        detail = " ".join(str(error).split())[:300]
        raise ModelError(f"{path}: weights do not fit preset {student.preset.name!r}: {detail}") from None
    return student.eval()


def read_input_size(path: str | Path) -> tuple[int, int] | None:
    """Width and height of the network's input that a weight file is meant for, px; None where it does not say.

    Raises:
        ModelError: the file is missing or corrupt, or names something that is no size.
    """
    path = Path(path)
    with _opened(path) as handle:
        text = (handle.metadata() or {}).get(INPUT_SIZE_KEY)
    if text is None:
        return None
    size = re.fullmatch(r"([1-9]\d*)x([1-9]\d*)", text)
    if size is None:
        raise ModelError(f"{path}: {INPUT_SIZE_KEY} is {text!r}, expected WIDTHxHEIGHT; convert or train it again")
    return int(size[1]), int(size[2])


@contextmanager
def _opened(path: Path) -> Iterator[Any]:
    """A safetensors file for reading. Raises ModelError where it is missing or corrupt."""
    if not path.is_file():
        raise ModelError(f"{path}: no such weight file; {_WANTED}")
    try:
        with safe_open(str(path), framework="pt") as handle:
            yield handle
    except (SafetensorError, OSError, ValueError) as error:
        raise ModelError(f"{path}: not a readable safetensors file ({error}); copy it again, or {_WANTED}") from None
