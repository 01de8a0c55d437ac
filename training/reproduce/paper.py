"""The figures of Srivastav et al. 2020, Tables 1 to 3, to print beside ours."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

CITATION = (
    "Srivastav, Gangi, Padoy: Self-supervision on Unlabelled OR Data for Multi-person 2D/3D Human Pose Estimation,"
    " MICCAI 2020 (arXiv 2007.08354)"
)
#: What has to stand wherever a figure of theirs does.
LABEL = "the paper, on MVOR+, not the same test"


@dataclass(frozen=True)
class Figures:
    """Box AP and keypoint AP in percent, MPJPE in mm (the published protocol)."""

    box_ap: float
    keypoint_ap: float
    mpjpe_mm: float


#: Downsampling factor -> figures.
Row = Mapping[float, Figures]

TEACHER: Row = {
    1: Figures(53.81, 57.78, 134.88),
    8: Figures(39.03, 29.28, 170.25),
    10: Figures(31.90, 18.60, 203.89),
    12: Figures(24.38, 8.89, 260.83),
}
STUDENT: Row = {
    1: Figures(52.77, 46.17, 147.17),
    8: Figures(40.21, 27.02, 168.10),
    10: Figures(34.12, 20.06, 181.69),
    12: Figures(29.19, 14.42, 194.35),
}
#: Each figure is of a network of its own, trained and tested at that factor.
FIXED: Row = {
    1: Figures(50.87, 55.20, 134.23),
    8: Figures(49.50, 53.50, 137.40),
    10: Figures(49.01, 51.98, 137.71),
    12: Figures(48.23, 49.88, 138.83),
}
ALL: Row = {
    1: Figures(50.59, 55.80, 134.13),
    8: Figures(49.57, 53.31, 136.45),
    10: Figures(49.25, 52.12, 136.95),
    12: Figures(47.54, 49.51, 138.35),
}
#: Table 3. Its double branch has the figures of ORPose_all at 1x.
SINGLE: Mapping[str, Row] = {
    "hard": {1: Figures(50.61, 54.73, 145.77)},
    "soft": {1: Figures(51.04, 54.70, 134.20)},
    "both": {1: Figures(50.95, 55.11, 152.28)},
}
DOUBLE: Row = {1: ALL[1]}

#: What ours is reduced from: images to distil on and to test on, their size, images a batch, the student.
UNLABELLED_IMAGES, TEST_IMAGES = 77_000, 2196
IMAGE_SIZE = "640x480"
BATCH_SIZE = 32
STUDENT_NETWORK, TEACHER_NETWORK = "ResNet-50 FPN, 67.9 M parameters", "three networks, 250.1 M parameters"
#: Iterations of ORPose_fixed_1x, of the other fixed ones and of ORPose_all.
ITERATIONS_1X, ITERATIONS_FIXED, ITERATIONS_ALL = 5_000, 10_000, 20_000
