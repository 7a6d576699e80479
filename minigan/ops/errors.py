"""Errors that several parts of the library raise."""


class BackendUnavailable(RuntimeError):
    """Raised if a backend exists but cannot run here."""


class ShapeError(ValueError):
    """Raised if the shape of an array or of a layer does not fit."""
