"""A model of two graphs: one finds people, the other their poses, and is run for as many as there are.

NAME.onnx is the first graph; the second, NAME.poses.onnx, lies beside it (`orpose export --buckets`). The second is
run with 1, 2, 4, 8, ... slots, the fewest that hold the people found: few sizes, because a backend prepares each anew.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from orpose_models.errors import ModelError
from orpose_models.runtime.models import INPUT_NAME, ModelInfo

#: Marks the first graph in its metadata. Both carry the same model id.
_POSES_SUFFIX = ".poses.onnx"
PARTS_KEY, PARTS = "orpose.parts", "people, poses"
#: What the first graph returns, in order, and the second takes and returns.
FOUND_NAMES = ("boxes", "scores", "valid", "nms_converged", "roi_features")
POSE_INPUT_NAMES = ("roi_features", "person_boxes")
POSE_NAMES = ("keypoints", "keypoints_3d")

Arrays = Mapping[str, NDArray]
Run = Callable[[Arrays], Arrays]


class BucketBackend:
    """See `Backend`; answers as one graph would.

    Attributes:
        detect: Runs the first graph: image -> `FOUND_NAMES`.
        pose: Runs the second: `POSE_INPUT_NAMES` -> `POSE_NAMES`.
    """

    def __init__(self, name: str, info: ModelInfo, detect: Run, pose: Run) -> None:
        self.name, self.info = name, info
        self.detect, self.pose = detect, pose

    def infer(self, images: NDArray[np.uint8]) -> dict[str, NDArray]:
        found = self.detect({INPUT_NAME: images})
        people = int(found["valid"].sum())  # they come first
        poses = {
            "keypoints": np.zeros((1, self.info.max_persons, 17, 3), np.float32),
            "keypoints_3d": np.zeros((1, self.info.max_persons, 17, 4), np.float32),
        }
        if people:
            slots = smallest_bucket(people, self.info.max_persons)
            inputs = (found["roi_features"][:slots], found["boxes"][0, :slots])
            answer = self.pose(dict(zip(POSE_INPUT_NAMES, inputs, strict=True)))
            for name, values in poses.items():
                values[0, :people] = answer[name][:people]
        return {**{name: found[name] for name in FOUND_NAMES[:-1]}, **poses}

    def warm_up(self) -> None:
        """Runs the second graph once in every size."""
        width, height = self.info.input_size
        found = self.detect({INPUT_NAME: np.zeros((1, height, width, 3), np.uint8)})
        for slots in buckets(self.info.max_persons):
            self.pose(
                dict(zip(POSE_INPUT_NAMES, (found["roi_features"][:slots], found["boxes"][0, :slots]), strict=True))
            )


def buckets(max_persons: int) -> list[int]:
    """1, 2, 4, ... up to `max_persons`, which is the last."""
    return [*(2**i for i in range(max_persons.bit_length()) if 2**i < max_persons), max_persons]


def smallest_bucket(people: int, max_persons: int) -> int:
    """The number of slots to run for `people` (1 to `max_persons`)."""
    return next(slots for slots in buckets(max_persons) if slots >= people)


def poses_file(path: Path) -> Path:
    """The second graph's file: `NAME.poses.onnx` for `NAME.onnx`."""
    return path.with_suffix(_POSES_SUFFIX)


def second_graph(metadata: Mapping[str, str], path: Path) -> Path | None:
    """The file of the second graph of the model at `path`, whose metadata these are; None for a model of one graph.

    Raises:
        ModelError: It is not there.
    """
    if PARTS_KEY not in metadata:
        return None
    poses = poses_file(path)
    if not poses.is_file():
        raise ModelError(f"{path}: its second graph {poses.name} is not beside it; copy both files, or export again")
    return poses


def check_parts(
    path: Path,
    info: ModelInfo,
    outputs: Iterable[str],
    poses: Path,
    pose_info: ModelInfo,
    pose_inputs: Iterable[str],
) -> None:
    """Checks that two graphs belong together.

    Raises:
        ModelError: The first one's output or the second one's input names are others, or it is of another model.
    """
    if set(FOUND_NAMES) - set(outputs):
        raise ModelError(f"{path}: it lacks outputs for a second graph; export it again")
    if set(POSE_INPUT_NAMES) != set(pose_inputs):
        raise ModelError(
            f"{poses}: expected inputs {', '.join(POSE_INPUT_NAMES)}, found {', '.join(pose_inputs)}; export both again"
        )
    if (info.model_id, info.input_size) != (pose_info.model_id, pose_info.input_size):
        raise ModelError(f"{poses}: it is of {pose_info.model_id}, {path.name} of {info.model_id}; export both again")
