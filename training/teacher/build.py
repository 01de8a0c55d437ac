"""A teacher from its configuration; each stage's libraries are imported only where it is used."""

from __future__ import annotations

import torch

from orpose_models.bulk import worker_number
from orpose_models.errors import BackendError
from training.teacher.config import KeypointConfig, TeacherConfig
from training.teacher.stages import BoxStage, KeypointStage, LiftStage
from training.teacher.teacher import Teacher


def build_teacher(config: TeacherConfig) -> Teacher:
    """The teacher with all its weights loaded.

    Raises:
        ModelError: Weights that are missing, corrupt or of something else.
        BackendError: A library or device that is not there.
    """
    device = choose_device(config.device)
    other = None if config.sspcm is None else _keypoints(config.sspcm.keypoints, device)
    return Teacher(
        _boxes(config, device), _keypoints(config.keypoints, device), _lifting(config, device), config, other
    )


def choose_device(name: str) -> torch.device:
    """The device of that name; of several GPUs, where the name has no number, each worker process takes the next one.

    Raises:
        BackendError: It is not there.
    """
    if name == "auto":
        name = "cuda" if torch.cuda.is_available() else "cpu"
    if name == "cpu":
        return torch.device("cpu")
    count = torch.cuda.device_count()
    number = worker_number() % max(count, 1) if name == "cuda" else int(name.removeprefix("cuda:"))
    if number >= count:
        raise BackendError(f"device {name}: this machine has {count} CUDA devices; set `device` to cpu or auto")
    return torch.device("cuda", number)


def _boxes(config: TeacherConfig, device: torch.device) -> BoxStage:
    stage = config.boxes
    if stage.kind == "network":
        from training.teacher.network import NetworkBoxStage

        return NetworkBoxStage(stage, device)
    if stage.kind == "transformers":
        from training.teacher.transformers_boxes import TransformersBoxStage

        return TransformersBoxStage(stage, device)
    from training.teacher.detectron2_boxes import Detectron2BoxStage

    return Detectron2BoxStage(stage, device)


def _keypoints(stage: KeypointConfig, device: torch.device) -> KeypointStage:
    if stage.kind == "network":
        from training.teacher.network import NetworkKeypointStage

        return NetworkKeypointStage(stage, device)
    if stage.kind == "vitpose":
        from training.teacher.vitpose import VitPoseStage

        return VitPoseStage(stage, device)
    from training.teacher.hrnet import HrnetStage

    return HrnetStage(stage, device)


def _lifting(config: TeacherConfig, device: torch.device) -> LiftStage:
    if config.lifting.kind == "network":
        from training.teacher.network import NetworkLiftStage

        return NetworkLiftStage(config.lifting.weights, device)
    from training.teacher.lifting import PublishedLiftStage

    return PublishedLiftStage(config.lifting, device)
