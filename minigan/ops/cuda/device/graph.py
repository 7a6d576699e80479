"""Graphs: record work of the device once and launch all of it again with one call.

    captured = capture(device, step)        # calls step() once; launches are recorded, not executed
    captured.replay()                       # executes the recorded launches on the same memory
    captured.outputs                        # what step() returned: arrays that each replay overwrites

A graph repeats its launches with their original arguments.  Values that differ between replays must be read from the
device's memory.  A number computed by Python (Adam's t, a dropout key, a scheduled learning rate), an array allocated
outside or a batch from the host would keep its value from the capture.
`minigan.ops.cuda.capture.iterations` captures whole iterations of a game and updates these values before each replay.
"""

from collections.abc import Callable
from typing import Any, Protocol

from minigan.ops.cuda.device.source import KernelError


class Recorder(Protocol):
    """What can be recorded: a device, `minigan.ops.cuda.device.base.Device`."""

    def recording(self) -> Any:
        """Return a context manager that records, and then has `launch`."""


class CaptureError(KernelError):
    """Raised if work cannot be captured; the memory of the device has not changed."""


class Captured:
    """A graph, the outputs of the captured function, and the memory of both.

    Parameters
    ----------
    outputs : object
        What the captured function returned.
    recording : object
        The recorded launches, whose method `launch` runs them.

    """

    def __init__(self, outputs: Any, recording: Any) -> None:
        self.outputs = outputs
        self._recording = recording

    def replay(self) -> Any:
        """Launch the graph and return `outputs`, which hold the new values once the device has run it."""
        self._recording.launch()
        return self.outputs


def capture(device: Recorder, step: Callable[[], Any]) -> Captured:
    """Record what `step` launches on the device.

    Parameters
    ----------
    device : Device
        The device to record.
    step : callable
        A function without arguments.  Call it once before capturing: the first call compiles kernels and allocates
        the workspaces of libraries.

    Returns
    -------
    Captured
        The graph, with the return value of `step` as `outputs`.

    Raises
    ------
    CaptureError
        If `step` waits for the device or raises any other exception.

    """
    recording = device.recording()
    try:
        with recording:
            outputs = step()
    except Exception as error:
        raise CaptureError(f"{type(error).__name__}: {error}") from error
    return Captured(outputs, recording)
