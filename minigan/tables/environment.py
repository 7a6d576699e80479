"""The machine and the versions with which a table was made."""

import platform
from collections.abc import Mapping
from pathlib import Path
from typing import Any


def versions_text(found: Mapping[str, str]) -> str:
    """Return versions as text.

    >>> versions_text({"minigan": "0.1.0", "numpy": "2.4.0"})
    'minigan 0.1.0, numpy 2.4.0'
    """
    return ", ".join(f"{name} {version}" for name, version in found.items())


def machine() -> dict[str, Any]:
    """Return the name of the processor, its number of usable cores and the system."""
    from minigan.ops.cpu.threads.pool import cores

    name = platform.processor() or platform.machine()
    cpuinfo = Path("/proc/cpuinfo")
    if cpuinfo.exists():
        names = [line.partition(":")[2].strip() for line in cpuinfo.read_text().splitlines() if "model name" in line]
        name = names[0] if names else name
    return {"processor": name, "cores": cores(), "system": platform.system()}
