"""What `orpose bench` asks of torch: the GPU's name, memory and ceilings, and the cost of backend torch's network.

The command's own process leaves the GPU alone: what runs there runs in processes of their own.
"""

from __future__ import annotations

import multiprocessing
from concurrent.futures import ProcessPoolExecutor
from typing import TYPE_CHECKING, Any

from orpose.bench_roofline import Ceilings, Cost
from orpose_models.errors import BackendError

if TYPE_CHECKING:
    import torch

    from orpose_models.runtime.config import RuntimeConfig

#: Side of the square matrices whose product is measured, and bytes of the arrays that are copied.
_GEMM_SIDE, _COPY_BYTES = 8192, 1 << 30
#: Products or copies in one measurement, and measurements, of which the fastest counts.
_REPEATS, _MEASUREMENTS = 5, 8


def gpu_name() -> str:
    """The GPU, and which CUDA and cuDNN torch brings."""
    import torch

    return f"{torch.cuda.get_device_name()}, CUDA {torch.version.cuda}, cuDNN {torch.backends.cudnn.version()}"


def gpu_memory_mib() -> dict[str, float]:
    """See `Worker.gpu_memory_mib`."""
    import torch

    return {
        "allocated": torch.cuda.max_memory_allocated() / 2**20,
        "reserved": torch.cuda.max_memory_reserved() / 2**20,
    }


def measure_gpu_ceilings() -> Ceilings:
    """Large matrix products in float32 (without TF32) and float16, and a copy; in a process of its own."""
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(1, mp_context=context) as pool:
        return pool.submit(_measure_ceilings, "cuda").result()


def _measure_ceilings(device: str, side: int = _GEMM_SIDE, copy_bytes: int = _COPY_BYTES) -> Ceilings:
    try:
        import torch
    except ImportError as error:
        raise BackendError(f"--roofline measures a GPU with torch ({error}): pip install 'orpose[train]'") from None

    if device == "cuda" and not torch.cuda.is_available():
        raise BackendError(f"--roofline: torch {torch.__version__} sees no CUDA GPU")

    def gemm_flops_per_s(dtype: torch.dtype) -> float:
        left, right = (torch.rand(side, side, device=device).to(dtype) for _ in range(2))
        product = torch.empty_like(left)
        return 2 * side**3 / _fastest_s(lambda: torch.mm(left, right, out=product), device)

    source = torch.ones(copy_bytes, dtype=torch.uint8, device=device)
    target = torch.empty_like(source)
    bytes_per_s = 2 * copy_bytes / _fastest_s(lambda: target.copy_(source), device)
    return Ceilings(gemm_flops_per_s(torch.float32), bytes_per_s, gemm_flops_per_s(torch.float16))


def _fastest_s(step: Any, device: str) -> float:
    """Of one step, the mean of a few between two synchronisations."""
    import time

    import torch

    wait = torch.cuda.synchronize if device == "cuda" else lambda: None
    durations = []
    step()
    for _ in range(_MEASUREMENTS):
        wait()
        started = time.perf_counter()
        for _ in range(_REPEATS):
            step()
        wait()
        durations.append((time.perf_counter() - started) / _REPEATS)
    return min(durations)


def count_torch(config: RuntimeConfig) -> Cost:
    """The cost of a call of backend torch's network: convolutions and matrix products, counted without computing."""
    import torch
    from torch._subclasses.fake_tensor import FakeTensorMode

    from orpose_models.network.static_program import grey_image
    from orpose_models.runtime.backend_torch_network import load_network

    _, network = load_network(config, "cpu")
    with FakeTensorMode() as mode, torch.no_grad():
        for module in network.modules():
            for tensors in (module._parameters, module._buffers):
                for name, value in tensors.items():
                    tensors[name] = None if value is None else mode.from_tensor(value)  # type: ignore[assignment]
        weights = {value.untyped_storage()._cdata for value in network.state_dict().values()}
        counter = _counter(weights)
        with counter:
            network(grey_image(network))
    return counter.cost


def _counter(weights: set[int]) -> Any:
    """A mode that adds up the operations below it; `weights` are the storages that are read once a call."""
    import torch
    from torch.utils._python_dispatch import TorchDispatchMode
    from torch.utils.flop_counter import flop_registry

    class Counter(TorchDispatchMode):
        cost = Cost(0, 0, 0)

        def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
            output = func(*args, **(kwargs or {}))
            if flops_of := flop_registry.get(func._overloadpacket):
                flops = flops_of(*args, **(kwargs or {}), out_val=output)
                tensors = [value for value in (*args, output) if isinstance(value, torch.Tensor)]
                half = flops if output.dtype == torch.float16 else 0
                self.cost += Cost(flops, *self._bytes(tensors), half)
            return output

        def _bytes(self, tensors: list[torch.Tensor]) -> tuple[int, int]:
            read, moved = 0, 0
            for value in tensors:
                storage, size = value.untyped_storage()._cdata, value.numel() * value.element_size()
                if storage not in weights:
                    moved += size
                elif storage not in self._seen:
                    self._seen.add(storage)
                    read += size
            return read, moved

        def __init__(self) -> None:
            super().__init__()
            self._seen: set[int] = set()

    return Counter()
