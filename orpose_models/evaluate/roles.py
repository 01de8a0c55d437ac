"""Evaluating staff or patients alone: the others become ignored regions, not false alarms."""

from __future__ import annotations

from dataclasses import replace
from typing import Literal

from orpose_models.annotations import AnnotationSet, PersonLabel

Roles = Literal["all", "staff", "patient"]


def is_patient(person: PersonLabel) -> bool:
    """By our `role`, or by MVOR's own key."""
    return "patient" in (person.role, person.extra.get("person_role"))


def with_roles(annotations: AnnotationSet, roles: Roles) -> AnnotationSet:
    """The labels with everybody who is not of `roles` (staff: whoever is no patient) turned into iscrowd."""
    if roles == "all":
        return annotations
    persons = tuple(
        person if is_patient(person) == (roles == "patient") else replace(person, is_crowd=True)
        for person in annotations.persons
    )
    return replace(annotations, persons=persons)
