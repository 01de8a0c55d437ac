"""Every shipped model has a card that belongs to it and says what it is not for."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest
import yaml

from orpose_models.runtime.models import WEIGHTS_DIR

MODELS = sorted(WEIGHTS_DIR.glob("*.onnx"))
CARD_KEYS = {"sha256", "preset", "data", "schedule", "metrics", "licence", "commit"}
MB = 1_000_000


@pytest.fixture(params=MODELS, ids=lambda path: path.name)
def model(request) -> Path:
    return request.param


@pytest.fixture
def card(model) -> dict:
    return yaml.safe_load(model.with_suffix(".yaml").read_text(encoding="utf-8"))


def test_the_light_model_is_shipped():
    assert WEIGHTS_DIR / "lite.onnx" in MODELS


def test_it_is_small(model):
    assert model.stat().st_size <= 15 * MB


def test_the_card_is_complete(card):
    assert set(card) >= CARD_KEYS
    assert all(card[key] not in (None, "", {}, []) for key in CARD_KEYS)


def test_the_card_has_the_files_hash(model, card):
    content = model.read_bytes()
    assert card["onnx"] == {"sha256": hashlib.sha256(content).hexdigest(), "bytes": len(content)}


def test_the_card_says_what_the_model_is_not_for(model):
    text = " ".join(model.with_suffix(".yaml").read_text(encoding="utf-8").split())
    assert "Not a medical device and not for safety-rated separation of people and robots" in text


def test_the_graph_comes_from_the_weights_of_the_card(model, card):
    onnxruntime = pytest.importorskip("onnxruntime")
    session = onnxruntime.InferenceSession(str(model), providers=["CPUExecutionProvider"])
    metadata = session.get_modelmeta().custom_metadata_map
    assert metadata["orpose.preset"] == card["preset"]
    assert metadata["orpose.model_id"] == f"{model.stem}@{card['sha256'][:8]}"


def test_it_can_be_trained_on_from(model, card):
    read_back = pytest.importorskip("orpose_models.export.read_back")
    student, info = read_back.read_student(model)
    assert student.preset.name == info.preset == card["preset"]
    assert student.preset.lifter_input == card["lifter_input"]


def test_the_image_is_cast_first_as_tensorrt_needs(model):
    onnx = pytest.importorskip("onnx")
    graph = onnx.load(str(model)).graph
    readers = {node.op_type for node in graph.node if "image" in node.input}
    assert readers == {"Cast"}


def test_the_torch_weights_are_those_of_the_card(model, card):
    weights = model.with_suffix(".safetensors")
    if not weights.is_file():
        pytest.skip("the torch weights are not shipped")
    assert hashlib.sha256(weights.read_bytes()).hexdigest() == card["sha256"]
