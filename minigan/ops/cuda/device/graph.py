"""Graphs: work of the device that is recorded once and launched again with one call.

    captured = capture(device, step)        # step() runs once, and nothing of the device changes
    captured.replay()                       # each time: what step() did, on the same memory
    captured.outputs                        # what step() returned: arrays that each replay overwrites

A graph repeats its launches with the arguments that they had.  What is to differ from replay to replay must be read
from the device's memory; a number that Python computed (Adam's t, a key of dropout, a scheduled learning rate), an
array that is made anew outside, a batch that came from the host: all these would stay as they were.
`minigan.ops.cuda.capture.iterations` captures a whole iteration of a game with that in mind.
"""

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from minigan.ops.cuda.device.source import KernelError

if TYPE_CHECKING:
    from minigan.ops.cuda.device.base import Device


class CaptureError(KernelError):
    """What cannot be captured; the device's memory is as it was."""


class Captured:
    """A graph, what the step returned, and the memory of both."""

    def __init__(self, outputs: Any, recording: Any) -> None:
        self.outputs = outputs
        self._recording = recording

    def replay(self) -> Any:
        """Launch; return `outputs`, which have the new numbers when the device comes to it."""
        self._recording.launch()
        return self.outputs


def capture(device: "Device", step: Callable[[], Any]) -> Captured:
    """Record what `step` does on the device; CaptureError where it waits for the device, or fails otherwise.

    `step` should have run before: a first run compiles kernels and gets libraries their workspaces.
    """
    recording = device.recording()
    try:
        with recording:
            outputs = step()
    except Exception as error:
        raise CaptureError(f"{type(error).__name__}: {error}") from error
    return Captured(outputs, recording)
