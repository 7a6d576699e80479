"""safetensors files: arrays in any memory layout survive a round trip."""

import sys

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import minigan as mg
from minigan.interop import files, from_torch, load_safetensors, save_safetensors, to_torch

pytest.importorskip("safetensors", reason="safetensors is not installed (pip install 'minigan[interop]')")

A = np.arange(24.0).reshape(4, 6)
VIEWS = {
    "transposed": A.T, "reversed": A[::-1], "reversed columns": A[:, ::-1], "strided": A[::2, 1::3],
    "Fortran": np.asfortranarray(A), "one number": np.array(3.5), "empty": np.zeros((0, 3)), "broadcast":
    np.broadcast_to(A[0], (3, 6)), "big-endian": A.astype(">f4").T, "axes moved": A.reshape(2, 3, 4).transpose(2, 0, 1),
}  # fmt: skip


@pytest.mark.parametrize("name", VIEWS)
def test_views(tmp_path, name):
    view = VIEWS[name]
    path = save_safetensors(tmp_path / "x.safetensors", {"a": view, "b": A})
    loaded = load_safetensors(path)
    assert list(loaded) == ["a", "b"]
    np.testing.assert_array_equal(loaded["a"], view)
    assert loaded["a"].shape == view.shape
    assert loaded["a"].dtype == view.dtype.newbyteorder("=")
    assert loaded["a"].flags.writeable


@given(
    st.lists(st.tuples(st.integers(0, 4), st.sampled_from([-2, -1, 1, 2])), max_size=4),
    st.randoms(use_true_random=False),
    st.sampled_from(files.DTYPES),
)
def test_any_strides_and_dtype(tmp_path_factory, axes, random, dtype):
    base = np.random.default_rng(0).integers(0, 2, [2 * n for n, _ in axes]).astype(dtype)
    order = list(range(len(axes)))
    random.shuffle(order)
    view = base[tuple(slice(None, None, step) for _, step in axes)].transpose(order)
    path = save_safetensors(tmp_path_factory.mktemp("s") / "x", {"a": view})
    got = load_safetensors(path)["a"]
    assert (got.dtype, got.shape) == (view.dtype, view.shape)
    np.testing.assert_array_equal(got, view)


def test_safetensors_receives_contiguous_arrays(tmp_path, monkeypatch):
    """The safetensors package receives contiguous arrays, never views."""
    from safetensors import numpy as package

    seen, save = {}, package.save
    monkeypatch.setattr(package, "save", lambda arrays: seen.update(arrays) or save(arrays))
    save_safetensors(tmp_path / "x", VIEWS)
    assert seen.keys() == VIEWS.keys()
    assert all(array.flags.c_contiguous for array in seen.values())


def test_a_network_saved_and_loaded(tmp_path):
    layers = [mg.Dense(3, 8), mg.BatchNorm(8), mg.Reshape((2, 2, 2)), mg.ConvTranspose2D(2, 1, 3)]
    net, other = (mg.Network(layers, rng=np.random.default_rng(seed)) for seed in (0, 1))
    path = save_safetensors(tmp_path / "G.safetensors", to_torch(net))
    from_torch(other, load_safetensors(path))
    np.testing.assert_array_equal(net.theta, other.theta)


def test_saving_is_atomic_and_never_overwrites(tmp_path, monkeypatch):
    path = save_safetensors(tmp_path / "x", {"a": A})
    before = path.read_bytes()
    with pytest.raises(FileExistsError, match=r"x exists; expected a new name"):
        save_safetensors(path, {"a": 2 * A})
    assert path.read_bytes() == before
    with pytest.raises(FileNotFoundError, match=r"nowhere/y: its folder does not exist"):
        save_safetensors(tmp_path / "nowhere" / "y", {"a": A})

    def fails(descriptor):
        raise OSError("disk full")

    monkeypatch.setattr("minigan.training.files.os.fsync", fails)
    with pytest.raises(OSError, match="disk full"):
        save_safetensors(tmp_path / "z", {"a": A})
    assert [p.name for p in tmp_path.iterdir()] == ["x"]


def test_what_the_format_cannot_hold_is_named_in_one_error(tmp_path):
    wrong = {"c": A.astype(complex), "o": np.array([None]), 3: A, "__metadata__": A, "fine": A}
    with pytest.raises(ValueError, match="do not fit a safetensors file") as caught:
        save_safetensors(tmp_path / "x", wrong)
    for part in ("'c' is complex128, expected bool, int8", "'o' is object", "the name 3", "the name '__metadata__'"):
        assert part in str(caught.value)
    assert list(tmp_path.iterdir()) == []


def test_damaged_files(tmp_path):
    path = save_safetensors(tmp_path / "x.safetensors", {"a": A})
    whole = path.read_bytes()
    for content in (b"", whole[:-1], whole[:20], b"\x80\x02}q\x01" * 9, whole.replace(b'"F64"', b'"F99"'),
                    whole.replace(b'"F64"', b'"U64"').replace(b"[4,6]", b"[4,7]")):  # fmt: skip
        path.write_bytes(content)
        with pytest.raises(ValueError, match=r"x.safetensors: not a safetensors file that NumPy can hold"):
            load_safetensors(path)
    with pytest.raises(FileNotFoundError):
        load_safetensors(tmp_path / "nothing")


def test_a_dtype_unknown_to_numpy(tmp_path):
    header = b'{"a":{"dtype":"BF16","shape":[1],"data_offsets":[0,2]}}'
    (tmp_path / "x").write_bytes(len(header).to_bytes(8, "little") + header + b"\0\0")
    with pytest.raises(ValueError, match=r"x: not a safetensors file that NumPy can hold .*BF16"):
        load_safetensors(tmp_path / "x")


def test_without_the_package(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "safetensors", None)
    monkeypatch.setitem(sys.modules, "safetensors.numpy", None)
    for call in (lambda: save_safetensors(tmp_path / "x", {"a": A}), lambda: load_safetensors(tmp_path / "x")):
        with pytest.raises(ImportError, match=r"need the package safetensors: pip install 'minigan\[interop\]'"):
            call()
