"""The wheel contains the kernels but not the emulator; asking for the emulator gives an error that says so."""

import sys
import tomllib
from pathlib import Path

import pytest

import minigan
from minigan.ops import BackendUnavailable
from minigan.ops.cuda import backend


def test_a_wheel_without_the_emulator_says_so(monkeypatch):
    backend.device_named.cache_clear()
    monkeypatch.setitem(sys.modules, "minigan.ops.cuda.device.emulator", None)
    try:
        with pytest.raises(BackendUnavailable, match="a tool for tests that the wheel does not carry"):
            backend.device_named("emulated")
    finally:
        backend.device_named.cache_clear()


def test_the_wheel_does_not_contain_it():
    project = Path(minigan.__file__).parents[1] / "pyproject.toml"
    if not project.is_file():
        pytest.skip("the library is installed without its sources")
    wheel = tomllib.loads(project.read_text())["tool"]["hatch"]["build"]["targets"]["wheel"]
    assert wheel["exclude"] == ["minigan/ops/cuda/device/emulator"]
    assert (project.parent / wheel["exclude"][0] / "__init__.py").is_file()
