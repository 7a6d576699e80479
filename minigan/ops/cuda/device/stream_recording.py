"""Record a graph on a GPU by CUDA's stream capture.

All work of the backend runs on one stream, `device.stream`, which does not wait for the default stream; so captured
work, replays and single launches keep their order.  Arrays allocated during capture come from a memory pool that
belongs to the graph: their memory is not reused while the graph exists.
"""

from contextlib import AbstractContextManager, ExitStack
from typing import Any


class StreamRecording:
    """Record launches with ``with StreamRecording(stream, session) as recording: step()``; replay with `launch`.

    Parameters
    ----------
    stream : cupy.cuda.Stream
        The stream to capture.
    session : context manager
        Makes `stream` the current stream.

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
            self._around = around.pop_all()  # closed in __exit__
        return self

    def __exit__(self, kind: Any, error: Any, trace: Any) -> None:
        with self._around:
            try:
                self._graph = self._stream.end_capture()  # raises if an operation invalidated the capture
            except Exception:
                if error is None:
                    raise
        if error is None:
            self._graph.upload(self._stream)

    def launch(self) -> None:
        """Launch the graph on the current stream, after the work already submitted to it."""
        self._graph.launch()
