"""HRNet-W48: the published weights' names and shapes, both families' spellings, and what is said of wrong files."""

from __future__ import annotations

import hashlib
import re

import numpy as np
import pytest
import torch

from orpose_models.errors import ModelError
from training.teacher.config import HrnetKeypoints
from training.teacher.hrnet import Hrnet, HrnetStage, load_hrnet
from training.teacher.stages import PLAIN, View
from training.teacher.tta import augmented_joints

pytest.importorskip("timm", reason="needs the extra 'teacher'")

#: SHA-256 over the sorted lines "name 64x3x3x3" of the state dict of the HRNet repository's pose_hrnet
#: (w48_256x192_adam_lr1e-3.yaml), without the counters num_batches_tracked: 1462 tensors, 63,595,745 parameters.
PUBLISHED_LAYOUT = "0758b05e857327e1605d837f7e828ee40b32947fd708c5c9d04b914ab99f7c62"


def as_published(network: Hrnet) -> dict[str, torch.Tensor]:
    return {name.removeprefix("trunk."): value for name, value in network.state_dict().items()}


def as_mmpose(network: Hrnet, head: str) -> dict[str, torch.Tensor]:
    named = as_published(network)
    return {(f"{head}." if name.startswith("final_layer") else "backbone.") + name: v for name, v in named.items()}


@pytest.fixture(autouse=True)
def small_trunk(monkeypatch):
    """A tenth of the weights, of the same layout: files of 250 MB would take their time."""
    monkeypatch.setattr("training.teacher.hrnet._TRUNK", "hrnet_w18_small")


@pytest.fixture(scope="module")
def network() -> Hrnet:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("training.teacher.hrnet._TRUNK", "hrnet_w18_small")
        torch.manual_seed(0)
        return Hrnet().eval()


def test_the_layout_is_the_published_one(monkeypatch):
    monkeypatch.setattr("training.teacher.hrnet._TRUNK", "hrnet_w48")
    with torch.device("meta"):
        network = Hrnet()
    tensors = as_published(network)
    lines = sorted(
        f"{name} {'x'.join(map(str, value.shape))}"
        for name, value in tensors.items()
        if not name.endswith("num_batches_tracked")
    )
    assert len(lines) == 1462
    assert sum(p.numel() for p in network.parameters()) == 63_595_745
    assert hashlib.sha256("\n".join(lines).encode()).hexdigest() == PUBLISHED_LAYOUT


@pytest.fixture(scope="module")
def published_file(network, tmp_path_factory):
    """As the repository's files are: the format of torch before 1.6, without counters."""
    path = tmp_path_factory.mktemp("hrnet") / "pose_hrnet_w48_256x192.pth"
    tensors = {name: value for name, value in as_published(network).items() if "num_batches" not in name}
    torch.save(tensors, path, _use_new_zipfile_serialization=False)
    return path


@torch.no_grad()
def test_forward_of_published_weights(network, published_file):
    images = torch.randn(1, 3, 128, 96)
    maps = load_hrnet(published_file)(images)
    assert maps.shape == (1, 17, 32, 24)
    torch.testing.assert_close(maps, network(images))


@pytest.mark.parametrize("head", ["keypoint_head", "head"])
def test_mmposes_names(network, tmp_path, head):
    path = tmp_path / "mmpose.pth"
    torch.save({"state_dict": as_mmpose(network, head), "meta": {"epoch": 210}}, path)
    loaded = load_hrnet(path)
    again = loaded.state_dict()
    assert all(torch.equal(value, again[name]) for name, value in network.state_dict().items())


def test_a_data_parallel_training_checkpoint(network, tmp_path):
    path = tmp_path / "checkpoint.pth"
    torch.save({"state_dict": {f"module.{n}": v for n, v in as_published(network).items()}, "perf": 0.75}, path)
    assert torch.equal(load_hrnet(path).final_layer.weight, network.final_layer.weight)


class Stranger:
    """Something a pickle could bring along."""


def without_final_layer(tensors):
    return {name: value for name, value in tensors.items() if "final" not in name}


@pytest.mark.parametrize(("change", "message"), [
    (without_final_layer, r"does not fit: 2 missing \(final_layer.bias, final_layer.weight\); expected HRNet-W48"),
    (lambda t: {**t, "more": torch.zeros(1)}, r"1 unexpected \(trunk.more\)"),
    (lambda t: {**t, "conv1.weight": torch.zeros(32, 3, 3, 3)}, r"1 of another shape \(trunk.conv1.weight\)"),
    (lambda t: {**t, "more": Stranger()}, "Python objects, which are never unpickled"),
    (lambda t: {"epoch": 3}, "holds no weights; fetch pose_hrnet_w48_384x288.pth"),
    (lambda t: [], "holds no weights"),
])  # fmt: skip
def test_other_files_are_refused_by_name(network, tmp_path, change, message):
    path = tmp_path / "w.pth"
    torch.save(change(as_published(network)), path)
    with pytest.raises(ModelError, match=message) as caught:
        load_hrnet(path)
    assert str(path) in str(caught.value) and "\n" not in str(caught.value)


@pytest.mark.parametrize("share", [0, 0.3, 0.999])
def test_a_truncated_file(published_file, tmp_path, share):
    path = tmp_path / "w.pth"
    content = published_file.read_bytes()
    path.write_bytes(content[: int(len(content) * share)])
    with pytest.raises(ModelError, match=re.escape(f"{path}: ")) as caught:
        load_hrnet(path)
    assert "fetch" in str(caught.value) and "\n" not in str(caught.value)


def test_a_missing_file_says_what_to_fetch(tmp_path):
    with pytest.raises(
        ModelError, match=r"no such weight file; fetch pose_hrnet_w48_384x288.pth .* `keypoints.weights`"
    ):
        load_hrnet(tmp_path / "w.pth")


def test_the_stage(published_file):
    stage = HrnetStage(HrnetKeypoints(kind="hrnet", weights=published_file, size="256x192"), torch.device("cpu"))
    image = np.random.default_rng(0).integers(0, 255, (120, 160, 3)).astype(np.uint8)
    boxes = np.array([[10, 5, 60, 100], [50, 20, 150, 110]], np.float32)
    joints = augmented_joints(stage, image, boxes, (PLAIN, View(1.2, flip=True)))
    assert joints.shape == (2, 17, 3) and np.isfinite(joints).all()
    assert (joints[..., 2] >= 0).all() and (joints[..., 2] <= 1).all()
    plain, zoomed = stage.heatmaps(image, boxes, PLAIN), stage.heatmaps(image, boxes, View(1.2))
    assert plain.shape == zoomed.shape == (2, 17, 64, 48)


class Columns(torch.nn.Module):
    """A "network" whose heatmap of joint j is bright in the cells whose input's left pixel is bright."""

    def forward(self, images):
        return images[:, :1, ::4, ::4].expand(-1, 17, -1, -1)


@pytest.mark.parametrize(("flip_shift", "column"), [(True, 25), (False, 24)])
def test_the_flipped_view_is_shifted_by_one_cell(published_file, monkeypatch, flip_shift, column):
    monkeypatch.setattr("training.teacher.hrnet.load_hrnet", lambda path: Columns())
    config = HrnetKeypoints(kind="hrnet", weights=published_file, size="256x192", flip_shift=flip_shift)
    stage = HrnetStage(config, torch.device("cpu"))
    # one bright column: px 99 of the crop's 192 is px 92 = 4 x 23 of the mirrored one; 23 mirrored back is 24 of 48
    image = np.zeros((256, 192, 3), np.uint8)
    image[:, 99] = 255
    box = np.array([[96 - 96 / 1.25, 128 - 128 / 1.25, 96 + 96 / 1.25, 128 + 128 / 1.25]], np.float32)
    maps = stage.heatmaps(image, box, View(1.0, flip=True))
    assert maps[0, 0].sum(dim=0).argmax() == column
