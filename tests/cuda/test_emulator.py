"""The emulated device does what CUDA's manuals say of each function, and reports errors."""

import numpy as np
import pytest
from emulated import EMULATOR_ONLY, NEEDS_HOST_COMPILER, ON_EACH_SCHEDULE, device, error_of
from hypothesis import given, settings
from hypothesis import strategies as st

from minigan.ops.cuda.device import source
from minigan.ops.cuda.device.emulator import EmulatedDevice
from minigan.ops.cuda.device.source import KernelError

pytestmark = NEEDS_HOST_COMPILER


@ON_EACH_SCHEDULE
@settings(max_examples=10)
@given(n=st.integers(1, 700), blocks=st.integers(1, 4), warps=st.integers(1, 8))
def test_block_sums(schedule, n, blocks, warps):
    d, x = device(schedule), np.random.default_rng(n).standard_normal(n)
    sums = d.xp.full(blocks, np.nan)
    d.launch("probes", "block_sums", blocks, 32 * warps, d.array(x), sums, n, REAL="double")
    i = np.arange(n) % (32 * warps * blocks) // (32 * warps)
    assert error_of(d.host(sums), np.bincount(i, x, blocks)) < 1e-13


@EMULATOR_ONLY
@ON_EACH_SCHEDULE
def test_the_c_library_can_switch_stacks(schedule):
    d, x = device(schedule), np.random.default_rng(0).standard_normal(700)
    sums = d.xp.full(2, np.nan)
    d.launch("probes", "block_sums", 2, 96, d.array(x), sums, 700, REAL="double", MINIGAN_UCONTEXT=1)
    assert error_of(d.host(sums), np.bincount(np.arange(700) % 192 // 96, x)) < 1e-13


@ON_EACH_SCHEDULE
def test_warp_functions(schedule):
    d, lane = device(schedule), np.arange(32)
    x = np.random.default_rng(1).permutation(32).astype(np.int32)
    y = d.xp.zeros((10, 32), dtype=np.int32)
    d.launch("probes", "warp_words", 1, 32, d.array(x), y)
    ballot = sum(1 << int(i) for i in lane if x[i] % 3 == 0)
    expected = [
        np.full(32, x[5]),
        np.where(lane >= 3, x[lane - 3], x),
        np.where(lane < 29, x[(lane + 3) % 32], x),
        x[lane ^ 7],
        np.where(lane % 8 < 6, x[(lane + 2) % 32], x),
        np.where(lane % 8 >= 2, x[lane - 2], x),
        x[lane // 8 * 8 + 1],
        np.full(32, ballot, np.uint32).astype(np.int32),
        np.full(32, 3),
        np.where(lane < 16, x[lane ^ 1], x[lane ^ 2]),
    ]
    np.testing.assert_array_equal(d.host(y), expected)


def bf16(x):
    """Round to 8 significant bits, ties to even, by exact scaling."""
    mantissa, exponent = np.frexp(x.astype(np.float64))
    return np.ldexp(np.round(np.ldexp(mantissa, 8)), exponent - 8)


def tf32(x):
    """Round to 11 significant bits, ties to even."""
    mantissa, exponent = np.frexp(x.astype(np.float64))
    return np.ldexp(np.round(np.ldexp(mantissa, 11)), exponent - 11)


@ON_EACH_SCHEDULE
def test_matrices_from_shared_memory(schedule):
    """Word t of row g of matrix i goes to lane 4 g + t."""
    d = device(schedule)
    x, y = np.arange(128, dtype=np.uint32), d.xp.zeros(128, dtype=np.uint32)
    d.launch("probes", "matrices", 1, 32, d.array(x), y)
    np.testing.assert_array_equal(d.host(y).reshape(8, 4, 4), x.reshape(4, 8, 4).transpose(1, 2, 0))


@ON_EACH_SCHEDULE
def test_products_of_tensor_cores(schedule):
    d, rng = device(schedule), np.random.default_rng(2)
    a, b = rng.standard_normal((16, 16)).astype(np.float32), rng.standard_normal((16, 8)).astype(np.float32)
    of_bf16, of_tf32 = d.xp.zeros((2, 16, 8), dtype=np.float32)
    d.launch("probes", "products", 1, 32, d.array(a), d.array(b), of_bf16, of_tf32)
    assert error_of(d.host(of_bf16), bf16(a) @ bf16(b)) < 1e-6
    assert error_of(d.host(of_tf32), tf32(a) @ tf32(b)) < 1e-6


@pytest.mark.parametrize(("precision", "rounded"), [("tf32", tf32), ("bf16", bf16), ("fp32", lambda x: x)])
def test_gemm_rounds_to_its_precision(precision, rounded):
    d, rng = device(), np.random.default_rng(2)
    a, b = rng.standard_normal((7, 5)).astype(np.float32), rng.standard_normal((3, 7)).astype(np.float32)
    out = d.array(np.full((5, 3), np.nan, np.float32))
    d.gemm(d.array(a), d.array(b), out, transpose_a=True, transpose_b=True, alpha=2.0, precision=precision)
    expected = 2 * rounded(a.astype(np.float64)).T @ rounded(b.astype(np.float64)).T
    assert error_of(d.host(out), expected) < 1e-6
    d.gemm(d.array(a), d.array(b), out, transpose_a=True, transpose_b=True, beta=3.0, precision=precision)
    assert error_of(d.host(out), 3.5 * expected) < 1e-6


@EMULATOR_ONLY  # cuBLAS may round ties otherwise
@pytest.mark.parametrize(("precision", "rounded", "bits"), [("tf32", tf32, 11), ("bf16", bf16, 8)])
def test_gemm_rounds_ties_to_even(precision, rounded, bits):
    d, half = device(), 2.0**-bits
    ties = np.array([1 + k * half + e for k in (1, 3, -1, 5) for e in (0, 2.0**-22, -(2.0**-22))], np.float32)
    a = np.concatenate([ties, -ties, [np.inf, -np.inf, np.nan]]).astype(np.float32)
    out = d.array(np.zeros((len(a), 1), np.float32))
    d.gemm(d.array(a[:, None]), d.array(np.ones((1, 1), np.float32)), out, precision=precision)
    np.testing.assert_array_equal(d.host(out)[:-3, 0], rounded(a[:-3]))
    np.testing.assert_array_equal(d.host(out)[-3:, 0], a[-3:])


@pytest.mark.parametrize("precision", ["tf32", "bf16"])
def test_gemm_never_rounds_float64(precision):
    d, (a, b) = device(), np.random.default_rng(2).standard_normal((2, 6, 6))
    out = d.xp.zeros((6, 6))
    d.gemm(d.array(a), d.array(b), out, precision=precision)
    assert error_of(d.host(out), a @ b) < 1e-14


def test_gemm_refuses_what_does_not_fit():
    d = device()
    a = d.xp.zeros((2, 3))
    with pytest.raises(KernelError, match=r"a \(2, 3\), b \(2, 3\), out \(2, 3\) given; expected"):
        d.gemm(a, a, a)
    with pytest.raises(KernelError, match="b is float32; expected float64"):
        d.gemm(a, a.astype("float32"), d.xp.zeros((2, 2)), transpose_b=True)
    with pytest.raises(KernelError, match="precision 'fp16' given; expected fp32, tf32, bf16"):
        d.gemm(a, a, d.xp.zeros((2, 2)), transpose_b=True, precision="fp16")


@ON_EACH_SCHEDULE
def test_asynchronous_copies(schedule):
    d, x = device(schedule), np.random.default_rng(3).standard_normal(2000).astype(np.float32)
    y = d.xp.full(2000, np.nan, dtype=np.float32)
    d.launch("probes", "through_copies", 2, 256, d.array(x), y, 2000)
    np.testing.assert_array_equal(d.host(y), x)


def test_upper_words_of_products():
    d, rng = device(), np.random.default_rng(4)
    a, b = rng.integers(2**32, size=(2, 50), dtype=np.uint32)
    c, e = rng.integers(2**64, size=(2, 50), dtype=np.uint64)
    high, higher = d.array(np.zeros_like(a)), d.array(np.zeros_like(c))
    d.launch("probes", "high_words", 1, 64, *map(d.array, (a, b)), high, *map(d.array, (c, e)), higher, 50)
    assert d.host(high).tolist() == [int(p) * int(q) >> 32 for p, q in zip(a, b, strict=True)]
    assert d.host(higher).tolist() == [int(p) * int(q) >> 64 for p, q in zip(c, e, strict=True)]


@pytest.mark.parametrize("real", ["float", "double"])
def test_numbers_of_every_type_are_passed(real):
    d, third = device(), 1 / 3
    y = d.xp.zeros(8)
    d.launch("probes", "numbers", 1, 1, y, third, third, -5, 2**32 - 1, -(2**40), 2**63, third, 255, REAL=real)
    g = third if real == "double" else np.float32(third)
    assert d.host(y).tolist() == [np.float32(third), third, -5, 2**32 - 1, -(2**40), 2**63, g, 255]


@ON_EACH_SCHEDULE
def test_block_and_thread_indices(schedule):
    d = device(schedule)
    y = d.xp.full(24 * 30, -1, dtype=np.int32)
    d.launch("probes", "places", (2, 3, 4), (5, 3, 2), y)
    np.testing.assert_array_equal(d.host(y).reshape(24, 30), 1000 * np.arange(24)[:, None] + np.arange(30))


def launch(*args, grid=1, block=32, kernel="block_sums", file="probes", **kwargs):
    device().launch(file, kernel, grid, block, *args, **kwargs)


def test_a_launch_names_the_wrong_argument():
    xp = device().xp
    x, sums = xp.zeros(4, dtype=np.float32), xp.zeros(1, dtype=np.float32)
    refused = [
        ((x, sums), {}, "probes.cu, block_sums: 2 arguments given; expected 3 (const real* x, real* sums, int n)"),
        ((x, sums, 4), {"file": "probe"}, "no kernel file 'probe'; expected "),
        ((x, sums, 4), {"kernel": "block_sum"}, "probes.cu has no kernel 'block_sum'; expected block_sums, "),
        ((x, sums, 4.5), {}, "block_sums: n is 4.5; expected int (int32)"),
        ((x, sums, 2**31), {}, "n is 2147483648; expected int (int32)"),
        ((x.astype("float64"), sums, 4), {}, "block_sums: x is float64; expected float32"),
        ((np.zeros(4, np.float32), sums, 4), {}, "x is ndarray; expected an array of the emulated CUDA device"),
        ((xp.zeros((4, 2), dtype=np.float32)[:, 0], sums, 4), {}, "x of shape (4,) is not C-contiguous"),
        ((x, sums, 4), {"block": 257}, "block 257 given; expected 1 to 256 threads"),
        ((x, sums, 4), {"block": 0}, "block 0 given; expected 1 to 256 threads"),
        ((x, sums, 4), {"grid": (1, 70000)}, "grid (1, 70000) given; expected at most"),
        ((x, sums, 4), {"grid": -1}, "grid -1 given; expected 1 to 3 whole numbers"),
        ((x, sums, 4), {"shared": 2**20}, "1048576 bytes of shared memory; expected at most 232448"),
    ]
    for args, kwargs, message in refused:
        with pytest.raises(KernelError) as error:
            launch(*args, **kwargs)
        assert message in str(error.value)


@EMULATOR_ONLY
def test_a_compiler_error_names_the_line(tmp_path):
    (tmp_path / "wrong.cu").write_text('#include "minigan.cuh"\nextern "C" __global__ void f(int n) {\n  oops;\n}\n')
    with pytest.raises(KernelError, match=r"wrong.cu:3.*oops"):
        EmulatedDevice(folders=[tmp_path]).launch("wrong", "f", 1, 1, 0)


def test_a_file_is_included_once(tmp_path):
    (tmp_path / "twice.cu").write_text('#include "minigan.cuh"\n#include "minigan.cuh"\nint after;\n')
    text = source.read("twice", (tmp_path, source.KERNELS)).text
    assert text.count("#define DYNAMIC_SHARED") == source.read("flat").text.count("#define DYNAMIC_SHARED")
    assert text.splitlines()[-2:] == ['#line 3 "twice.cu"', "int after;"]


def test_headers_of_earlier_folders_come_first(tmp_path):
    for name in ("first", "beside"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "part.cuh").write_text(f"// of {name}\n")
    (tmp_path / "beside" / "one.cu").write_text('#include "part.cuh"\n')
    assert "// of first" in source.read("one", (tmp_path / "first", tmp_path / "beside")).text
    assert "// of beside" in source.read("one", (tmp_path / "beside", tmp_path / "first")).text
    (tmp_path / "first" / "part.cuh").unlink()
    assert "// of beside" in source.read("one", (tmp_path / "first", tmp_path / "beside")).text


@EMULATOR_ONLY
def test_an_unknown_schedule_is_refused():
    with pytest.raises(ValueError, match="unknown schedule 'backward'; expected forward, reverse, random"):
        EmulatedDevice(schedule="backward")
