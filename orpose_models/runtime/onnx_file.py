"""The metadata of an .onnx file without the onnx package: the few lines of protobuf that it takes.

A Jetson has neither onnx nor torch, and an ONNX Runtime session made only to read six strings takes seconds.
"""

from __future__ import annotations

from pathlib import Path
from typing import BinaryIO

from orpose_models.errors import ModelError

#: Field numbers of ModelProto and StringStringEntryProto (onnx.proto), and protobuf's kinds of values on the wire.
_METADATA_PROPS, _KEY, _VALUE = 14, 1, 2
_VARINT, _FIXED64, _BYTES, _FIXED32 = 0, 1, 2, 5


def read_metadata(path: Path) -> dict[str, str]:
    """`metadata_props` of an ONNX file. The graph is skipped, not read.

    Raises:
        ModelError: The file cannot be read, is cut off or is no ONNX file.
    """
    try:
        size = path.stat().st_size
        with path.open("rb") as file:
            entries = list(_entries(file, size))
        return dict(entries)
    except (ValueError, EOFError) as error:
        raise ModelError(f"{path}: not a whole ONNX file ({error}); export or download it again") from None
    except OSError as error:
        raise ModelError(f"{path}: cannot be read ({error.strerror})") from None


def _entries(file: BinaryIO, size: int):
    if size == 0:
        raise ValueError("it is empty")
    while file.tell() < size:
        number, kind = _tag(file)
        if kind != _BYTES:
            _skip(file, kind, size)
            continue
        length = _varint(file)
        if file.tell() + length > size:
            raise EOFError(f"it ends after {size} bytes")
        if number == _METADATA_PROPS:
            yield _entry(file, file.tell() + length)
        else:
            file.seek(length, 1)


def _entry(file: BinaryIO, end: int) -> tuple[str, str]:
    fields = {_KEY: "", _VALUE: ""}
    while file.tell() < end:
        number, kind = _tag(file)
        if kind != _BYTES or number not in fields:
            raise ValueError("its metadata is damaged")
        fields[number] = file.read(_varint(file)).decode("utf-8")
    return fields[_KEY], fields[_VALUE]


def _tag(file: BinaryIO) -> tuple[int, int]:
    tag = _varint(file)
    number, kind = tag >> 3, tag & 7
    if not 1 <= number < 100 or kind not in (_VARINT, _FIXED64, _BYTES, _FIXED32):
        raise ValueError("its contents are something else")
    return number, kind


def _skip(file: BinaryIO, kind: int, size: int) -> None:
    if kind == _VARINT:
        _varint(file)
    else:
        file.seek(8 if kind == _FIXED64 else 4, 1)
    if file.tell() > size:
        raise EOFError(f"it ends after {size} bytes")


def _varint(file: BinaryIO) -> int:
    value = 0
    for shift in range(0, 70, 7):
        byte = file.read(1)
        if not byte:
            raise EOFError("it ends in the middle of a number")
        value |= (byte[0] & 0x7F) << shift
        if byte[0] < 0x80:
            return value
    raise ValueError("its contents are something else")
