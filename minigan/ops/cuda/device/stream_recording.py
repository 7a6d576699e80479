"""Capture on a GPU: what is launched on a stream becomes a graph (CUDA's stream capture).

All of the backend's work is on one stream of its own, `device.stream`, which does not wait for the default stream: so
what is captured, launched or done step by step keeps its order.  Arrays that are made while capturing lie in a memory
pool that belongs to the graph: nobody else is given their memory as long as the graph is there.
"""

from contextlib import AbstractContextManager, ExitStack
from typing import Any


class StreamRecording:
    """``with StreamRecording(stream, session) as recording: step()``, and then ``recording.launch()``.

    `session` is a context in which the stream is the current one.
    """

    def __init__(self, stream: Any, session: AbstractContextManager[Any]) -> None:
        self._stream, self._session = stream, session
        self._graph: Any = None

    def __enter__(self) -> "StreamRecording":
        import cupy

        self._pool = cupy.cuda.MemoryPool()
        with ExitStack() as around:
            around.enter_context(self._session)
            around.enter_context(cupy.cuda.using_allocator(self._pool.malloc))
            self._stream.begin_capture()
            self._around = around.pop_all()  # left where the capture ends
        return self

    def __exit__(self, kind: Any, error: Any, trace: Any) -> None:
        with self._around:
            try:
                self._graph = self._stream.end_capture()  # raises where an operation has ended the capture
            except Exception:
                if error is None:
                    raise
        if error is None:
            self._graph.upload(self._stream)

    def launch(self) -> None:
        """Launch the graph on the current stream: after all that was done there."""
        self._graph.launch()
