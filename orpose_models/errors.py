"""Errors a user can mend. Each message is one line: where, what was found, what was expected, what to do."""


class OrposeError(Exception):
    """Base of all errors that the `orpose` command prints as one line and ends with exit code 2."""


class ConfigError(OrposeError):
    """A configuration value or file that does not fit."""


class InputError(OrposeError):
    """An input path, bag or video that is missing, empty or unreadable."""


class ImageError(OrposeError):
    """One image that cannot be used: unknown encoding, size 0, data that does not fit its declared size."""


class ModelError(OrposeError):
    """A model file that is missing, corrupt or not one of ours."""


class BackendError(OrposeError):
    """A requested backend, device or precision that is not there."""


class WorkerError(OrposeError):
    """Worker processes or machines that are not there or were lost."""


class AnnotationError(OrposeError):
    """A label file with a missing key, a wrong count or a value out of range."""


class CalibrationError(OrposeError):
    """Camera intrinsics or extrinsics that cannot be right."""
