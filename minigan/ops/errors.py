"""The errors that every part of the library raises."""


class BackendUnavailable(RuntimeError):
    """A backend that exists but cannot run here."""


class ShapeError(ValueError):
    """An array or a layer whose shape does not fit."""
