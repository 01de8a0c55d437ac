"""Model files: found by name or path, and what they say about themselves."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from orpose_models.errors import ModelError

WEIGHTS_DIR = Path(__file__).resolve().parent.parent / "weights"
FORMAT_KEY = "orpose.format"
FORMAT = "1"
INPUT_NAME = "image"
#: Width and height of a network's input unless a model says otherwise, px.
REFERENCE_INPUT_SIZE = (640, 480)
#: The graph's outputs in order; shapes are in `Backend.infer`.
OUTPUT_NAMES = ("boxes", "scores", "valid", "keypoints", "keypoints_3d", "nms_converged")


@dataclass(frozen=True)
class ModelInfo:
    """What a model file says about itself.

    Attributes:
        model_id: Name and the first 8 hex digits of the weights' sha256, `lite@1a2b3c4d`.
        preset: The network's preset, `lite` or `r50`.
        input_size: Width and height of the network's input, px.
        max_persons: Number of person slots.
        precision: Of the computations: as really built, where the backend tells, else what the file says.
        engine: Where a built engine came from; empty for backends that build none.
        batch: Images per call, which the graph has fixed.
        network_size: Width and height of the network, px, which a graph may letterbox to; None where the file has none.
    """

    model_id: str
    preset: str
    input_size: tuple[int, int]
    max_persons: int
    precision: str
    engine: str = ""
    batch: int = 1
    network_size: tuple[int, int] | None = None

    @classmethod
    def from_metadata(cls, metadata: Mapping[str, str], where: Path) -> ModelInfo:
        """Reads the metadata of an ONNX or OpenVINO file, or of the JSON beside another.

        Raises:
            ModelError: Not a file `orpose export` wrote, or one of another format version.
        """
        version = metadata.get(FORMAT_KEY)
        if version is None:
            raise ModelError(f"{where}: not an orpose model (no {FORMAT_KEY} in its metadata); see `orpose export -h`")
        if version != FORMAT:
            raise ModelError(f"{where}: {FORMAT_KEY} is {version}, this orpose reads {FORMAT}; export it again")
        try:
            return cls(
                model_id=metadata["orpose.model_id"],
                preset=metadata["orpose.preset"],
                input_size=_size(metadata, "orpose.input_size"),
                max_persons=int(metadata["orpose.max_persons"]),
                precision=metadata["orpose.precision"],
                batch=int(metadata.get("orpose.batch", "1")),
                network_size=_size(metadata, "orpose.network_size") if "orpose.network_size" in metadata else None,
            )
        except KeyError as error:
            raise ModelError(f"{where}: metadata has no {error.args[0]}; export it again") from None
        except ValueError as error:
            raise ModelError(f"{where}: metadata: {error}") from None


def _size(metadata: Mapping[str, str], key: str) -> tuple[int, int]:
    size = re.fullmatch(r"([1-9]\d*)x([1-9]\d*)", metadata[key])
    if size is None:
        raise ValueError(f"{key} is {metadata[key]!r}, expected WIDTHxHEIGHT")
    return int(size[1]), int(size[2])


def find_model(model: str, suffix: str, *others: str) -> Path:
    """The model file for a shipped model's name or a path.

    Args:
        model: `lite`, or the path of a file.
        suffix: What the backend reads, `.onnx` or `.safetensors`; the suffix of shipped models.
        others: What else it reads.

    Raises:
        ModelError: No such shipped model, no such file, or a file of another kind.
    """
    if Path(model).suffix == "" and Path(model).name == model and not Path(model).is_file():
        path = WEIGHTS_DIR / f"{model}{suffix}"
        if suffix == ".safetensors" and not path.is_file() and path.with_suffix(".onnx").is_file():
            made = f"orpose convert {model} --out {model}.safetensors"
            raise ModelError(f"model '{model}': shipped as .onnx; make what this backend reads: {made}, and name that")
        if not path.is_file():
            shipped = ", ".join(sorted(p.stem for p in WEIGHTS_DIR.glob(f"*{suffix}"))) or "none"
            raise ModelError(f"model '{model}': no such shipped model (as {suffix}: {shipped}) and no such file")
        return path
    path = Path(model)
    if not path.is_file():
        raise ModelError(f"{model}: no such model file")
    if path.suffix not in (suffix, *others):
        known = " and ".join((suffix, *others))
        raise ModelError(f"{model}: this backend reads {known} files, got '{path.suffix or path.name}'")
    return path


def check_interface(
    inputs: Mapping[str, tuple[int | None, ...]], outputs: Mapping[str, object], info: ModelInfo, where: Path
) -> None:
    """Checks a graph's inputs (name -> shape) and outputs (names) against what the runtime feeds and reads.

    Raises:
        ModelError: Another input, size or batch than the metadata says, or a missing output.
    """
    width, height = info.input_size
    expected = (info.batch, height, width, 3)
    if set(inputs) != {INPUT_NAME} or inputs[INPUT_NAME] != expected:
        raise ModelError(f"{where}: inputs {dict(inputs)}, expected '{INPUT_NAME}' {expected}; export it again")
    if missing := [name for name in OUTPUT_NAMES if name not in outputs]:
        raise ModelError(f"{where}: outputs {', '.join(missing)} are missing; export it again")


def first_line(error: Exception) -> str:
    """The first line of a library's error message."""
    return next((line.strip() for line in str(error).splitlines() if line.strip()), type(error).__name__)
