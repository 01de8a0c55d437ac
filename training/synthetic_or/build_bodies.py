"""Exports the body bank that generation uses: rest meshes, skinning weights and joint regressors of many adults.

The shapes come from `anny` (Apache-2.0 code, CC0 MakeHuman data), which needs torch; the exported bank needs numpy
alone. Run `python -m training.synthetic_or.build_bodies OUT.npz` with `anny` installed (first load: a minute and a
1.2 GB cache).
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

_TRUNK = (
    ("pelvis", None, ("root", "pelvis", "spine05")),
    ("spine", "pelvis", ("spine04", "spine03")),
    ("chest", "spine", ("spine02", "spine01", "breast")),
    ("neck", "chest", ("neck01", "neck02", "neck03")),
    ("head", "neck", ("head", "eye", "jaw", "tongue")),
)
#: Simplified bones: name, parent, prefixes of the anny bones they gather. The first listed anny bone gives the joint.
BONES: tuple[tuple[str, str | None, tuple[str, ...]], ...] = (
    *_TRUNK,
    *(
        bone
        for side, tag in (("left", "L"), ("right", "R"))
        for bone in (
            (f"{side}_clavicle", "chest", (f"clavicle.{tag}", f"shoulder01.{tag}")),
            (f"{side}_upper_arm", f"{side}_clavicle", (f"upperarm01.{tag}", f"upperarm02.{tag}")),
            (f"{side}_forearm", f"{side}_upper_arm", (f"lowerarm01.{tag}", f"lowerarm02.{tag}")),
            (f"{side}_hand", f"{side}_forearm", (f"wrist.{tag}", f"finger@.{tag}", f"metacarpal@.{tag}")),
            (f"{side}_thigh", "pelvis", (f"upperleg01.{tag}", f"upperleg02.{tag}")),
            (f"{side}_shin", f"{side}_thigh", (f"lowerleg01.{tag}", f"lowerleg02.{tag}")),
            (f"{side}_foot", f"{side}_shin", (f"foot.{tag}", f"toe@.{tag}")),
        )
    ),
)
BONE_NAMES = tuple(name for name, _, _ in BONES)
#: anny-full's vertices from this one on are the eyeballs.
_FIRST_EYE_VERTEX = 13380


def build(path: Path, num_shapes: int = 32, seed: int = 0) -> None:
    """Writes the bank of `num_shapes` adults, 5th to 95th percentile in height and weight, to `path` (npz)."""
    from anny import Anny
    from anny.keypoints import KeypointsRegressor

    model = Anny(topology="anny-full")
    out = model(phenotype_kwargs=_phenotypes(num_shapes, np.random.default_rng(seed)))
    rest = out["rest_vertices"].numpy()
    faces = np.asarray(model.faces)
    used = np.unique(faces)
    new_index = np.full(len(model.template_vertices), -1)
    new_index[used] = np.arange(len(used))
    coco = KeypointsRegressor.coco(model).regression_weights.numpy()[:17]
    arrays: dict[str, Any] = {
        "faces": new_index[faces].astype(np.uint16),
        "rest_vertices": rest[:, used].astype(np.float16),
        "bone_heads": out["rest_bone_heads"].numpy()[:, _bones_with_joint(model)].astype(np.float32),
        "bone_parents": np.array([-1 if p is None else BONE_NAMES.index(p) for _, p, _ in BONES], np.int8),
        **_skinning(model, used),
        "coco_joints": np.einsum("kv,svd->skd", coco, rest).astype(np.float32),
        **_sparse_regressor(coco[:, used]),
        "is_eye": used >= _FIRST_EYE_VERTEX,
    }
    np.savez_compressed(path, **arrays)


def _phenotypes(num_shapes: int, rng: np.random.Generator) -> dict[str, Any]:
    """anny's body parameters, all in [0, 1]; half of the bodies female, all adults."""
    import torch

    def uniform(low: float, high: float) -> Any:
        return torch.tensor(rng.uniform(low, high, num_shapes))

    return {
        "gender": torch.tensor((np.arange(num_shapes) % 2) * 0.9 + rng.uniform(0, 0.1, num_shapes)),
        "age": uniform(0.62, 0.8),
        "muscle": uniform(0.3, 0.7),
        "weight": uniform(0.3, 0.75),
        "height": uniform(0.22, 0.62),
        "proportions": uniform(0.4, 0.7),
    }


def _simplified_bone(anny_bone: str) -> int:
    stem, _, side = anny_bone.partition(".")
    for index, (_, _, sources) in enumerate(BONES):
        for source in sources:
            source_stem, _, source_side = source.partition(".")
            if source_side != side and source_side:
                continue
            wildcard = source_stem.endswith("@") and stem.startswith(source_stem[:-1])
            if wildcard or stem == source_stem:
                return index
    raise KeyError(f"anny bone {anny_bone!r} belongs to no simplified bone")


def _bones_with_joint(model: Any) -> list[int]:
    """The anny bone whose start is each simplified bone's joint."""
    labels = list(model.bone_labels)
    first = [next(i for i, label in enumerate(labels) if _simplified_bone(label) == bone) for bone in range(len(BONES))]
    first[BONE_NAMES.index("spine")] = labels.index("spine04")
    return first


def _skinning(model: Any, used: NDArray) -> dict[str, NDArray]:
    """The four strongest simplified bones of each used vertex, and their weights."""
    dense = np.zeros((len(used), len(BONES)), np.float32)
    weights = model.vertex_bone_weights.numpy()[used]
    indices = model.vertex_bone_indices.numpy()[used]
    to_simple = np.array([_simplified_bone(name) for name in model.bone_labels])
    for column in range(weights.shape[1]):
        np.add.at(dense, (np.arange(len(used)), to_simple[indices[:, column]]), weights[:, column])
    order = np.argsort(-dense, axis=1)[:, :4]
    top = np.take_along_axis(dense, order, 1)
    return {
        "weight_bones": order.astype(np.uint8),
        "weights": (top / top.sum(1, keepdims=True)).astype(np.float16),
    }


def _sparse_regressor(coco: NDArray) -> dict[str, NDArray]:
    joint, vertex = np.nonzero(np.abs(coco) > 1e-6)
    return {
        "coco_joint": joint.astype(np.uint8),
        "coco_vertex": vertex.astype(np.uint16),
        "coco_weight": coco[joint, vertex].astype(np.float32),
    }


if __name__ == "__main__":
    build(Path(sys.argv[1]))
