"""What `make reproduce` runs: the only home of these defaults."""

from __future__ import annotations

from pathlib import Path

from pydantic import Field, model_validator

from orpose_models.evaluate.resample import ResampleSettings
from orpose_models.evaluate.seen import Joints
from orpose_models.settings import Settings

#: Folder of each split of SynthOR, as the training configs name them; the last four are always needed.
FOLDERS = {
    "everyday_ceiling": "everyday_ceiling",
    "everyday_high": "everyday_high",
    "everyday_train": "everyday",
    "everyday_validation": "everyday_val",
    "or_unlabelled": "or_unlabelled",
    "or_test": "or_test",
}
#: Intervals of tables and claims: whole scenes are drawn, for a scene's views show the same people.
RESAMPLING = ResampleSettings(resample="sequence")


class ReproduceConfig(Settings):
    """One reproduction of the papers' tables on SynthOR, at a scale of its own."""

    name: str = Field(description="name of the reproduction, as its tables say it")
    data: Path = Field(Path("data"), description="folder of the data sets; the training configs name it as well")
    runs: Path = Field(Path("runs/reduced"), description="folder of the trained networks and their results")
    configs: Path = Field(Path("training/configs/reduced"), description="folder of the runs' training configs")
    size: str = Field("320x240", pattern=r"^\d+x\d+$", description="rendered images, WIDTHxHEIGHT px")
    input_size: str = Field("320x240", pattern=r"^\d+x\d+$", description="the students' input, WIDTHxHEIGHT px")
    images: dict[str, int] = Field(description="how many of the first images of each split of SynthOR")
    validation_share: float = Field(0.04, gt=0, lt=1, description="pseudo labels kept aside, as whole recordings")
    joints: Joints = Field(
        "seen", description="joints that keypoint AP counts: renders label hidden ones as well, people hardly ever"
    )
    scales: tuple[float, ...] = Field((1, 8, 10, 12), min_length=1, description="privacy downsampling factors tested")
    start: str | None = Field(None, description="what student and teacher start from, a training config's name")
    undistilled: str = Field("undistilled", description="the student before distillation, a training config's name")
    teacher: str = Field("undistilled_teacher", description="the teacher's network, a training config's name")
    train_teacher: bool = Field(
        True, description="train that network; no: `teacher` only names the teacher, whose networks are published ones"
    )
    teacher_stages: Path = Field(
        Path("training/configs/teacher_reduced.yaml"), description="the teacher that is tested, with that network"
    )
    pseudo_labels: dict[str, Path] = Field(
        {"or_pseudo": Path("training/configs/teacher_reduced.yaml")},
        description="folder of pseudo labels, as the training configs name it -> the teacher that makes them",
    )
    label_workers: int = Field(1, ge=1, description="processes that label, each with its own teacher")
    distilled: tuple[str, ...] = Field(description="training configs of the distilled students")
    ablation: tuple[str, ...] = Field((), description="those of them in the table of branches and labels, at 1x")
    sspcm: tuple[str, ...] = Field((), description="those of them in the table of SSPCM's filter and Cut-Occlude")

    @property
    def trained_first(self) -> tuple[str, ...]:
        """Training configs of what is trained before anything is labelled, in order."""
        first = () if self.start is None else (self.start,)
        return (*first, self.undistilled, *([self.teacher] if self.train_teacher else []))

    @model_validator(mode="after")
    def _names_are_known(self) -> ReproduceConfig:
        needed = list(FOLDERS)[-4:]
        if not set(needed) <= set(self.images) <= set(FOLDERS):
            raise ValueError(f"images: expected {', '.join(needed)}, got {', '.join(self.images)}")
        networks = (self.undistilled, self.teacher, *self.distilled)
        for name in (*self.ablation, *self.sspcm):
            if name not in networks:
                raise ValueError(f"ablation, sspcm: {name} is not one of: {', '.join(networks)}")
        return self
