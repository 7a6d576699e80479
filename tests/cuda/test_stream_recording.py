"""Stream capture without a GPU: what is asked of CuPy, in which order, and what is left when something fails."""

import sys
from contextlib import contextmanager
from types import SimpleNamespace

import pytest

from minigan.ops.cuda.device.graph import CaptureError, capture
from minigan.ops.cuda.device.stream_recording import StreamRecording


class Stream:
    """CuPy's stream, so far as captures use it; `fails`: the call that raises."""

    def __init__(self, log, *, fails=""):
        self.log, self.fails = log, fails

    def begin_capture(self):
        self.log.append("begin")
        if self.fails == "begin":
            raise RuntimeError("cudaErrorIllegalState")

    def end_capture(self):
        self.log.append("end")
        if self.fails == "end":  # an operation has ended the capture
            raise RuntimeError("cudaErrorStreamCaptureInvalidated")
        return SimpleNamespace(
            upload=lambda stream: self.log.append("upload"), launch=lambda: self.log.append("launch")
        )


@pytest.fixture
def log(monkeypatch):
    """What happens, in its order; a stand-in for CuPy."""
    log = []

    @contextmanager
    def using_allocator(malloc):
        log.append("own pool")
        try:
            yield
        finally:
            log.append("pool before")

    cuda = SimpleNamespace(MemoryPool=lambda: SimpleNamespace(malloc=None), using_allocator=using_allocator)
    monkeypatch.setitem(sys.modules, "cupy", SimpleNamespace(cuda=cuda))
    return log


@contextmanager
def session(log):
    log.append("stream in")
    try:
        yield
    finally:
        log.append("stream out")


def device(log, **how):
    return SimpleNamespace(recording=lambda: StreamRecording(Stream(log, **how), session(log)))


BEFORE, AFTER = ["stream in", "own pool", "begin"], ["end", "pool before", "stream out"]


def test_a_capture_and_its_replays(log):
    captured = capture(device(log), lambda: log.append("step") or "outputs")
    assert log == [*BEFORE, "step", *AFTER, "upload"]
    assert (captured.replay(), captured.replay()) == ("outputs", "outputs")
    assert log[-2:] == ["launch", "launch"]


@pytest.mark.parametrize("fails", ["", "end"])
def test_a_step_that_raises(log, fails):
    """The step's own error is the reason, whether or not the capture had ended before."""
    with pytest.raises(CaptureError, match="ZeroDivisionError"):
        capture(device(log, fails=fails), lambda: 1 // 0)
    assert log == [*BEFORE, *AFTER]


def test_a_capture_that_an_operation_has_ended(log):
    with pytest.raises(CaptureError, match="RuntimeError: cudaErrorStreamCaptureInvalidated"):
        capture(device(log, fails="end"), lambda: None)
    assert log == [*BEFORE, *AFTER]


def test_a_capture_that_does_not_begin(log):
    with pytest.raises(CaptureError, match="RuntimeError: cudaErrorIllegalState"):
        capture(device(log, fails="begin"), lambda: log.append("step"))
    assert log == [*BEFORE, *AFTER[1:]]
