"""Student -> one static ONNX graph, image to lifted 3D."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

import onnx

from orpose_models.export.checks import check_graph, run_once
from orpose_models.export.config import ExportConfig, WeightStorage
from orpose_models.export.half_weights import store_weights_as_float16
from orpose_models.export.metadata import ModelMetadata
from orpose_models.export.onnx_graph import to_onnx
from orpose_models.export.origin import origin_properties
from orpose_models.export.staging import staged
from orpose_models.export.static_graph import build_static, describe
from orpose_models.network.static_program import grey_image
from orpose_models.network.student import Student
from orpose_models.runtime.models import INPUT_NAME, OUTPUT_NAMES, REFERENCE_INPUT_SIZE
from orpose_models.settings import build_settings


def export_onnx(
    student: Student,
    path: str | Path,
    input_size: tuple[int, int] = REFERENCE_INPUT_SIZE,
    batch: int = 1,
    model_id: str = "unnamed@00000000",
    max_persons: int | None = None,
    weights: WeightStorage = "float16",
) -> ModelMetadata:
    """Writes the float32 graph of a student and checks it: `write` without a configuration.

    Args:
        student: Its weights are copied; it stays as it is.
        path: The `.onnx` file to write.
        input_size: Width and height of the network's input, px.
        batch: Images per call.
        model_id: `name@first 8 hex digits of the weights' sha256`.
        max_persons: Slots per image, the preset's unless given.
        weights: How large weights are stored; float16 halves the file, the arithmetic is float32 either way.

    Raises:
        ConfigError: A size, batch or number of slots that cannot be.
        InputError: The file cannot be written.
        ModelError: The graph fails a check.
    """
    values = {"size": input_size, "batch": batch, "max_persons": max_persons, "weights": weights}
    config = build_settings(ExportConfig, values, "export")
    with staged(Path(path)) as temporary:
        return write(student, temporary, config, model_id)


def write(
    student: Student, path: Path, config: ExportConfig, model_id: str, *, keep_origin: bool = True
) -> ModelMetadata:
    """Writes the graph in `config.precision`, checked in form and by running it.

    An fp32 graph can be read back (read_back.py), unless `keep_origin` is off: for graphs that other formats are made
    from.

    Raises:
        ConfigError: More slots than the preset has proposals.
        ModelError: The graph fails a check.
    """
    if config.buckets:
        from orpose_models.export import buckets

        return buckets.write(student, path, config, model_id)
    if config.precision == "int8":
        return _write_int8(student, path, config, model_id)
    static = build_static(student, config)
    metadata = describe(static, config, model_id)
    model = to_onnx(static, (grey_image(static),), (INPUT_NAME,), OUTPUT_NAMES)
    properties = metadata.as_properties()
    if config.precision == "fp32" and keep_origin:
        properties |= origin_properties(student, static, (model,))
    if config.precision == "fp32" and config.weight_storage == "float16":
        store_weights_as_float16(model)
    _save(model, path, properties)
    return metadata


def _write_int8(student: Student, path: Path, config: ExportConfig, model_id: str) -> ModelMetadata:
    """float32 graph -> graph with QuantizeLinear and DequantizeLinear, accepted by its accuracy."""
    from orpose_models.export.int8_export import quantise

    exact_config = config.model_copy(update={"precision": "fp32", "weights": "float32"})
    with temporary_graph(student, path.parent, exact_config, model_id) as (exact, metadata):
        precision = quantise(exact, path, config, config.int8_activations, print)
    return metadata.model_copy(update={"precision": precision})


@contextmanager
def temporary_graph(
    student: Student, folder: Path, config: ExportConfig, model_id: str
) -> Iterator[tuple[Path, ModelMetadata]]:
    """The graph as a file below `folder`, for the formats that are made from it, and what it says about itself."""
    with TemporaryDirectory(dir=folder) as own:
        path = Path(own) / "graph.onnx"
        yield path, write(student, path, config, model_id, keep_origin=False)


def _save(model: onnx.ModelProto, path: Path, properties: dict[str, str]) -> None:
    """Checks the graph's form, writes it, and runs what was written."""
    onnx.helper.set_model_props(model, properties)
    check_graph(model)
    onnx.save(model, str(path))
    run_once(path)
