"""Which part of the paper's tables each network of a reproduction plays."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

from training.reproduce import paper
from training.reproduce.config import ReproduceConfig


@dataclass(frozen=True)
class Roles:
    """Names of training configs; None or left out: not in this reproduction.

    Attributes:
        fixed: Downsampling factor -> the network distilled at that factor alone.
        all: The one distilled at all factors.
        single: hard, soft or both -> the single branch trained on these labels.
        double: The two branches beside which the single ones stand.
        h3d: The same two, the hard branch with 3D labels of its own instead of the soft branch's.
    """

    teacher: str
    student: str
    fixed: Mapping[float, str]
    all: str | None
    single: Mapping[str, str]
    double: str | None
    h3d: str | None


def roles_of(config: ReproduceConfig) -> Roles:
    """By name: orpose_fixed_8x, orpose_all, orpose_single_hard, orpose_single_soft and orpose_single_both.

    The double branch is the first of the ablation that is not a single one; with _h3d at its end, the one so trained.
    """
    names = config.distilled
    fixed = {float(m[1]): m[0] for name in names if (m := re.fullmatch(r"orpose_fixed_(\d+(?:\.\d+)?)x", name))}
    single = {m[1]: m[0] for name in names if (m := re.fullmatch(r"orpose_single_(hard|soft|both)", name))}
    doubles = [name for name in config.ablation if name not in single.values()]
    double = doubles[0] if doubles else None
    h3d = f"{double}_h3d"
    return Roles(
        teacher=config.teacher,
        student=config.undistilled,
        fixed={scale: name for scale, name in fixed.items() if scale in config.scales},
        all="orpose_all" if "orpose_all" in names else None,
        single=single,
        double=double,
        h3d=h3d if h3d in config.ablation else None,
    )


def published(roles: Roles, name: str, *, ablation: bool = False) -> paper.Row:
    """What the paper has of the network of that name; nothing for one of ours. Table 3 (`ablation`) has its own."""
    for label, single in roles.single.items():
        if name == single:
            return paper.SINGLE[label]
    if ablation:
        return paper.DOUBLE if name == roles.double else {}
    for scale, fixed in roles.fixed.items():
        if name == fixed:
            return {scale: paper.FIXED[scale]} if scale in paper.FIXED else {}
    rows = {roles.teacher: paper.TEACHER, roles.student: paper.STUDENT, roles.all: paper.ALL}
    return rows.get(name, {})
