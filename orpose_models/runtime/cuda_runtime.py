"""The few calls of the CUDA runtime that running an engine takes, over ctypes.

A Jetson has libcudart from JetPack, but neither torch nor cuda-python. CUDA 11, 12 and 13 share these signatures.
"""

from __future__ import annotations

import ctypes
import ctypes.util
import importlib.util
from pathlib import Path

from numpy.typing import NDArray

from orpose_models.errors import BackendError

_NAMES = ("libcudart.so.13", "libcudart.so.12", "libcudart.so.11.0", "libcudart.so")
_FOLDERS = ("/usr/local/cuda/lib64", "/usr/local/cuda/targets/aarch64-linux/lib")
_HOST_TO_DEVICE, _DEVICE_TO_HOST = 1, 2
_CAPABILITY_MAJOR, _CAPABILITY_MINOR = 75, 76
#: cudaDeviceProp differs between versions, but begins with the name and is smaller than this, bytes.
_NAME_BYTES, _PROPERTIES_BYTES = 256, 16384


class CudaRuntime:
    """Memory, copies and streams of GPU 0. Addresses and streams are plain integers.

    Args:
        library: libcudart; found where CUDA, JetPack or pip put it unless given.

    Raises:
        BackendError: No CUDA runtime, no driver or no GPU.
    """

    def __init__(self, library: ctypes.CDLL | None = None) -> None:
        self._library = library or _open_library()
        self._library.cudaGetErrorString.restype = ctypes.c_char_p
        count = ctypes.c_int(0)
        self._call("cudaGetDeviceCount", ctypes.byref(count))
        if count.value < 1:
            raise BackendError("CUDA: no GPU found; is one there, and is it shared with this container?")
        self._call("cudaSetDevice", ctypes.c_int(0))

    def compute_capability(self) -> int:
        """87 for 8.7."""
        values = []
        for attribute in (_CAPABILITY_MAJOR, _CAPABILITY_MINOR):
            value = ctypes.c_int(0)
            self._call("cudaDeviceGetAttribute", ctypes.byref(value), ctypes.c_int(attribute), ctypes.c_int(0))
            values.append(value.value)
        return values[0] * 10 + values[1]

    def device_name(self) -> str:
        """`Orin`, `NVIDIA H200`."""
        versioned = hasattr(self._library, "cudaGetDeviceProperties_v2")
        properties = ctypes.create_string_buffer(_PROPERTIES_BYTES)
        self._call("cudaGetDeviceProperties" + ("_v2" if versioned else ""), properties, ctypes.c_int(0))
        return properties.raw[:_NAME_BYTES].split(b"\0")[0].decode("utf-8", "replace")

    def device(self) -> str:
        """What an engine is built for: `sm87 Orin`."""
        return f"sm{self.compute_capability()} {self.device_name()}"

    def create_stream(self) -> int:
        stream = ctypes.c_void_p()
        self._call("cudaStreamCreate", ctypes.byref(stream))
        return stream.value or 0

    def destroy_stream(self, stream: int) -> None:
        self._call("cudaStreamDestroy", ctypes.c_void_p(stream))

    def synchronize(self, stream: int) -> None:
        """Waits for all that was queued in a stream; errors of that work come up here."""
        self._call("cudaStreamSynchronize", ctypes.c_void_p(stream))

    def allocate(self, size_bytes: int) -> int:
        address = ctypes.c_void_p()
        self._call("cudaMalloc", ctypes.byref(address), ctypes.c_size_t(size_bytes))
        return address.value or 0

    def free(self, address: int) -> None:
        self._call("cudaFree", ctypes.c_void_p(address))

    def copy_to_device(self, address: int, array: NDArray, stream: int) -> None:
        """Queues a copy of a C-contiguous array, which must live until the stream has been waited for."""
        self._copy(address, array.ctypes.data, array.nbytes, _HOST_TO_DEVICE, stream)

    def copy_to_host(self, array: NDArray, address: int, stream: int) -> None:
        """Queues a copy into a C-contiguous array."""
        self._copy(array.ctypes.data, address, array.nbytes, _DEVICE_TO_HOST, stream)

    def _copy(self, target: int, source: int, size_bytes: int, kind: int, stream: int) -> None:
        self._call(
            "cudaMemcpyAsync",
            ctypes.c_void_p(target),
            ctypes.c_void_p(source),
            ctypes.c_size_t(size_bytes),
            ctypes.c_int(kind),
            ctypes.c_void_p(stream),
        )

    def _call(self, function: str, *arguments: object) -> None:
        code = getattr(self._library, function)(*arguments)
        if code != 0:
            text = self._library.cudaGetErrorString(ctypes.c_int(code)).decode("utf-8", "replace")
            raise BackendError(f"CUDA: {function}: {text} (error {code})")


def _open_library() -> ctypes.CDLL:
    for name in [*_NAMES, ctypes.util.find_library("cudart"), *_in_folders()]:
        if name:
            try:
                return ctypes.CDLL(name)
            except OSError:
                continue
    raise BackendError(
        "CUDA: libcudart is not installed; on a Jetson it comes with JetPack (cuda-cudart), elsewhere: "
        "pip install nvidia-cuda-runtime-cu12"
    )


def _in_folders() -> list[str]:
    """libcudart outside the linker's path: /usr/local/cuda, and pip's nvidia-cuda-runtime packages."""
    spec = importlib.util.find_spec("nvidia")
    roots = [Path(root) for root in (spec.submodule_search_locations or ())] if spec else []
    folders = [Path(folder) for folder in _FOLDERS] + [lib for root in roots for lib in sorted(root.glob("*/lib"))]
    return [str(path) for folder in folders for path in sorted(folder.glob("libcudart.so*"))]
