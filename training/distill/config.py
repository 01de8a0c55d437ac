"""A training run, as its YAML file says it: the only home of these defaults."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field, model_validator

from orpose_models.network.lifter import LifterInput
from orpose_models.network.losses import BOX_BETA, TrainedLabels
from orpose_models.network.presets import PRESETS
from orpose_models.network.rpn import TRAIN_PROPOSALS, TRAIN_PROPOSALS_PER_LEVEL
from orpose_models.settings import Settings, build_settings, read_yaml_with_bases
from training.data.augment_config import AugmentConfig
from training.data.dataset import LabelConfig, SourceConfig
from training.distill.lifters import LifterConfig
from training.teacher.sspcm import Correction

Pixels = Annotated[int, Field(ge=32)]
Share = Annotated[float, Field(gt=0, le=1)]
LossName = Literal[
    "loss_objectness", "loss_rpn_box_reg", "loss_classifier", "loss_box_reg",
    "loss_2d_hard", "loss_2d_soft", "loss_3d_hard", "loss_3d_soft",
]  # fmt: skip


class StageConfig(Settings):
    """A part of the run with its own image size: train small first, finish large."""

    until: float = Field(gt=0, le=1, description="the stage ends at this share of the run's budget")
    size: tuple[Pixels, Pixels] = Field(description="width and height of the network's input, px")
    batch_size: int = Field(ge=1, description="images an iteration, of all processes together")


class OptimizerConfig(Settings):
    """Optimiser and learning-rate schedule; shares are of the run's budget."""

    name: Literal["adamw", "sgd"] = Field("adamw", description="AdamW, or SGD with momentum (the papers')")
    lr: float = Field(1e-3, gt=0, description="peak learning rate")
    schedule: Literal["cosine", "step"] = Field(
        "cosine", description="cosine to 0.001 of the peak, or x0.1 at each milestone"
    )
    warmup: float = Field(0.03, ge=0, lt=1, description="share over which the rate rises linearly from 1 % of the peak")
    milestones: tuple[Share, ...] = Field((0.7, 0.8, 0.9), description="shares at which `step` multiplies by 0.1")
    momentum: float = Field(0.9, ge=0, lt=1, description="of SGD")
    weight_decay: float = Field(1e-2, ge=0, description="on convolution and linear weights only")
    clip_norm: float = Field(10.0, gt=0, description="largest gradient norm; larger ones are scaled down")


class ValidationConfig(Settings):
    """What the run is judged on while it runs."""

    sources: tuple[SourceConfig, ...] = Field((), description="label files; other recordings than the training ones")
    every_minutes: float = Field(20.0, gt=0, description="minutes between validations")
    downsample: tuple[Annotated[float, Field(ge=1, le=12)], ...] = Field(
        (1.0, 12.0), description="privacy downsampling factors to validate at"
    )


class PartnerConfig(Settings):
    """Other weights that count in the mean that is kept."""

    weights: Path = Field(description="safetensors file of the same origin as the run's weights")
    share: float = Field(ge=0, le=1, description="how much it counts; the run's own weights have the rest")


class InteractiveConfig(Settings):
    """SSPCM's interactive training (2023): two teachers of the run's preset learn beside the student.

    The run's `sources` are the unlabelled images (their labels are not used) and `augment` is the hard view; labels are
    made on a view that is at most mirrored. A batch has as many images of `labelled` as of `sources`.
    """

    labelled: tuple[SourceConfig, ...] = Field(min_length=1, description="label files with ordinary ground truth")
    teachers: tuple[Path, Path] = Field(description="two different safetensors files that the teachers start from")
    correction: Correction = Correction()
    box_threshold: float = Field(0.5, ge=0, le=1, description="people with a lower box score are no labels")
    joint_threshold: float = Field(0.5, ge=0, le=1, description="joints with a lower score are no hard labels")

    @model_validator(mode="after")
    def _teachers_differ(self) -> InteractiveConfig:
        first, second = self.teachers
        if first.resolve() == second.resolve():
            raise ValueError(f"teachers: both start from {first}; from two different networks they learn of each other")
        return self


class TrainConfig(Settings):
    """One training run. The budget is `iterations` or `max_minutes`; the schedule follows whichever runs out first."""

    name: str = Field(description="name of the run and of the weights' card")
    preset: str = Field("lite", description="network preset")
    initial_weights: Path | None = Field(None, description="safetensors file to start from; none: from scratch")
    seed: int = Field(0, ge=0, description="of weights, sampling and augmentation")
    sources: tuple[SourceConfig, ...] = Field(min_length=1, description="training label files and image folders")
    more_sources: tuple[SourceConfig, ...] = Field((), description="further ones, besides those of the `base`")
    labels: LabelConfig = LabelConfig()
    augment: AugmentConfig = AugmentConfig()
    interactive: InteractiveConfig | None = Field(None, description="two teachers that learn as well; none: plain run")
    stages: tuple[StageConfig, ...] = Field(min_length=1, description="in order; the last one ends at 1")
    iterations: int | None = Field(None, ge=1, description="budget in iterations")
    max_minutes: float | None = Field(None, gt=0, description="budget in wall-clock minutes, validation included")
    optimizer: OptimizerConfig = OptimizerConfig()
    ema_decay: float = Field(0.998, ge=0, lt=1, description="moving average of the weights that is kept; 0: none")
    average_with: tuple[PartnerConfig, ...] = Field(
        (),
        description="other weights whose mean with the run's own is kept, with the first's lifters and without layers"
        " that the run has not; empty: no mean",
    )
    keypoint_rois_per_image: int = Field(16, ge=1, description="boxes of people per image in the keypoint loss")
    hard_3d_target: Literal["s3d", "h3d"] = Field("s3d", description="3D label of the hard branch (Srivastav 2020)")
    trained_labels: TrainedLabels = Field(
        "hard+soft",
        description="labels a single-branch preset learns from (Srivastav 2020, Table 3); two branches need both",
    )
    training_proposals: int = Field(
        TRAIN_PROPOSALS, ge=1, description="best proposals of an image that the box head learns from; few are hard ones"
    )
    training_proposals_per_level: int = Field(
        TRAIN_PROPOSALS_PER_LEVEL, ge=1, description="best anchors of each pyramid level that enter the NMS in training"
    )
    box_beta: float = Field(
        BOX_BETA,
        gt=0,
        description="smooth L1 of the box head: square below this, linear above (1/9: torchvision's; paper: 0.5)",
    )
    freeze_batch_norm: bool = Field(
        False, description="BatchNorm of trunk and pyramid stays as `initial_weights` has it (detectron2's default)"
    )
    heatmap_sigma: float = Field(
        0.0,
        ge=0,
        le=8,
        description="standard deviation of a Gaussian heatmap target, cells; 0: one cell (paper)",
    )
    lifter_input: LifterInput = Field("paper", description="what the lifters read: joints, or their confidence as well")
    lifter_iterations: int = Field(
        0, ge=0, description="after training, fit the lifters alone, so many batches; 0: not"
    )
    lifters: LifterConfig = LifterConfig()
    loss_weights: dict[LossName, Annotated[float, Field(ge=0)]] = Field(
        {}, description="factors of single losses; 1 where not named (the paper's)"
    )
    validation: ValidationConfig = ValidationConfig()
    num_workers: int = Field(1, ge=0, description="processes that prepare batches, for each training process")
    threads: int = Field(2, ge=1, description="threads of torch in each process")
    device: Literal["cpu", "cuda"] = Field("cpu", description="where to train; with torchrun one GPU a process")
    precision: Literal["fp32", "bf16", "fp16"] = Field(
        "fp32",
        description="autocast; fp16 with gradient scaling; bf16 on the CPU in the keypoint head only, and not on "
        "processors without it, which is told",
    )
    channels_last: bool = Field(True, description="memory layout of convolutions")
    checkpoint_minutes: float = Field(5.0, gt=0, description="minutes between checkpoints")
    log_every: int = Field(10, ge=1, description="iterations that one line of log.jsonl averages over")
    tensorboard: bool = Field(False, description="write TensorBoard events beside log.jsonl (pip install tensorboard)")
    data_notes: str = Field("", description="what the data are, for the model card")

    @model_validator(mode="after")
    def _budget_and_stages(self) -> TrainConfig:
        if self.iterations is None and self.max_minutes is None:
            raise ValueError("budget: set iterations or max_minutes")
        ends = [stage.until for stage in self.stages]
        if ends != sorted(set(ends)) or ends[-1] != 1:
            raise ValueError(f"stages: `until` must rise and end at 1, got {ends}")
        return self

    @model_validator(mode="after")
    def _shares_are_parts_of_one(self) -> TrainConfig:
        total = sum(partner.share for partner in self.average_with)
        if total > 1 + 1e-6:  # but for rounding
            raise ValueError(f"average_with: the shares' sum must be 1 at most, got {total:g}")
        return self

    @model_validator(mode="after")
    def _frozen_norms_come_from_somewhere(self) -> TrainConfig:
        if self.freeze_batch_norm and self.initial_weights is None:
            raise ValueError("freeze_batch_norm: random weights have no statistics to keep; set initial_weights")
        return self

    @model_validator(mode="after")
    def _labels_fit_the_branches(self) -> TrainConfig:
        if self.preset in PRESETS and PRESETS[self.preset].branches == 2 and self.trained_labels != "hard+soft":
            raise ValueError(f"trained_labels: preset {self.preset} has two branches; {self.preset}_single has one")
        if self.precision == "fp16" and self.device == "cpu":
            raise ValueError("precision: fp16 is for device cuda; on the CPU use bf16")
        return self


def read_config(path: str | Path, **overrides: Any) -> TrainConfig:
    """A run's YAML file with some keys replaced; relative paths in it are relative to the working directory.

    Keys that are not given are its `base`'s (`read_yaml_with_bases`); `sources` holds `more_sources` as well.

    Raises:
        ConfigError: One line that names file, key and what was expected.
    """
    config = build_settings(TrainConfig, {**read_yaml_with_bases(path), **overrides}, str(path))
    return config.model_copy(update={"sources": (*config.sources, *config.more_sources), "more_sources": ()})
