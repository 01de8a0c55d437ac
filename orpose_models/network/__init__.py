"""The student network: presets, the training and dynamic way, the static way, weight files."""

from orpose_models.network.presets import PRESETS, Preset, get_preset
from orpose_models.network.student import Student, build_student
from orpose_models.network.weights import load_student, save_weights

__all__ = ["PRESETS", "Preset", "Student", "build_student", "get_preset", "load_student", "save_weights"]
