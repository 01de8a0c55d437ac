"""One process, or several of `torchrun` on one or many machines: who am I, and what all of them must agree on."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import timedelta
from typing import TypeVar

import torch
import torch.distributed as dist
from torch import nn

from orpose_models.errors import BackendError

T = TypeVar("T")
#: Rank 0 may fit lifters or measure for long while the others wait for it.
_TIMEOUT = timedelta(hours=3)


def rank() -> int:
    return dist.get_rank() if dist.is_initialized() else 0


def world_size() -> int:
    return dist.get_world_size() if dist.is_initialized() else 1


def is_main() -> bool:
    """The one process that writes files and talks."""
    return rank() == 0


def choose_device(name: str) -> torch.device:
    """This process's own device: `cpu`, or of several GPUs the one of its local rank.

    Raises:
        BackendError: a GPU is asked for that is not there.
    """
    if name == "cpu":
        return torch.device("cpu")
    index = int(os.environ.get("LOCAL_RANK", "0"))
    if not torch.cuda.is_available() or index >= torch.cuda.device_count():
        found = torch.cuda.device_count() if torch.cuda.is_available() else 0
        raise BackendError(
            f"device: got cuda, but process {index} of this machine has no GPU (torch {torch.__version__} sees"
            f" {found});"
            " use --device cpu, start fewer processes, or install a CUDA build of torch"
        )
    torch.cuda.set_device(index)
    return torch.device("cuda", index)


@contextmanager
def process_group(device: str) -> Iterator[None]:
    """Joins the processes that `torchrun` started: gloo on the CPU; on GPUs nccl, and gloo for numbers on the host."""
    if "WORLD_SIZE" not in os.environ:
        yield
        return
    dist.init_process_group("cpu:gloo,cuda:nccl" if device == "cuda" else "gloo", timeout=_TIMEOUT)
    try:
        yield
    finally:
        dist.destroy_process_group()


def agree(values: Sequence[float]) -> list[float]:
    """The largest of each value over all processes, so that all of them decide alike (time used, signals)."""
    if world_size() == 1:
        return list(values)
    largest = torch.tensor(values, dtype=torch.float64)
    dist.all_reduce(largest, dist.ReduceOp.MAX)
    return largest.tolist()


def gather(value: T) -> list[T]:
    """Everybody's value, in order of rank, on every process."""
    if world_size() == 1:
        return [value]
    values: list[T] = [value] * world_size()
    dist.all_gather_object(values, value)
    return values


def share_from_main(network: nn.Module) -> None:
    """Every process takes rank 0's weights and statistics."""
    if world_size() > 1:
        for value in network.state_dict().values():
            dist.broadcast(value, src=0)


def average(values: dict[str, float]) -> dict[str, float]:
    """The mean of each number over all processes, which must have the same names."""
    if world_size() == 1:
        return values
    numbers = torch.tensor(list(values.values()), dtype=torch.float64)
    dist.all_reduce(numbers, dist.ReduceOp.SUM)
    return dict(zip(values, (numbers / world_size()).tolist(), strict=True))
