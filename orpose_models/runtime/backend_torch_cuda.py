"""Backend torch on a GPU: eager, compiled, its kernels recorded as a CUDA graph, or compiled and recorded.

Compiling takes about a minute at each first start; Inductor's own cache shortens the next. Recording takes seconds.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch

from orpose_models.errors import BackendError
from orpose_models.network.static_constants import program_with_constants
from orpose_models.network.static_program import grey_image
from orpose_models.network.static_student import StaticStudent
from orpose_models.runtime.backend_torch_network import Network, TorchBackend, check_gpu, load_network, model_info
from orpose_models.runtime.config import RuntimeConfig
from orpose_models.runtime.models import first_line

#: Calls before a graph is recorded: libraries choose kernels and take memory in the first ones.
_WARM_UP = 3


class GpuNetwork:
    """A network on the GPU as a function of images on the processor to outputs on the processor.

    Copies go through pinned memory, and one synchronisation ends a call. What is returned is the caller's own.

    Args:
        network: Takes and returns tensors on the GPU.
        image: An example on the processor, `(B, H, W, 3)` uint8.
        record: Runs the network as one CUDA graph, whose inputs and outputs stay where they are.
    """

    def __init__(self, network: Network, image: torch.Tensor, *, record: bool) -> None:
        self._pinned = image.pin_memory()
        self._image = image.cuda()
        self._network = network
        self._graph = torch.cuda.CUDAGraph() if record else None
        with torch.inference_mode():
            self._outputs = self._record(self._graph) if self._graph else self._warm_up()
        self._answers = [torch.empty_like(value, device="cpu", pin_memory=True) for value in self._outputs]

    def __call__(self, image: torch.Tensor) -> list[torch.Tensor]:
        self._pinned.copy_(image)
        self._image.copy_(self._pinned, non_blocking=True)
        if self._graph:
            self._graph.replay()
        else:
            self._outputs = self._network(self._image)
        for answer, value in zip(self._answers, self._outputs, strict=True):
            answer.copy_(value, non_blocking=True)
        torch.cuda.current_stream().synchronize()
        return [answer.clone() for answer in self._answers]

    def _warm_up(self) -> Sequence[torch.Tensor]:
        for _ in range(_WARM_UP):
            outputs = self._network(self._image)
        torch.cuda.synchronize()
        return outputs

    def _record(self, graph: torch.cuda.CUDAGraph) -> Sequence[torch.Tensor]:
        stream = torch.cuda.Stream()
        stream.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(stream):  # not on the default stream, as CUDA demands of what is to be recorded
            self._warm_up()
        torch.cuda.current_stream().wait_stream(stream)
        with torch.cuda.graph(graph):
            return self._network(self._image)


def load(config: RuntimeConfig) -> TorchBackend:
    """Loads a .safetensors file onto the GPU.

    Raises:
        BackendError: No GPU, no compiler, or a network that cannot be recorded.
        ModelError: The file is missing, corrupt or not ours.
    """
    check_gpu("torch")
    torch.backends.cudnn.benchmark = True  # shapes are fixed: each layer's fastest algorithm is found once
    if config.threads:
        torch.set_num_threads(config.threads)
    path, network = load_network(config, "cuda")
    if config.torch_precision == "fp16":
        in_tensor_core_layout(network)
    name = f"torch ({config.torch_mode}, cuda{', fp16' if network.float16 else ''})"
    try:
        placed = GpuNetwork(_prepared(network, config), grey_image(network), record="graphs" in config.torch_mode)
    except Exception as error:  # of the compiler, of Inductor, of CUDA
        raise BackendError(
            f"backend 'torch': torch {torch.__version__} cannot run the network with torch_mode {config.torch_mode} "
            f"({first_line(error)}); torch_mode eager needs the least; compiling needs triton and a C compiler"
        ) from error
    return TorchBackend(name, placed, model_info(path, network), "cpu")


def in_tensor_core_layout(network: StaticStudent) -> None:
    """Lays convolutions' weights out channels last, which tensor cores read; torch's outputs then follow."""
    network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]


def _prepared(network: StaticStudent, config: RuntimeConfig) -> Network:
    if config.torch_mode == "eager":
        return network
    program: Network = program_with_constants(network)
    if config.torch_mode.startswith("compile"):
        program = torch.compile(program, fullgraph=True, dynamic=False)
    return program
