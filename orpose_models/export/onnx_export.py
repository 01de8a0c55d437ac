"""Student -> one static ONNX graph, image to lifted 3D."""

from __future__ import annotations

import copy
import logging
import warnings
from pathlib import Path
from typing import Literal

import onnx
import torch

from orpose_models.errors import ConfigError
from orpose_models.export.checks import OUTPUTS, check_graph, run_once
from orpose_models.export.half_weights import store_weights_as_float16
from orpose_models.export.metadata import ModelMetadata
from orpose_models.network.static_student import StaticStudent
from orpose_models.network.student import Student
from orpose_models.runtime.models import REFERENCE_INPUT_SIZE

#: TensorRT 10.3 (JetPack 6) parses up to 20; 18 is the dynamo exporter's own, so nothing is converted.
OPSET = 18
#: Smallest side of the network's input, px: below it the coarsest level is a single cell.
MIN_SIDE = 64

WeightStorage = Literal["float16", "float32"]


def export_onnx(
    student: Student,
    path: str | Path,
    input_size: tuple[int, int] = REFERENCE_INPUT_SIZE,
    batch: int = 1,
    model_id: str = "unnamed@00000000",
    max_persons: int | None = None,
    weights: WeightStorage = "float16",
) -> ModelMetadata:
    """Writes the static graph of a student and checks it (checks.py).

    Args:
        student: Its weights are copied; it stays as it is.
        path: The `.onnx` file to write.
        input_size: Width and height of the network's input, px.
        batch: Images per call.
        model_id: `name@first 8 hex digits of the weights' sha256`.
        max_persons: Slots per image, the preset's unless given.
        weights: How large weights are stored; float16 halves the file, the arithmetic is float32 either way.

    Returns:
        What was written into the file's metadata.

    Raises:
        ConfigError: a size or batch that cannot be.
        ModelError: the graph fails a check.
    """
    if min(input_size) < MIN_SIDE or batch < 1:
        got = f"{input_size[0]}x{input_size[1]}, batch {batch}"
        raise ConfigError(f"export: got {got}, expected sides of {MIN_SIDE} px or more and a batch of 1 or more")
    static = StaticStudent(copy.deepcopy(student).float().cpu(), input_size, batch, max_persons)
    metadata = ModelMetadata(
        preset=student.preset.name,
        model_id=model_id,
        input_size=f"{input_size[0]}x{input_size[1]}",
        max_persons=static.max_persons,
        precision=f"float32 / {weights} weights",
    )
    model = _to_onnx(static)
    if weights == "float16":
        store_weights_as_float16(model)
    onnx.helper.set_model_props(model, metadata.as_properties())
    check_graph(model)
    _write(model, Path(path))
    return metadata


def _to_onnx(static: StaticStudent) -> onnx.ModelProto:
    width, height = static.input_size
    image = torch.zeros(static.batch, height, width, 3, dtype=torch.uint8)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # deprecations inside the exporter, none of which a user can mend
        logging.getLogger("torch.onnx").setLevel(logging.ERROR)
        program = torch.onnx.export(
            static,
            (image,),
            dynamo=True,
            opset_version=OPSET,
            input_names=["image"],
            output_names=list(OUTPUTS),
            external_data=False,
            verbose=False,
        )
    assert program is not None
    model = program.model_proto
    _strip_traces(model)
    return model


def _strip_traces(model: onnx.ModelProto) -> None:
    """Removes the exporter's source lines and file paths; they make a third of the graph and tell of one machine."""
    graph = model.graph
    for item in (graph, *graph.node, *graph.value_info, *graph.input, *graph.output, *graph.initializer):
        del item.metadata_props[:]
        item.doc_string = ""
    del graph.value_info[:]  # check_graph infers them anew


def _write(model: onnx.ModelProto, path: Path) -> None:
    """Writes beside the target, tries it, and only then puts it in place: a failure leaves no broken file."""
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_suffix(".partial.onnx")
    try:
        onnx.save(model, str(partial))
        run_once(partial)
        partial.replace(path)
    finally:
        partial.unlink(missing_ok=True)
