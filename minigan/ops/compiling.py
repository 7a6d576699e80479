"""Notify watchers when a kernel is compiled, which takes seconds; afterwards its machine code is stored on disk."""

from collections.abc import Callable

Watcher = Callable[[str], None]
_watchers: list[Watcher] = []


def watch(watcher: Watcher) -> Callable[[], None]:
    """Call a function whenever a compilation begins.

    Parameters
    ----------
    watcher
        Called with the kernel's name, in the thread that waits for the compilation.

    Returns
    -------
    callable
        A function without arguments that ends the notifications.

    """
    _watchers.append(watcher)

    def stop() -> None:
        if watcher in _watchers:
            _watchers.remove(watcher)

    return stop


def announce(name: str) -> None:
    """Notify all watchers that the compilation of this kernel begins."""
    for watcher in tuple(_watchers):
        watcher(name)
