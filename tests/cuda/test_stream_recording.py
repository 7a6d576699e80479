"""Stream capture without a GPU: which functions of CuPy are called, in which order, also if one fails."""

import sys
from contextlib import contextmanager
from types import SimpleNamespace

import pytest

from minigan.ops.cuda.device.graph import CaptureError, capture
from minigan.ops.cuda.device.stream_recording import StreamRecording


class Stream:
    """A stand-in for CuPy's stream, whose call named `fails` raises."""

    def __init__(self, log, *, fails=""):
        self.log, self.fails = log, fails

    def begin_capture(self):
        self.log.append("begin")
        if self.fails == "begin":
            raise RuntimeError("cudaErrorIllegalState")

    def end_capture(self):
        self.log.append("end")
        if self.fails == "end":  # an operation has invalidated the capture
            raise RuntimeError("cudaErrorStreamCaptureInvalidated")
        return SimpleNamespace(
            upload=lambda stream: self.log.append("upload"), launch=lambda: self.log.append("launch")
        )


@pytest.fixture
def log(monkeypatch):
    """Replace CuPy by a stand-in; return the list of calls in order."""
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
    """The step's error is the reason, whether or not the capture had already ended."""
    with pytest.raises(CaptureError, match="ZeroDivisionError"):
        capture(device(log, fails=fails), lambda: 1 // 0)
    assert log == [*BEFORE, *AFTER]


def test_a_capture_that_an_operation_invalidates(log):
    with pytest.raises(CaptureError, match="RuntimeError: cudaErrorStreamCaptureInvalidated"):
        capture(device(log, fails="end"), lambda: None)
    assert log == [*BEFORE, *AFTER]


def test_a_capture_that_fails_to_begin(log):
    with pytest.raises(CaptureError, match="RuntimeError: cudaErrorIllegalState"):
        capture(device(log, fails="begin"), lambda: log.append("step"))
    assert log == [*BEFORE, *AFTER[1:]]
