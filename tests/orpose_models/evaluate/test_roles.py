"""Staff or patients alone: the others are ignored, they are no false alarms."""

from __future__ import annotations

import numpy as np
import pytest

from orpose_models.annotations import AnnotationSet, LabelledImage, PersonLabel
from orpose_models.evaluate.coco import box_metrics
from orpose_models.evaluate.roles import Roles, is_patient, with_roles

NURSE = PersonLabel(1, 1, np.array([0.0, 0, 50, 50]), role="nurse")
PATIENT = PersonLabel(2, 1, np.array([200.0, 0, 50, 50]), role="patient")
ROOM = AnnotationSet((LabelledImage(1, "a.png", 640, 480),), (NURSE, PATIENT))


def test_is_patient() -> None:
    assert is_patient(PATIENT)
    assert not is_patient(NURSE)
    assert is_patient(PersonLabel(3, 1, np.zeros(4), extra={"person_role": "patient"}))  # MVOR's key


@pytest.mark.parametrize(("roles", "ap"), [("all", 0.5), ("staff", 0.0), ("patient", 1.0)])
def test_a_detection_of_the_patient_only(roles: Roles, ap: float) -> None:
    found = [{"image_id": 1, "bbox": [200, 0, 50, 50], "score": 0.9}]
    assert box_metrics(with_roles(ROOM, roles), found)["AP"] == pytest.approx(ap, abs=0.01)
