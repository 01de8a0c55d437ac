"""A teacher and a labelling run, as YAML and the command line say them: the only home of these defaults."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field, field_validator, model_validator

from orpose_models.settings import Settings, load_settings
from training.teacher.sspcm import Correction

InputSize = tuple[Annotated[int, Field(ge=32)], Annotated[int, Field(ge=32)]]

# ------------------------------------------------------------------------------------------------------------- boxes


class Detectron2Boxes(Settings):
    """A detectron2 detector; the paper's is the default. detectron2 is installed from its own repository."""

    kind: Literal["detectron2"] = Field(description="which of the kinds")
    model: str = Field(
        "Misc/cascade_mask_rcnn_X_152_32x8d_FPN_IN5k_gn_dconv.yaml",
        description="name of a model zoo configuration, or path of a YAML file",
    )
    weights: Path | None = Field(None, description="path of .pth or .pkl weights; none: the model zoo's, downloaded")


class TransformersBoxes(Settings):
    """A COCO detector of the transformers library: RT-DETR, D-FINE and whatever AutoModelForObjectDetection loads."""

    kind: Literal["transformers"] = Field(description="which of the kinds")
    model: str = Field(
        "PekingU/rtdetr_r50vd_coco_o365", description="folder with the weights, or a name on the library's hub"
    )
    batch_size: int = Field(4, ge=1, description="images in one go")


class NetworkBoxes(Settings):
    """The box part of one of our own networks."""

    kind: Literal["network"] = Field(description="which of the kinds")
    weights: Path = Field(description="safetensors file of `orpose train` or `orpose convert`")
    size: InputSize = Field((640, 480), description="network input, width and height px, at scale 1")
    batch_size: int = Field(4, ge=1, description="images in one go")


# --------------------------------------------------------------------------------------------------------- keypoints


class HrnetKeypoints(Settings):
    """HRNet-W48 with the simple baseline's final layer, as published for COCO."""

    kind: Literal["hrnet"] = Field(description="which of the kinds")
    weights: Path = Field(
        description="pose_hrnet_w48_*.pth of the HRNet repository (leoxiaobin/deep-high-resolution-net.pytorch), or a"
        " checkpoint with mmpose's key names"
    )
    size: Literal["384x288", "256x192"] = Field(
        "384x288", description="height x width of the crop, px, as the weights' name has it"
    )
    refine: Literal["quarter", "dark", "none"] = Field(
        "quarter", description="peak refinement; quarter: the published code's, dark: for weights trained with it"
    )
    flip_shift: bool = Field(True, description="shift the flipped view's heatmaps by one cell, as the published code")
    batch_size: int = Field(32, ge=1, description="people in one go")


class VitPoseKeypoints(Settings):
    """ViTPose of the transformers library: unbiased crops (UDP), DARK refinement, no shift of the flipped view."""

    kind: Literal["vitpose"] = Field(description="which of the kinds")
    model: str = Field(
        "usyd-community/vitpose-plus-huge", description="folder with the weights, or a name on the library's hub"
    )
    dark_kernel: int = Field(11, ge=3, description="width of DARK's smoothing window, cells, odd")
    batch_size: int = Field(32, ge=1, description="people in one go")

    @field_validator("dark_kernel")
    @classmethod
    def _has_a_middle(cls, width: int) -> int:
        if width % 2 == 0:
            raise ValueError("expected an odd number of cells")
        return width


class NetworkKeypoints(Settings):
    """The keypoint part of one of our own networks, on the boxes of the first stage."""

    kind: Literal["network"] = Field(description="which of the kinds")
    weights: Path = Field(description="safetensors file of `orpose train` or `orpose convert`")
    size: InputSize = Field((640, 480), description="network input, width and height px, at scale 1")


KeypointConfig = Annotated[HrnetKeypoints | VitPoseKeypoints | NetworkKeypoints, Field(discriminator="kind")]

# ----------------------------------------------------------------------------------------------------------- lifting


class NetworkLifting(Settings):
    """The lifters of one of our own networks: their mean."""

    kind: Literal["network"] = Field(description="which of the kinds")
    weights: Path = Field(description="safetensors file of `orpose train` or `orpose convert`")


class PublishedLifting(Settings):
    """A published two-block lifter; `kind` is the convention its weights were made with (Srivastav 2020)."""

    kind: Literal["orpose", "martinez"] = Field(
        description="orpose: 16 joints without Human3.6M's 8 (neck); martinez: without its 9 (neck/nose)"
    )
    weights: Path = Field(
        description="PyTorch checkpoint or safetensors with w1, batch_norm1, linear_stages, w2: an ORPose checkpoint,"
        " or ckpt_best.pth.tar of the PyTorch version of 3d-pose-baseline"
    )
    branch: Literal["hard", "soft"] = Field("soft", description="which one, in a whole ORPose checkpoint")
    statistics: Path = Field(description="Human3.6M's h36stats.json")


# --------------------------------------------------------------------------------------------------------- the whole


class Views(Settings):
    """Views of test-time augmentation: every scale, and each of them mirrored as well."""

    scales: tuple[Annotated[float, Field(gt=0.1, lt=8)], ...] = Field((1.0,), min_length=1, description="scale factors")
    flip: bool = Field(False, description="mirrored views as well")


class BoxViews(Views):
    """Views of the first stage; a scale is the detector's input size over its usual one."""

    merge: Literal["nms", "weighted"] = Field(
        "nms",
        description="nms: the best of overlapping boxes (detectron2's way); weighted: their mean",
    )
    merge_iou: float = Field(0.5, gt=0, lt=1, description="boxes that overlap more are one person")


class SspcmFilter(Settings):
    """Filters the second stage's joints by how far they agree with another network's (SSPCM 2023)."""

    keypoints: KeypointConfig = Field(description="the other second stage; it sees the same boxes and views")
    correction: Correction = Correction()


class TeacherConfig(Settings):
    """The three stages, their test-time augmentation, and what becomes a label."""

    name: str = Field(description="written into the label file")
    notes: str = Field("", description="where the weights come from and what they were trained on, for the label file")
    boxes: Detectron2Boxes | TransformersBoxes | NetworkBoxes = Field(discriminator="kind", description="first stage")
    keypoints: KeypointConfig = Field(description="second stage")
    lifting: NetworkLifting | PublishedLifting = Field(discriminator="kind", description="third stage")
    box_views: BoxViews = BoxViews()
    keypoint_views: Views = Field(Views(), description="a scale is the crop's size over its usual one")
    sspcm: SspcmFilter | None = Field(None, description="filter of 2D joints by a second network; none: no filter")
    box_threshold: float = Field(0.5, ge=0, le=1, description="people with a lower box score are dropped")
    joint_threshold: float = Field(0.5, ge=0, le=1, description="joints with a lower confidence are no hard labels")
    max_people: int = Field(50, ge=1, le=999, description="people an image, the best ones")
    device: str = Field(
        "auto",
        pattern=r"^(auto|cpu|cuda(:\d+)?)$",
        description="auto: a GPU where there is one; auto and cuda: of several, the next one for each worker",
    )

    @model_validator(mode="after")
    def _sspcm_compares_different_answers(self) -> TeacherConfig:
        if self.sspcm is None:
            return self
        if self.sspcm.keypoints == self.keypoints:
            raise ValueError("sspcm.keypoints: the same network as `keypoints`; the filter needs two different ones")
        views = self.keypoint_views
        if self.sspcm.correction.pairs == "all" and views.scales == (1.0,) and not views.flip:
            raise ValueError(
                "sspcm: compares plain and augmented views, but keypoint_views has the plain one alone; set flip or"
                " scales there, or sspcm.correction.pairs: current"
            )
        return self


def read_teacher_config(path: str | Path) -> TeacherConfig:
    """A teacher's YAML file; relative paths in it are relative to the working directory.

    Raises:
        ConfigError: One line that names file, key and what was expected.
    """
    return load_settings(TeacherConfig, path)


class LabellingConfig(Settings):
    """What `orpose pseudo-label` does with its input, beside the teacher."""

    every: int = Field(1, ge=1, description="label every N-th frame of each recording")
    split: float = Field(
        0.0, ge=0, lt=1, description="share of images kept aside for validation, as whole recordings; the paper: 0.04"
    )
    topic: tuple[str, ...] = Field((), description="image topics of bags; needed where a bag has several")
    downsample: float = Field(
        1.0, ge=1, le=12, description="privacy downsampling of a 480-line frame that the teacher sees"
    )
    batch: int = Field(16, ge=1, description="images a step; a stopped run loses at most one step of each worker")
