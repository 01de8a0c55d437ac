"""Exports the body bank that generation uses: rest meshes, skinning weights and joint regressors of many adults.

The shapes come from `anny` (Apache-2.0 code, CC0 MakeHuman data), which needs torch; the exported bank needs numpy
alone. Run `python -m training.synthetic_or.people.build_bodies OUT.npz` with `anny` installed (first load: a minute
and a 1.2 GB cache).
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from training.synthetic_or.people.decimate import decimated

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
            (f"{side}_hand", f"{side}_forearm", (f"wrist.{tag}", f"finger1@.{tag}", f"metacarpal@.{tag}")),
            (f"{side}_fingers", f"{side}_hand", tuple(f"finger{n}-1.{tag}" for n in (3, 2, 4, 5))),
            (
                f"{side}_fingertips",
                f"{side}_fingers",
                tuple(f"finger{n}-{k}.{tag}" for k in (2, 3) for n in (3, 2, 4, 5)),
            ),
            (f"{side}_thigh", "pelvis", (f"upperleg01.{tag}", f"upperleg02.{tag}")),
            (f"{side}_shin", f"{side}_thigh", (f"lowerleg01.{tag}", f"lowerleg02.{tag}")),
            (f"{side}_foot", f"{side}_shin", (f"foot.{tag}", f"toe@.{tag}")),
        )
    ),
)
BONE_NAMES = tuple(name for name, _, _ in BONES)
#: anny-full's vertices from this one on are the eyeballs.
_FIRST_EYE_VERTEX = 13380


def build(path: Path, num_shapes: int = 64, num_faces: int = 9000, seed: int = 0) -> None:
    """Writes the bank of `num_shapes` adults with about `num_faces` triangles each to `path` (npz)."""
    from anny import Anny
    from anny.keypoints import KeypointsRegressor

    model = Anny(topology="anny-full")
    out = model(phenotype_kwargs=_phenotypes(num_shapes, np.random.default_rng(seed)))
    rest = out["rest_vertices"].numpy()
    heads = out["rest_bone_heads"].numpy()
    mean = rest.mean(0)
    faces = decimated(mean, _seen_from_outside(mean, np.asarray(model.faces)), num_faces)
    used = np.unique(faces)
    new_index = np.full(len(model.template_vertices), -1)
    new_index[used] = np.arange(len(used))
    coco = KeypointsRegressor.coco(model).regression_weights.numpy()[:17]
    weights = _skinning(model)
    arrays: dict[str, Any] = {
        "faces": new_index[faces].astype(np.uint16),
        "rest_vertices": rest[:, used].astype(np.float16),
        "bone_heads": heads[:, _bones_with_joint(model)].astype(np.float32),
        "bone_parents": np.array([-1 if p is None else BONE_NAMES.index(p) for _, p, _ in BONES], np.int8),
        **_strongest(weights[used]),
        "coco_joints": np.einsum("kv,svd->skd", coco, rest).astype(np.float32),
        # A joint is a weighted mean of vertices of the full body, and each vertex one of what its bones do to it.
        "coco_bone_points": np.einsum("kv,vb,svd->skbd", coco, weights, rest, optimize=True).astype(np.float32),
        "coco_bone_weights": (coco @ weights).astype(np.float32),
        "curl_axes": _curl_axes(list(model.bone_labels), heads.mean(0)).astype(np.float32),
        "is_eye": used >= _FIRST_EYE_VERTEX,
    }
    np.savez_compressed(path, **arrays)


def _phenotypes(num_shapes: int, rng: np.random.Generator) -> dict[str, Any]:
    """anny's body parameters, all in [0, 1]; half female, all adults, a few of them old, thin or heavy."""
    import torch

    def uniform(low: float, high: float) -> Any:
        return torch.tensor(rng.uniform(low, high, num_shapes))

    return {
        "gender": torch.tensor((np.arange(num_shapes) % 2) * 0.9 + rng.uniform(0, 0.1, num_shapes)),
        "age": torch.tensor(0.62 + 0.33 * rng.beta(1.0, 2.2, num_shapes)),
        "muscle": uniform(0.3, 0.7),
        "weight": torch.tensor(0.25 + 0.6 * rng.beta(1.8, 2.2, num_shapes)),
        "height": uniform(0.22, 0.62),
        "proportions": uniform(0.4, 0.7),
    }


def _seen_from_outside(vertices: NDArray, faces: NDArray, num_directions: int = 96) -> NDArray:
    """The faces that some ray reaches from outside: not the inside of the mouth or behind the eyes."""
    from embreex.mesh_construction import TriangleMesh
    from embreex.rtcore_scene import EmbreeScene

    scene = EmbreeScene()
    TriangleMesh(scene, vertices.astype(np.float32), faces.astype(np.int32))
    corners = vertices[faces]
    normals = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
    normals /= np.maximum(np.linalg.norm(normals, axis=1, keepdims=True), 1e-12)
    seen = np.zeros(len(faces), int)
    directions = np.random.default_rng(0).standard_normal((num_directions, 3)).astype(np.float32)
    for direction in directions / np.linalg.norm(directions, axis=1, keepdims=True):
        outward = np.flatnonzero(normals @ direction > 0.05)
        start = (corners.mean(1) + normals * 1e-4)[outward].astype(np.float32)
        hit = scene.run(start, np.broadcast_to(direction, start.shape).copy(), query="OCCLUDED")
        seen[outward] += np.asarray(hit) == -1
    return faces[seen > 0]


def _curl_axes(labels: list[str], heads: NDArray) -> NDArray:
    """`(2, 3)` axes about which the left and right fingers curl towards the palm."""
    axes = []
    for tag in ("L", "R"):
        index, little, middle, tip = (heads[labels.index(f"finger{n}.{tag}")] for n in ("2-1", "5-1", "2-2", "2-3"))
        axis = (little - index) / np.linalg.norm(little - index)
        axes.append(axis * np.sign(axis @ np.cross(middle - index, tip - middle)))
    return np.array(axes)


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
    for side, tag in (("left", "L"), ("right", "R")):  # the middle finger's joints stand for all four fingers'
        first[BONE_NAMES.index(f"{side}_fingers")] = labels.index(f"finger3-1.{tag}")
        first[BONE_NAMES.index(f"{side}_fingertips")] = labels.index(f"finger3-2.{tag}")
    return first


def _skinning(model: Any) -> NDArray:
    """`(V, B)` share of each simplified bone in the motion of every vertex of the full body."""
    weights, indices = model.vertex_bone_weights.numpy(), model.vertex_bone_indices.numpy()
    dense = np.zeros((len(weights), len(BONES)))
    to_simple = np.array([_simplified_bone(name) for name in model.bone_labels])
    for column in range(weights.shape[1]):
        np.add.at(dense, (np.arange(len(weights)), to_simple[indices[:, column]]), weights[:, column])
    return dense / np.maximum(dense.sum(1, keepdims=True), 1e-12)


def _strongest(weights: NDArray) -> dict[str, NDArray]:
    """The four strongest bones of each vertex, and their weights."""
    order = np.argsort(-weights, axis=1, kind="stable")[:, :4]
    top = np.take_along_axis(weights, order, 1)
    return {
        "weight_bones": order.astype(np.uint8),
        "weights": (top / np.maximum(top.sum(1, keepdims=True), 1e-12)).astype(np.float16),
    }


if __name__ == "__main__":
    build(Path(sys.argv[1]))
