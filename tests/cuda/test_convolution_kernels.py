"""The kernels of docs/convolution-kernels.md are correct, shown on the page, and have the bounds that it states."""

import functools

import numpy as np
import pytest
from emulated import EMULATOR_ONLY, NEEDS_HOST_COMPILER, NEEDS_NVRTC, ON_EACH_SCHEDULE, ON_GPU, SCHEDULES
from hypothesis import given, settings
from hypothesis import strategies as st

from benchmarks.gpu import convolution_kernels as kernels
from minigan.ops.cuda.device import source
from minigan.ops.cuda.device.compiler import compile_source
from minigan.ops.cuda.device.emulator import EmulatedDevice

EACH_VERSION = pytest.mark.parametrize("version", kernels.VERSIONS, ids=lambda version: version.file)


@functools.cache
def device(schedule):
    if ON_GPU:
        from minigan.ops.cuda.device.gpu import GPU

        return GPU(folders=(kernels.FOLDER,))
    return EmulatedDevice(schedule=schedule, seed=4, guard=True, folders=(kernels.FOLDER,))


@NEEDS_HOST_COMPILER
@ON_EACH_SCHEDULE
@EACH_VERSION
@settings(max_examples=8)
@given(st.data())
def test_each_version_agrees_with_the_definition(version, schedule, data):
    """Inputs have few bits, so that the sums are exact."""
    channels = st.integers(1, 4).map(lambda n: 4 * n) if version.vectors else st.integers(1, 9)
    taps, stride, padding = (
        data.draw(st.integers(low, 4), label=label) for low, label in ((1, "taps"), (1, "s"), (0, "b"))
    )
    size = st.integers(max(1, taps - 2 * padding), taps + 5)
    drawn = [data.draw(strategy) for strategy in (st.integers(1, 3), size, size, channels, channels)]
    assert kernels.relative_error(device(schedule), version, kernels.Layer(*drawn, taps, stride, padding)) < 1e-7


@NEEDS_HOST_COMPILER
@ON_EACH_SCHEDULE
@EACH_VERSION
def test_more_than_a_tile(version, schedule):
    assert kernels.relative_error(device(schedule), version, kernels.Layer(3, 9, 19, 8, 132, 4, 2, 1)) < 1e-6


@NEEDS_HOST_COMPILER
@EMULATOR_ONLY
@pytest.mark.parametrize("missing", [0, 1])
def test_a_missing_barrier_fails_in_one_schedule(missing, tmp_path):
    version, barrier = kernels.VERSIONS[1], "__syncthreads();"
    parts = (kernels.FOLDER / f"{version.file}.cu").read_text().split(barrier)
    assert len(parts) == 3
    joined = ("", barrier) if missing == 0 else (barrier, "")
    (tmp_path / f"{version.file}.cu").write_text(parts[0] + joined[0] + parts[1] + joined[1] + parts[2])
    devices = [EmulatedDevice(schedule=schedule, folders=(tmp_path, kernels.FOLDER)) for schedule in SCHEDULES]
    assert any(
        not kernels.relative_error(device, version, kernels.Layer(2, 9, 9, 8, 8, 4, 2, 1)) < 1e-6 for device in devices
    )


@NEEDS_NVRTC
@EACH_VERSION
def test_no_version_spills_registers(version):
    found = compile_source(source.read(version.file, (kernels.FOLDER, source.KERNELS)), {})
    used = found.resources["correlate"]
    assert (used.stack, used.spill_stores, used.spill_loads) == (0, 0, 0)
    assert used.registers * version.threads <= 65536


def test_the_page_is_up_to_date():
    """It shows the files' code, and the table has the computed and the measured numbers."""
    text = kernels.PAGE.read_text()
    assert kernels.updated_page(text, kernels.stored_results()) == text
    for path in kernels.FOLDER.iterdir():
        assert path.read_text().rstrip() in text, path.name
    assert kernels.table(kernels.stored_results()) in text


def test_the_numbers_in_the_text_of_the_page():
    rows, columns, depth = kernels.LAYER.product
    assert (rows, columns, depth) == (32768, 256, 2048)
    naive, shared, registers, vectors, tensor = kernels.VERSIONS
    assert rows * columns * depth == pytest.approx(17.2e9, rel=1e-2)
    assert kernels.multiply_add_seconds(naive) == pytest.approx(0.51e-3, rel=1e-2)
    assert kernels.multiply_add_seconds(tensor) == pytest.approx(0.11e-3, rel=1e-2)
    assert kernels.read_seconds(naive) == pytest.approx(8 * kernels.multiply_add_seconds(naive), rel=1e-9)
    assert kernels.read_seconds(shared) == pytest.approx(2.6e-3, rel=2e-2)
    assert kernels.read_seconds(registers) == pytest.approx(kernels.multiply_add_seconds(registers), rel=1e-9)
    assert kernels.read_seconds(tensor) == pytest.approx(0.10e-3, rel=5e-2)
    assert [kernels.bytes_read(v) / 1e9 for v in (naive, shared, vectors)] == pytest.approx([69, 4.3, 1.07], rel=1e-2)
    assert kernels.minimum_bytes() == pytest.approx(103e6, rel=1e-2)
    assert kernels.minimum_bytes() / kernels.COPY_BYTES_PER_SECOND == pytest.approx(24e-6, rel=1e-2)
    assert kernels.bytes_read(tensor) / kernels.multiply_add_seconds(tensor) == pytest.approx(9.7e12, rel=2e-2)


def test_the_bank_conflicts_in_the_text_of_the_page():
    """The 32 words of a warp are in 32 different banks."""
    g, t = np.divmod(np.arange(32), 4)
    e, row = np.arange(32) % 8, np.arange(32) // 8
    library = [rows * g + t for rows in (20, 12)] + [width * t + g for width in (136, 72)]  # tiles.cuh
    for words in (20 * g + t, 136 * t + g, 132 * e + row, *library):
        assert len(set(words % 32)) == 32
    assert len(set((128 * e + row) % 32)) == 4


def test_the_table_has_the_measured_times():
    ms = {version.file: {"median": 1.5, "min": 1.25, "max": 2} for version in kernels.VERSIONS}
    text = kernels.table({"ms": ms, "date": "2000-01-02", "device": "a GPU", "rounds": 7})
    assert text.count("| 1.5 (1.25 ... 2) |") == len(kernels.VERSIONS)
    assert "Measured 2000-01-02 on a GPU: medians of 7 rounds." in text
    assert "not measured" not in text
