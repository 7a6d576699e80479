"""Matplotlib's figures and file canvases, importable whatever display backend the environment names.

Matplotlib checks $MPLBACKEND as it is imported and fails where it names a backend that this environment lacks, for
example a notebook's in a process that the notebook started.  Files need no display backend: there the import is
tried again without the variable, which is put back.
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
            del sys.modules[name]  # half of the package, left by the import that failed
        try:
            import matplotlib.figure  # noqa: F401
        finally:
            os.environ["MPLBACKEND"] = named


_import()

from matplotlib.axes import Axes  # noqa: E402
from matplotlib.backends.backend_agg import FigureCanvasAgg  # noqa: E402
from matplotlib.backends.backend_svg import FigureCanvasSVG  # noqa: E402
from matplotlib.figure import Figure  # noqa: E402

__all__ = ["Axes", "Figure", "FigureCanvasAgg", "FigureCanvasSVG"]
