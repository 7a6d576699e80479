"""The environment of a run: versions, and the BLAS, whose kernels influence the last bits of the results."""

import platform
from typing import Any

import numpy as np

from minigan._version import __version__


def versions() -> dict[str, str]:
    """Return the versions of minigan, NumPy and Python."""
    return {"minigan": __version__, "numpy": np.__version__, "python": platform.python_version()}


def blas() -> list[dict[str, Any]]:
    """Return name, version, kernel architecture and threads of each BLAS that threadpoolctl finds in this process."""
    from threadpoolctl import threadpool_info

    return [
        {
            "name": found["internal_api"],
            "version": found["version"],
            "architecture": found.get("architecture"),
            "threads": found["num_threads"],
        }
        for found in threadpool_info()
        if found["user_api"] == "blas"
    ]
