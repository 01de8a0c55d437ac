"""What a source of images yields: a decoded frame, or why there is none."""

from __future__ import annotations

from dataclasses import dataclass

from numpy.typing import NDArray


@dataclass(frozen=True, eq=False)
class Frame:
    """One decoded frame.

    Attributes:
        index: Position in the source; unreadable frames count too.
        name: File name, `clip.mp4#000012`, or `/topic#stamp_ns`.
        image: As decoded: see `to_bgr8` for what it can be.
        decode_ms: How long reading and decoding took.
        stamp_ns: The header's stamp, where the source has stamps.
    """

    index: int
    name: str
    image: NDArray
    decode_ms: float
    stamp_ns: int | None = None


@dataclass(frozen=True)
class Unreadable:
    """One frame that could not be decoded, and why."""

    index: int
    name: str
    reason: str
