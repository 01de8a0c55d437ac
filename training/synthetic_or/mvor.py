"""MVOR's own keys (CAMMA's multi-view operating-room data set, and MVOR+) beside ours: its loaders read our files.

MVOR: `multiview_images`, `annotations3D`, `cameras_info`, and of images and annotations cam_id, day_id, date_captured,
person_role, only_bbox. MVOR+: `keypoints2D_camma`, `keypoints3D_camma_projected_true` and `..._allkps`. The keypoints
of an annotation stay COCO's 17, as in MVOR+.
"""

from __future__ import annotations

import datetime
from typing import Any

import numpy as np
from numpy.typing import NDArray

from orpose_models.errors import ConfigError
from orpose_models.skeleton import h36m17_scores_from_coco17, mvor10_from_coco17, mvor10_from_h36m17
from training.synthetic_or.config import SynthConfig

#: MVOR has 12 joints in 3D, of which the last two have no name.
_JOINTS_3D = 12
_EPOCH = datetime.datetime(2024, 1, 1, tzinfo=datetime.timezone.utc)


def check_mvor(config: SynthConfig) -> None:
    """Raises ConfigError when scenes may have cameras that MVOR's format cannot describe."""
    if config.room is not None and config.room.cameras:
        for camera in config.room.cameras:
            _check_lens(camera.name, camera.model)
        return
    if config.cameras == "fisheye" or (config.cameras == "mixed" and config.domain == "or"):
        raise ConfigError(
            f"command line: mvor: MVOR's format has no fisheye lens, and --cameras {config.cameras} draws some; "
            "give --cameras mvor or ceiling"
        )


def _check_lens(camera: str, model: str) -> None:
    if model != "plumb_bob":
        raise ConfigError(f"camera {camera}: lens {model}: MVOR's format describes plumb_bob alone; leave --mvor out")


class MvorKeys:
    """Adds the keys to one scene after the other; MVOR has one set of cameras, so the first scene's come first."""

    def __init__(self) -> None:
        self._rigs: dict[str, dict[str, Any]] = {}
        self._poses = 0

    def cameras_info(self) -> dict[str, Any]:
        """MVOR's `cameras_info`. `camParams` are those of the first scene; with others, `camParams_of` has them all."""
        rigs = list(self._rigs.values())
        info = {"camParams": rigs[0] if rigs else {}, "date_identifier": f"{_EPOCH:%Y%m%d}"}
        return info if all(rig == rigs[0] for rig in rigs) else {**info, "camParams_of": self._rigs}

    def add_to(self, scene: dict[str, Any]) -> dict[str, list[dict[str, Any]]]:
        """Adds keys to a shard's images and annotations; returns the scene's entries of the top-level lists."""
        cameras = list(scene["cameras"].values())
        for image in scene["images"]:
            seconds = image.get("stamp_ns", 0) / 1e9
            captured = datetime.datetime.fromtimestamp(seconds, datetime.timezone.utc) if seconds else _EPOCH
            number = list(scene["cameras"]).index(image["camera_id"])
            image |= {"cam_id": number + 1, "day_id": 1, "date_captured": captured.strftime("%Y-%m-%d %H:%M:%S.%f")}
        for label in scene["annotations"]:
            label |= _label_keys(label)
        if not cameras:
            return {"multiview_images": [], "annotations3D": []}
        self._rigs[scene["images"][0]["sequence"]] = _rig(scene["cameras"])
        moments: dict[int, list[dict[str, Any]]] = {}
        for image in scene["images"]:
            moments.setdefault(image["frame_index"], []).append(image)
        return {
            "multiview_images": [{"images": images, "id": _joined(images)} for images in moments.values()],
            "annotations3D": [pose for images in moments.values() for pose in self._poses_of(images, scene)],
        }

    def _poses_of(self, images: list[dict[str, Any]], scene: dict[str, Any]) -> list[dict[str, Any]]:
        """One 3D pose a person of a moment, mm in the first camera's frame; flag 2: seen by some camera, else 1."""
        first = np.array(next(iter(scene["cameras"].values()))["room_from_camera"])
        camera_of = {image["id"]: scene["cameras"][image["camera_id"]] for image in images}
        found: dict[int, NDArray] = {}
        for label in scene["annotations"]:
            if label["image_id"] not in camera_of or label["iscrowd"]:
                continue
            joints = _mvor_3d(label)
            first_from_camera = np.linalg.inv(first) @ np.array(camera_of[label["image_id"]]["room_from_camera"])
            joints[:, :3] = joints[:, :3] @ first_from_camera[:3, :3].T + first_from_camera[:3, 3] * 1000.0
            before = found.setdefault(label["person_id"], joints)
            before[:, 3] = np.maximum(before[:, 3], joints[:, 3])
        poses = []
        for person_id, joints in found.items():
            self._poses += 1
            padded = np.zeros((_JOINTS_3D, 4))
            padded[: len(joints)] = joints
            poses.append(
                {
                    "ref_camera": 0, "person_id": person_id, "image_ids": _joined(images), "id": str(self._poses),
                    "keypoints3D": np.round(padded, 1).ravel().tolist(),
                }
            )  # fmt: skip
        return poses


def _joined(images: list[dict[str, Any]]) -> str:
    return "_".join(str(image["id"]) for image in images)


def _mvor_3d(label: dict[str, Any]) -> NDArray:
    """`(10, 4)` x, y, z (mm, camera frame) and flag."""
    return mvor10_from_h36m17(np.array(label["keypoints_3d"]).reshape(17, 4)).copy()


def _label_keys(label: dict[str, Any]) -> dict[str, Any]:
    """MVOR's and MVOR+'s keys of an annotation; 2D joints in px, 3D joints in METRES in the camera frame."""
    coco = np.array(label["keypoints"]).reshape(17, 3)
    joints_2d = np.column_stack([mvor10_from_coco17(coco[:, :2]), _mvor_flags(coco[:, 2])])
    joints_2d[joints_2d[:, 2] == 0] = 0.0
    joints_3d = _mvor_3d(label)
    joints_3d[:, :3] /= 1000.0
    flat_3d = np.round(joints_3d, 4).ravel().tolist()
    return {
        "person_role": "patient" if label["role"] == "patient" else "clinician",
        "only_bbox": label["iscrowd"],
        "face_blurred": 0,
        "keypoints2D_camma": np.round(joints_2d, 2).ravel().tolist(),
        "keypoints3D_camma_projected_true": flat_3d,
        "keypoints3D_camma_projected_allkps": flat_3d,  # every joint is known here
    }


def _mvor_flags(coco_flags: NDArray) -> NDArray:
    """`(10,)` flags of MVOR's joints: the lowest of those each is made of."""
    return mvor10_from_h36m17(h36m17_scores_from_coco17(coco_flags)[:, None])[:, 0]


def _rig(cameras: dict[str, dict[str, Any]]) -> dict[str, Any]:
    """MVOR's `camParams`: mm, all cameras relative to the first."""
    poses = []
    for camera in cameras.values():
        pose = np.array(camera["room_from_camera"])
        pose[:3, 3] *= 1000.0
        poses.append(pose)
    return {
        "firstCamToRoomRef": poses[0].ravel().tolist(),
        "intrinsics": [_intrinsics(name, camera) for name, camera in cameras.items()],
        "ids": list(cameras),
        "extrinsics": [(np.linalg.inv(poses[0]) @ pose).ravel().tolist() for pose in poses],
    }


def _intrinsics(name: str, camera: dict[str, Any]) -> dict[str, Any]:
    _check_lens(name, camera["model"])
    k1, k2, p1, p2, k3 = [*camera["distortion"], 0.0, 0.0, 0.0, 0.0, 0.0][:5]
    return {
        "serialnumber": name,
        "skew_value": 0,
        "distortion": [k1, k2, k3, p1, p2],  # the order that MVOR's numbers are in, by their sizes
        "principalpoint": [camera["cx"], camera["cy"]],
        "focallength": [camera["fx"], camera["fy"]],
        "imagesize": camera["image_size"],
    }
