"""Models of the transformers library: from a folder, or by name from its hub."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

from orpose_models.errors import BackendError, ModelError


def transformers_library() -> Any:
    """The module. Raises: BackendError, if it is not installed."""
    try:
        import transformers
    except ImportError:
        raise BackendError("transformers: not installed; run: pip install 'orpose[teacher]'") from None
    transformers.utils.logging.set_verbosity_error()
    transformers.utils.logging.disable_progress_bar()
    logging.getLogger("huggingface_hub").setLevel(logging.ERROR)  # it tells of every retry; the error says it once
    return transformers


def from_pretrained(kind: Any, model: str, **options: Any) -> Any:
    """`kind.from_pretrained(model)`: a folder, or a name that is in the cache or fetched.

    Raises:
        ModelError: It is not there and cannot be fetched, or is damaged, or is another kind of model.
    """
    if Path(model).is_dir():
        trouble, advice = "not a readable model", "copy the whole folder again"
    else:
        trouble = "no such folder, and the hub does not give it"
        advice = f"where there is network: hf download {model} --local-dir DIR; then give the path of DIR"
    try:
        loaded = kind.from_pretrained(model, **options)
    except Exception as error:  # of many libraries: hub, safetensors, json, torch
        reason = (str(error).strip().splitlines() or [type(error).__name__])[0][:200]
        raise ModelError(f"{model}: {trouble} ({reason}); {advice}") from None
    network, told = loaded if isinstance(loaded, tuple) else (loaded, {})
    if wrong := sorted(map(str, [*told.get("missing_keys", ()), *told.get("mismatched_keys", ())])):
        shown = ", ".join(wrong[:3])
        raise ModelError(f"{model}: {len(wrong)} weights are missing or of another shape ({shown}); {advice}")
    return network
