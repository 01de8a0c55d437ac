"""Batches in an order that depends on the seed and the number of samples seen alone, so that a run resumes exactly."""

from __future__ import annotations

import atexit
import os
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple

import cv2
import numpy as np
import torch
from torch.utils.data import DataLoader, Sampler

from orpose_models.errors import ImageError
from training.data.dataset import Draw, Size, TrainingItem, TrainingSet


class Batch(NamedTuple):
    """Images `(B, 3, H, W)` uint8, one target dictionary for each, and why other images were skipped.

    `frame_sizes` are the (w, h) px of the camera frames that the loader made the images of. In interactive training
    `labelled` is the labelled batch beside this one.
    """

    images: torch.Tensor
    targets: list[dict[str, torch.Tensor]]
    skipped: list[str]
    labelled: Batch | None = None
    frame_sizes: Sequence[Size] = ()


@dataclass(frozen=True)
class BatchShape:
    """What a stage of training wants a batch to be; `batch_size` counts the images of all processes together."""

    size: Size
    batch_size: int


class EndlessBatches(Sampler[list[Draw]]):
    """Draws without end; each epoch is a permutation of all items that depends on (seed, epoch).

    `shape_of(batch_index)` is asked when the batch is drawn, which is a few batches before it is trained on. Of W
    processes each takes every W-th draw of a batch: together they see what a single one would.
    """

    def __init__(
        self,
        num_items: int,
        seed: int,
        shape_of: Callable[[int], BatchShape],
        first_batch: int,
        first_position: int,
        *,
        rank: int = 0,
        world_size: int = 1,
    ) -> None:
        self.num_items = num_items
        self.seed = seed
        self.shape_of = shape_of
        self.first_batch = first_batch
        self.first_position = first_position
        self.rank, self.world_size = rank, world_size

    def __iter__(self) -> Iterator[list[Draw]]:
        batch_index, position = self.first_batch, self.first_position
        epoch, order = -1, np.empty(0, int)
        while True:
            shape = self.shape_of(batch_index)
            draws = []
            for _ in range(shape.batch_size):
                if position // self.num_items != epoch:
                    epoch = position // self.num_items
                    order = np.random.default_rng([self.seed, 1, epoch]).permutation(self.num_items)
                draws.append(Draw(position, int(order[position % self.num_items]), shape.size))
                position += 1
            draws = [replace(draw, donor=draws[number - 1].index) for number, draw in enumerate(draws)]
            yield draws[self.rank :: self.world_size]
            batch_index += 1


def collate(items: list[TrainingItem]) -> Batch:
    images = torch.stack([item.image for item in items])
    skipped = [error for item in items for error in item.skipped]
    return Batch(images, [item.targets for item in items], skipped, frame_sizes=[item.frame_size for item in items])


def make_loader(
    dataset: TrainingSet, batches: EndlessBatches, num_workers: int, *, pin_memory: bool = False
) -> DataLoader:
    """A loader that prepares batches beside training in `num_workers` processes (0: in line)."""
    return DataLoader(
        dataset,
        batch_sampler=batches,
        collate_fn=collate,
        num_workers=num_workers,
        pin_memory=pin_memory,
        # a forked worker inherits OpenCV's and torch's thread pools without their threads, and hangs
        multiprocessing_context="spawn" if num_workers else None,
        prefetch_factor=4 if num_workers else None,
        worker_init_fn=_start_worker,
        generator=torch.Generator(),  # its own: the default would take a number from training's generator
    )


def of_worker(error: ImageError) -> ImageError:
    """The error as it was before a worker process put its traceback around it."""
    return ImageError(str(error).strip().splitlines()[-1].removeprefix(f"{ImageError.__module__}.ImageError: "))


def _start_worker(_: int) -> None:
    # A signal to the trainer's process group is the trainer's to answer: it writes a checkpoint, then ends its workers.
    os.setsid()
    # Without the interpreter's end, which aborts where a thread is just handing over a large batch.
    atexit.register(os._exit, 0)
    cv2.setNumThreads(1)
    torch.set_num_threads(1)
