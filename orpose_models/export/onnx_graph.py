"""A torch module of fixed or nearly fixed shapes -> an ONNX graph."""

from __future__ import annotations

import logging
import warnings
from collections.abc import Sequence
from typing import Any

import onnx
import torch
from torch import Tensor, nn

#: TensorRT 10.3 (JetPack 6) parses up to 20; 18 is the dynamo exporter's own, so nothing is converted.
OPSET = 18


def to_onnx(
    module: nn.Module,
    inputs: tuple[Tensor, ...],
    input_names: Sequence[str],
    output_names: Sequence[str],
    dynamic_shapes: Any = None,
) -> onnx.ModelProto:
    """The graph that torch traces with `inputs`; `dynamic_shapes` as in `torch.onnx.export`, none: all are fixed."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # deprecations inside the exporter, none of which a user can mend
        logging.getLogger("torch.onnx").setLevel(logging.ERROR)
        program = torch.onnx.export(
            module,
            inputs,
            dynamo=True,
            opset_version=OPSET,
            input_names=list(input_names),
            output_names=list(output_names),
            dynamic_shapes=dynamic_shapes,
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
