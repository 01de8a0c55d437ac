"""What an exported file says about itself, inside or in a JSON beside it. Needs neither torch nor onnx."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field

from orpose_models.files import file_sha256
from orpose_models.runtime.description import description_path
from orpose_models.runtime.models import FORMAT

#: Prefix of our keys; `orpose.format` marks a file as ours.
PREFIX = "orpose."
#: What further is kept of the student that an .onnx file was made of (origin.py).
ORIGIN_KEY = PREFIX + "student"


class ModelMetadata(BaseModel):
    """Facts written into an exported graph, each under `orpose.<name>`."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    format: str = Field(FORMAT, description="version of the graph's inputs and outputs")
    preset: str = Field(description="network preset")
    model_id: str = Field(description="name@first 8 hex digits of the weights' sha256")
    input_size: str = Field(pattern=r"^\d+x\d+$", description="WxH of the image that goes in, px; results are in these")
    network_size: str = Field(
        pattern=r"^\d+x\d+$", description="WxH of the network, px; it letterboxes inside where input_size differs"
    )
    batch: int = Field(ge=1, description="images per call")
    max_persons: int = Field(ge=1, description="person slots per image")
    precision: str = Field(description="arithmetic / storage of the weights")

    def as_properties(self) -> dict[str, str]:
        """`{"orpose.format": "1", …}`."""
        return {PREFIX + name: str(value) for name, value in self}


def write_description(path: Path, metadata: ModelMetadata, facts: Mapping[str, str]) -> None:
    """Writes the properties of `path`, its sha256 and further facts, as one flat JSON object of texts."""
    further = {PREFIX + name: value for name, value in {**facts, "sha256": file_sha256(path)}.items()}
    description_path(path).write_text(json.dumps({**metadata.as_properties(), **further}, indent=1) + "\n")
