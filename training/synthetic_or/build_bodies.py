"""Exports the body bank that generation uses: rest meshes, skinning weights and joint regressors of many adults.

The shapes come from `anny` (Apache-2.0 code, CC0 MakeHuman data), which needs torch; the exported bank needs numpy alone.
Run `python -m training.synthetic_or.build_bodies OUT.npz` with `anny` installed (first load: a minute and a 1.2 GB cache).
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np

#: Simplified bones: name, parent, prefixes of the anny bones they gather. The first listed anny bone gives the joint.
BONES: tuple[tuple[str, str | None, tuple[str, ...]], ...] = (
    ("pelvis", None, ("root", "pelvis", "spine05")),
    ("spine", "pelvis", ("spine04", "spine03")),
    ("chest", "spine", ("spine02", "spine01", "breast")),
    ("neck", "chest", ("neck01", "neck02", "neck03")),
    ("head", "neck", ("head", "eye", "jaw", "tongue")),
) + tuple(
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
)
BONE_NAMES = tuple(name for name, _, _ in BONES)


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


def build(path: Path, num_shapes: int = 32, seed: int = 0) -> None:
    """Writes the bank of `num_shapes` adults, 5th to 95th percentile in height and weight, to `path` (npz)."""
    import torch
    from anny import Anny
    from anny.keypoints import KeypointsRegressor

    model = Anny(topology="anny-full")
    rng = np.random.default_rng(seed)
    faces = np.asarray(model.faces)
    used = np.unique(faces)
    new_index = np.full(len(model.template_vertices), -1)
    new_index[used] = np.arange(len(used))

    def phenotype(low: float, high: float) -> torch.Tensor:
        return torch.tensor(rng.uniform(low, high, num_shapes))

    out = model(
        phenotype_kwargs={
            "gender": torch.tensor((np.arange(num_shapes) % 2) * 0.9 + rng.uniform(0, 0.1, num_shapes)),
            "age": phenotype(0.62, 0.8),
            "muscle": phenotype(0.3, 0.7),
            "weight": phenotype(0.3, 0.75),
            "height": phenotype(0.22, 0.62),
            "proportions": phenotype(0.4, 0.7),
        }
    )
    rest = out["rest_vertices"].numpy()
    anny_heads = out["rest_bone_heads"].numpy()
    labels = list(model.bone_labels)
    first = [labels.index(next(n for n in labels if _simplified_bone(n) == i)) for i in range(len(BONES))]
    first[BONE_NAMES.index("spine")] = labels.index("spine04")

    dense = np.zeros((len(used), len(BONES)), np.float32)
    weights = model.vertex_bone_weights.numpy()[used]
    indices = model.vertex_bone_indices.numpy()[used]
    to_simple = np.array([_simplified_bone(name) for name in labels])
    for column in range(weights.shape[1]):
        np.add.at(dense, (np.arange(len(used)), to_simple[indices[:, column]]), weights[:, column])
    order = np.argsort(-dense, axis=1)[:, :4]
    top = np.take_along_axis(dense, order, 1)

    regressor = KeypointsRegressor.coco(model)
    coco = regressor.regression_weights.numpy()[:17]
    np.savez_compressed(
        path,
        faces=new_index[faces].astype(np.uint16),
        rest_vertices=rest[:, used].astype(np.float16),
        bone_heads=anny_heads[:, first].astype(np.float32),
        bone_parents=np.array([-1 if p is None else BONE_NAMES.index(p) for _, p, _ in BONES], np.int8),
        weight_bones=order.astype(np.uint8),
        weights=(top / top.sum(1, keepdims=True)).astype(np.float16),
        coco_joints=np.einsum("kv,svd->skd", coco, rest).astype(np.float32),
        **_sparse_regressor(coco[:, used]),
        is_eye=(used >= 13380),
    )


def _sparse_regressor(coco: np.ndarray) -> dict[str, np.ndarray]:
    joint, vertex = np.nonzero(np.abs(coco) > 1e-6)
    return {
        "coco_joint": joint.astype(np.uint8),
        "coco_vertex": vertex.astype(np.uint16),
        "coco_weight": coco[joint, vertex].astype(np.float32),
    }


if __name__ == "__main__":
    build(Path(sys.argv[1]))
