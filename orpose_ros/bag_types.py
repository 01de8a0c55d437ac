"""The messages of orpose for recordings: their definitions go into the file, so that any tool can read it."""

from __future__ import annotations

from pathlib import Path

import orpose_msgs
from rosbags.typesys import Stores, get_types_from_msg, get_typestore
from rosbags.typesys.store import Typestore

from orpose_models.errors import InputError


def typestore() -> Typestore:
    """rosbags' types of the standard messages, and ours: a new one each time, for the caller to add to.

    Raises:
        InputError: orpose_msgs is installed without its .msg files.
    """
    store = get_typestore(Stores.LATEST)
    types = {}
    for path in sorted(message_folder().glob("*.msg")):
        types.update(get_types_from_msg(path.read_text(encoding="utf-8"), f"orpose_msgs/msg/{path.stem}"))
    store.register(types)
    return store


def message_folder() -> Path:
    """Where the .msg files were installed: share/ of the prefix that the Python package lies in."""
    package = Path(orpose_msgs.__path__[0])
    for parent in package.parents:
        if (folder := parent / "share/orpose_msgs/msg").is_dir():
            return folder
    raise InputError(f"{package}: no share/orpose_msgs/msg in a folder above; build orpose_msgs again (`make msgs`)")
