"""Program for a process of its own: converts a saved program (.pt2) with Torch-TensorRT and builds it, without a GPU.

    python torch_tensorrt_conversion.py MODEL.pt2  ->  a line of JSON: {"layers": …, "engine_bytes": …, "missing": […]}

Torch-TensorRT for TensorRT-RTX asks for the GPU when it is imported and before it builds; both questions are answered
here for an SM86. What it does with the graph is its own: lowering, every converter, the network, the build.
"""

from __future__ import annotations

import json
import logging
import sys

import tensorrt_rtx_bindings as trt
import torch

torch.cuda.get_device_capability = lambda *_: (8, 6)
torch.cuda.current_device = lambda: 0
sys.modules["tensorrt_rtx"] = trt  # the package of that name holds nothing else

import torch_tensorrt  # noqa: E402
from torch_tensorrt.dynamo import CompilationSettings  # noqa: E402
from torch_tensorrt.dynamo.conversion._conversion import infer_module_output_dtypes  # noqa: E402
from torch_tensorrt.dynamo.conversion._TRTInterpreter import TRTInterpreter  # noqa: E402
from torch_tensorrt.dynamo.lowering import get_decompositions, post_lowering, pre_export_lowering  # noqa: E402


def convert(path: str) -> dict[str, object]:
    settings = CompilationSettings(use_explicit_typing=True, require_full_compilation=True, disable_tf32=True)
    program = pre_export_lowering(torch.export.load(path), settings)
    program = program.run_decompositions(get_decompositions(False))
    module = post_lowering(program.module(), settings)
    images = [node.meta["val"] for node in module.graph.nodes if node.op == "placeholder"]
    inputs = [torch_tensorrt.Input(shape=tuple(image.shape), dtype=image.dtype) for image in images]
    types = infer_module_output_dtypes(module)
    interpreter = TRTInterpreter(module, inputs, output_dtypes=types, compilation_settings=settings)
    missing = sorted(interpreter.validate_conversion())
    interpreter._construct_trt_network_def()
    config = interpreter._populate_trt_builder_config()
    config.num_compute_capabilities = 1
    config.set_compute_capability(trt.ComputeCapability.SM86, 0)
    engine = interpreter.builder.build_serialized_network(interpreter.ctx.net, config)
    size = 0 if engine is None else len(bytes(engine))
    return {"layers": interpreter.ctx.net.num_layers, "engine_bytes": size, "missing": missing}


if __name__ == "__main__":
    logging.disable(logging.WARNING)
    print(json.dumps(convert(sys.argv[1])))
