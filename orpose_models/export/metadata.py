"""What an exported file says about itself (ONNX `metadata_props`). Needs neither torch nor onnx."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, Field

#: Prefix of our keys; `orpose.format` marks a file as ours.
PREFIX = "orpose."
FORMAT = "1"


class ModelMetadata(BaseModel):
    """Facts written into an exported graph, each under `orpose.<name>`."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    format: str = Field(FORMAT, description="version of the graph's inputs and outputs")
    preset: str = Field(description="network preset")
    model_id: str = Field(description="name@first 8 hex digits of the weights' sha256")
    input_size: str = Field(pattern=r"^\d+x\d+$", description="WxH of the network's input, px")
    max_persons: int = Field(ge=1, description="person slots per image")
    precision: str = Field(description="arithmetic / storage of the weights")

    def as_properties(self) -> dict[str, str]:
        """`{"orpose.format": "1", …}`."""
        return {PREFIX + name: str(value) for name, value in self}
