"""The bundled clip: what the demo plays is there, whole, and has a label for every frame."""

from __future__ import annotations

from pathlib import Path

from orpose_models.annotations import read_annotations
from orpose_models.runtime.bags import BagImages

SAMPLES = Path(__file__).resolve().parents[1] / "samples"


def test_every_frame_of_the_clip_has_its_labels():
    labels = read_annotations(SAMPLES / "or_clip_annotations.json")
    images = {(image.topic, image.stamp_ns): image for image in labels.images}
    clip = BagImages(SAMPLES / "or_clip")
    frames = list(clip)
    assert len(frames) == len(images) == 120
    people = labels.persons_by_image()
    for frame in frames:
        image = images[(clip.topic, frame.stamp_ns)]
        assert frame.image.shape == (image.height, image.width, 3) == (480, 640, 3)
        assert len(people[image.image_id]) == 5


def test_the_clip_stays_small():
    assert sum(path.stat().st_size for path in SAMPLES.rglob("*") if path.is_file()) < 8e6
