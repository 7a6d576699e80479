"""Matplotlib's figures and file canvases, imported even if $MPLBACKEND names a missing display backend.

Matplotlib checks $MPLBACKEND when it is imported and fails if the environment lacks that backend, for example a
notebook's backend in a process that the notebook started.  Files need no display backend, so the import is repeated
without the variable, which is then restored.
"""

import os
import sys


def _import() -> None:
    try:
        import matplotlib.figure
    except ValueError:
        named = os.environ.pop("MPLBACKEND", None)
        if named is None:
            raise
        for name in [name for name in sys.modules if name.partition(".")[0] == "matplotlib"]:
            del sys.modules[name]  # the part of the package that the failed import left
        try:
            import matplotlib.figure  # noqa: F401
        finally:
            os.environ["MPLBACKEND"] = named


_import()

from matplotlib.axes import Axes  # noqa: E402
from matplotlib.backends.backend_agg import FigureCanvasAgg  # noqa: E402
from matplotlib.backends.backend_svg import FigureCanvasSVG  # noqa: E402
from matplotlib.figure import Figure  # noqa: E402
from matplotlib.ticker import MaxNLocator  # noqa: E402

__all__ = ["Axes", "Figure", "FigureCanvasAgg", "FigureCanvasSVG", "MaxNLocator"]
