"""Batches in an order that depends on the seed and the number of samples seen alone, so that a run resumes exactly."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import cv2
import numpy as np
import torch
from torch.utils.data import DataLoader, Sampler

from training.data.dataset import Draw, Size, TrainingSet

Batch = tuple[torch.Tensor, list[dict[str, torch.Tensor]]]


@dataclass(frozen=True)
class BatchShape:
    """What a stage of training wants a batch to be."""

    size: Size
    batch_size: int


class EndlessBatches(Sampler[list[Draw]]):
    """Draws without end; each epoch is a permutation of all items that depends on (seed, epoch).

    `shape_of(batch_index)` is asked when the batch is drawn, which is a few batches before it is trained on.
    """

    def __init__(
        self, num_items: int, seed: int, shape_of: Callable[[int], BatchShape], first_batch: int, first_position: int
    ) -> None:
        self.num_items = num_items
        self.seed = seed
        self.shape_of = shape_of
        self.first_batch = first_batch
        self.first_position = first_position

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
            yield draws
            batch_index += 1


def collate(samples: list[tuple[torch.Tensor, dict[str, torch.Tensor]]]) -> Batch:
    """Images `(B, 3, H, W)` uint8 and one target dictionary for each."""
    return torch.stack([image for image, _ in samples]), [targets for _, targets in samples]


def make_loader(dataset: TrainingSet, batches: EndlessBatches, num_workers: int) -> DataLoader:
    """A loader that prepares batches beside training in `num_workers` processes (0: in line)."""
    return DataLoader(
        dataset,
        batch_sampler=batches,
        collate_fn=collate,
        num_workers=num_workers,
        # a forked worker inherits OpenCV's and torch's thread pools without their threads, and hangs
        multiprocessing_context="spawn" if num_workers else None,
        prefetch_factor=4 if num_workers else None,
        worker_init_fn=_start_worker,
        generator=torch.Generator(),  # its own: the default would take a number from training's generator
    )


def _start_worker(_: int) -> None:
    # A signal to the trainer's process group is the trainer's to answer: it writes a checkpoint, then ends its workers.
    os.setsid()
    cv2.setNumThreads(1)
    torch.set_num_threads(1)
