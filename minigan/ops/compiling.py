"""Who is told that a kernel is being compiled: it takes seconds, once, and then the machine code is kept on disk."""

from collections.abc import Callable

Watcher = Callable[[str], None]
_watchers: list[Watcher] = []


def watch(watcher: Watcher) -> Callable[[], None]:
    """Call watcher(name) as each compilation begins, in the thread that waits for it; returns what ends that."""
    _watchers.append(watcher)

    def stop() -> None:
        if watcher in _watchers:
            _watchers.remove(watcher)

    return stop


def announce(name: str) -> None:
    """Tell all watchers."""
    for watcher in tuple(_watchers):
        watcher(name)
