"""OpenVINO on the processor, in float32."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import openvino
from numpy.typing import NDArray

from orpose_models.errors import ModelError
from orpose_models.runtime.backends import Outputs
from orpose_models.runtime.models import INPUT_NAME, OUTPUT_NAMES, ModelInfo, check_interface, find_model, first_line


class OpenVinoBackend:
    """See `Backend`."""

    name = "openvino"

    def __init__(self, compiled: openvino.CompiledModel, info: ModelInfo) -> None:
        self._request = compiled.create_infer_request()
        self.info = info

    def infer(self, images: NDArray[np.uint8]) -> Outputs:
        # Inputs are shared, not copied; outputs are copied, so that a result survives the next frame.
        outputs = self._request.infer({INPUT_NAME: images}, share_inputs=True, share_outputs=False)
        return {name: outputs[name] for name in OUTPUT_NAMES}


def load(model: str, threads: int) -> OpenVinoBackend:
    """Loads an exported .onnx file.

    Raises:
        ModelError: The file is missing, corrupt or not ours.
    """
    path = find_model(model, ".onnx")
    # Without the precision hint OpenVINO computes in bfloat16 on processors that have it: faster, other numbers.
    settings: dict[str, Any] = {"INFERENCE_PRECISION_HINT": "f32", "PERFORMANCE_HINT": "LATENCY"}
    if threads:
        settings["INFERENCE_NUM_THREADS"] = threads
    core = openvino.Core()
    try:
        network = core.read_model(str(path))
        info = ModelInfo.from_metadata(_metadata(network), path)
        compiled = core.compile_model(network, "CPU", settings)
    except RuntimeError as error:
        raise ModelError(f"{path}: OpenVINO cannot load it, is the file complete? ({first_line(error)})") from None
    inputs = {port.any_name: tuple(port.shape) for port in compiled.inputs}
    check_interface(inputs, {name: port for port in compiled.outputs for name in port.names}, info, path)
    return OpenVinoBackend(compiled, info)


def _metadata(network: openvino.Model) -> Mapping[str, str]:
    """The ONNX file's metadata, which OpenVINO keeps under "framework"."""
    if not network.has_rt_info(["framework"]):
        return {}
    return {key: str(value.value) for key, value in network.get_rt_info()["framework"].items()}
