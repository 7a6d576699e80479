"""`Network.save` and `Network.load`: exact, without pickle, atomic, and safe against damaged and hostile files."""

import io
import json
import os
import tracemalloc
import zipfile
from contextlib import contextmanager
from dataclasses import dataclass
from fractions import Fraction

import numpy as np
import pytest
from cases import BACKENDS, LAYERS, Labelled, chains, network
from hypothesis import given
from hypothesis import strategies as st

import minigan as mg
from minigan.layers import register_layer

SAVED = {name: entry for name, entry in LAYERS.items() if "Labelled" not in repr(entry)}
READING = {
    "embedding": mg.Residual([mg.Dense(2, 5)], [mg.Embedding(3, 5)]),
    "concatenated": mg.ConcatEmbedding(3, 4),
    "projection": mg.Projection(5, 3),
}
BODY = [mg.Dense(2, 3), mg.BatchNorm(3), mg.LeakyReLU(0.1), mg.Dense(3, 1)]


def assert_same_bits(a, b):
    assert a.layers == b.layers
    assert (a.dtype, a.theta.tobytes(), a.state_vector.tobytes()) == (
        b.dtype,
        b.theta.tobytes(),
        b.state_vector.tobytes(),
    )
    assert list(a.parameters()) == list(b.parameters())


@pytest.mark.parametrize("dtype", ["float32", "float64", "complex128", "longdouble"])
@pytest.mark.parametrize("layer", [*(layer for layer, _ in SAVED.values()), *READING.values()], ids=repr)
def test_every_layer_returns_with_its_bits(layer, dtype, tmp_path):
    net = network(layer, dtype=dtype)
    again = mg.Network.load(net.save(tmp_path / "net"), ops="reference")
    assert_same_bits(net, again)
    assert again.to_config() == net.to_config()


@pytest.mark.parametrize("name", SAVED)
def test_it_computes_the_same(name, tmp_path):
    layer, shape = SAVED[name]
    net = network(layer, dtype="float32", ops="cpu")
    again = mg.Network.load(net.save(tmp_path / "net"))
    x = np.random.default_rng(0).standard_normal((4, *shape), dtype="float32")
    np.testing.assert_array_equal(net(x), again(x))


def test_labels(tmp_path):
    net = network(mg.ConcatEmbedding(3, 4))
    again = mg.Network.load(net.save(tmp_path / "net"), ops="reference")
    given = np.ones((2, 5)), np.array([2, 0])
    assert again.n_classes == 3
    np.testing.assert_array_equal(again(given), net(given))


@given(chains(3, 2), st.integers(0, 2**32 - 1))
def test_any_chain(layers, seed):
    import tempfile

    net = network(layers, seed=seed)
    with tempfile.TemporaryDirectory() as folder:
        assert_same_bits(net, mg.Network.load(net.save(f"{folder}/net"), ops="reference"))


@pytest.mark.parametrize("ops", BACKENDS.values(), ids=BACKENDS)
def test_every_backend(ops, tmp_path):
    net = network(BODY, dtype="float32", ops=ops)
    again = mg.Network.load(net.save(tmp_path / "net"), ops=ops)
    assert_same_bits(net, again)
    assert again.ops is net.ops


def test_numbers_that_are_not_finite_return_too(tmp_path):
    net = network(BODY)
    net.theta[:2] = np.nan, np.inf
    net.state_vector[0] = np.nan
    assert_same_bits(net, mg.Network.load(net.save(tmp_path / "net"), ops="reference"))


def test_the_other_byte_order(tmp_path):
    path = rewritten(tmp_path, network(BODY), lambda name, array: array.astype(array.dtype.newbyteorder()))
    assert_same_bits(network(BODY), mg.Network.load(path, ops="reference"))


def test_an_old_pullback_is_not_that_of_a_loaded_network(tmp_path):
    """The version counts from 0 again: a loaded network is new."""
    net = network(BODY)
    net.mark_modified()
    assert mg.Network.load(net.save(tmp_path / "net")).version == 0


# --- writing --------------------------------------------------------------------------------------


def test_a_file_is_overwritten_only_on_request(tmp_path):
    net, other = network(BODY), network(BODY, seed=1)
    path = net.save(tmp_path / "net.npz")
    with pytest.raises(FileExistsError, match=r"net\.npz"):
        other.save(path)
    assert_same_bits(net, mg.Network.load(path))
    other.save(path, overwrite=True)
    assert_same_bits(other, mg.Network.load(path))
    with pytest.raises(TypeError, match="overwrite must be True or False, got 1"):
        net.save(path, overwrite=1)
    with pytest.raises(FileNotFoundError, match="nowhere/net"):
        net.save(tmp_path / "nowhere/net")
    assert os.listdir(tmp_path) == ["net.npz"]


def test_a_failed_write_leaves_the_old_file(tmp_path, monkeypatch):
    net = network(BODY)
    path = net.save(tmp_path / "net")
    monkeypatch.setattr("minigan._files.os.fsync", lambda _: (_ for _ in ()).throw(OSError(28, "disk full")))
    with pytest.raises(OSError, match="disk full"):
        network(BODY, seed=1).save(path, overwrite=True)
    assert os.listdir(tmp_path) == ["net"]
    assert_same_bits(net, mg.Network.load(path))


@dataclass(frozen=True)
class Unregistered(mg.Layer):
    def forward(self, p, x, ctx):
        return x, lambda dy, g=None, *, need_dx=True: dy


@register_layer
@dataclass(frozen=True)
class Scaled(mg.Layer):
    """y = factor x."""

    factor: float = 2.0

    def forward(self, p, x, ctx):
        return self.factor * x, lambda dy, g=None, *, need_dx=True: self.factor * dy


@pytest.mark.parametrize(
    ("layers", "message"),
    [
        ([mg.ReLU(), Unregistered()], r"layer 1 \(Unregistered\) cannot be saved: unknown layer 'Unregistered'.*"
         "expected a class decorated with minigan.layers.register_layer"),
        ([mg.Residual([Labelled(mg.ReLU())])], r"layer 0 \(Residual\) cannot be saved: unknown layer"),
        ([mg.LeakyReLU(Fraction(1, 5))], r"layer 0 \(LeakyReLU\) cannot be saved: .*Fraction is not JSON"),
        ([Scaled(float("nan"))], r"layer 0 \(Scaled\) cannot be saved: Out of range float"),
        ([Scaled([1, 2])], r"layer 0 \(Scaled\) cannot be saved: its description gives .* another layer than"),
    ],
)  # fmt: skip
def test_what_could_not_be_loaded_is_not_saved(layers, message, tmp_path):
    with pytest.raises(ValueError, match=message):
        mg.Network(layers, rng=np.random.default_rng(0)).save(tmp_path / "net")
    assert os.listdir(tmp_path) == []


def test_exact_numbers_need_pickle(tmp_path):
    with pytest.raises(TypeError, match=r"dtype object cannot be saved without pickle; expected net.astype"):
        network(BODY).astype(object, Fraction).save(tmp_path / "net")


def test_an_own_layer(tmp_path):
    net = network([mg.Dense(2, 2), Scaled(3.0)])
    assert_same_bits(net, mg.Network.load(net.save(tmp_path / "net"), ops="reference"))


class Mirrored(mg.Network):
    """y = f(-x)."""


def test_a_subclass_is_loaded_by_its_own_class(tmp_path):
    path = Mirrored(BODY, rng=np.random.default_rng(0)).save(tmp_path / "net")
    with pytest.raises(ValueError, match=r"net: a network of class Mirrored; expected Mirrored.load\(path\)"):
        mg.Network.load(path)
    assert type(Mirrored.load(path)) is Mirrored


# --- reading --------------------------------------------------------------------------------------


def rewritten(folder, net, change, *, compression=zipfile.ZIP_STORED):
    """The file of a network with each array replaced by what ``change(name, array)`` returns: an array or bytes."""
    path = net.save(folder / "whole", overwrite=True)
    with zipfile.ZipFile(folder / "changed", "w", compression) as archive, np.load(path) as stored:
        for name in stored.files:
            data = change(name, stored[name])
            if data is None:
                continue
            if not isinstance(data, bytes):
                stream = io.BytesIO()
                np.lib.format.write_array(stream, np.asarray(data), allow_pickle=True)
                data = stream.getvalue()
            archive.writestr(f"{name}.npy", data)
    return folder / "changed"


def described(**changes):
    """Change entries of the description."""

    def change(name, array):
        return np.array(json.dumps({**json.loads(str(array)), **changes})) if name == "network" else array

    return change


def header(shape, dtype="<f8"):
    stream = io.BytesIO()
    np.lib.format.write_array_header_1_0(stream, {"descr": dtype, "fortran_order": False, "shape": shape})
    return stream.getvalue()


def weights(data):
    """Replace the first weights by other bytes or another array."""
    return lambda name, array: data if name == "parameters/0.W" else array


HUGE = [{"layer": "Dense", "n_in": 10**9, "n_out": 10**9}]
DEEP = "[" * 100_000 + "]" * 100_000


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda name, array: None if name == "network" else array, "it has no description of layers, 'network'"),
        (lambda name, array: np.ones(3) if name == "network" else array, "it has no description of layers"),
        (lambda name, array: np.array("{") if name == "network" else array, "Expecting property name"),
        (lambda name, array: np.array("[1]") if name == "network" else array, "its description is not that of a"),
        (lambda name, array: np.array(DEEP) if name == "network" else array, ""),
        (described(format="another"), "its description is not that of a 'minigan network'"),
        (described(version=2), "it has format 2; this version reads format 1"),
        (described(dtype="float16"), "dtype float16"),
        (described(dtype="|O"), "its dtype is object"),
        (described(dtype="nothing"), "nothing"),
        (described(layers={}), "its description has no class, dtype and list of layers"),
        (described(layers=[]), "layers is empty"),
        (described(layers=[{"layer": "Dens"}]), r"unknown layer 'Dens' \(did you mean .*before load"),
        (described(layers=[{"layer": "Dense", "n_in": "1", "n_out": 1}]), "n_in must be an int >= 1, got '1'"),
        (described(layers=[{"layer": ["Dense"]}]), "unknown layer .'Dense'."),
        (described(layers=HUGE), "parameters do not fit the layers: '1.beta' is unexpected"),
        (described(layers=[mg.Dense(2, 3).to_config()]), "parameters do not fit the layers: '1.beta' is unexpected"),
        (described(layers=[layer.to_config() for layer in BODY] * 2), "parameters do not fit the layers: '4.W'"),
        (described(dtype="<f4"), "parameters do not fit the layers: '0.W' is float64"),
        (weights(np.ones((3, 2))), r"'0.W' is float64 \(3, 2\), expected float64 \(2, 3\)"),
        (weights(np.ones((2, 3), "float32")), "'0.W' is float32"),
        (weights(np.ones((2, 3), int)), "an array of dtype int64; expected floating or complex numbers"),
        (weights(np.array([print])), "an array of dtype object; expected floating or complex numbers"),
        (weights(None), "parameters do not fit the layers: '0.W' is missing"),
        (weights(header((2, 3))), r"an array of shape \(2, 3\) and dtype float64 has 0 bytes"),
        (weights(header((10**6, 10**6))), r"an array of shape \(1000000, 1000000\) and dtype float64 has 0 bytes"),
        (weights(header((2**63, 2**63, 0)) + b"1"), "and dtype float64 has 1 bytes"),
        (weights(header((-2, -3)) + bytes(48)), r"an array of shape \(-2, -3\)"),
        (weights(b"\x93NUMPY\x07\x00"), "the header of an array is damaged"),
        (weights(b""), "the header of an array is damaged"),
        (weights(b"\x93NUMPY\x01\x00\x06\x00{'a':1"), "the header of an array is damaged"),
    ],
)  # fmt: skip
def test_what_is_not_a_network(change, message, tmp_path):
    path = rewritten(tmp_path, network(BODY), change)
    with pytest.raises(ValueError, match=rf"(?s)changed: not a network of minigan: .*{message}") as caught:
        mg.Network.load(path)
    assert len(str(caught.value)) < 600


def test_other_files(tmp_path):
    (tmp_path / "f").write_bytes(b"\x80\x04\x95")  # a pickle
    with pytest.raises(ValueError, match="f: not a network of minigan: it is no whole .npz archive"):
        mg.Network.load(tmp_path / "f")
    np.savez(tmp_path / "weights.npz", **network(BODY).parameters())
    with pytest.raises(ValueError, match="it has no description of layers"):
        mg.Network.load(tmp_path / "weights.npz")
    path = rewritten(tmp_path, network(BODY), lambda name, array: array, compression=zipfile.ZIP_DEFLATED)
    with pytest.raises(ValueError, match="it is compressed or encrypted"):
        mg.Network.load(path)
    path = rewritten(tmp_path, network(BODY), lambda name, array: array)
    with zipfile.ZipFile(path, "a") as archive:
        archive.writestr("other/x.npy", header(()) + bytes(8))
    with pytest.raises(ValueError, match="an array 'other/x' of something else"):
        mg.Network.load(path)
    with pytest.raises(FileNotFoundError, match="nothing"):
        mg.Network.load(tmp_path / "nothing")


@contextmanager
def suppress_damage():
    """Suppress the error for a damaged file, and no other one."""
    try:
        yield
    except ValueError as error:
        if "net: not a network of minigan" not in str(error):
            raise


@given(st.data())
def test_damaged_bytes_are_an_error_or_change_nothing(data):
    """Every byte is either checked, or in a place that does not decide what is read."""
    import tempfile

    net = network(BODY)
    with tempfile.TemporaryDirectory() as folder:
        path = net.save(f"{folder}/net")
        whole = bytearray(path.read_bytes())
        if data.draw(st.booleans()):
            del whole[data.draw(st.integers(0, len(whole) - 1)) :]
        else:
            for _ in range(data.draw(st.integers(1, 4))):
                whole[data.draw(st.integers(0, len(whole) - 1))] ^= data.draw(st.integers(1, 255))
        path.write_bytes(whole)
        again = net
        with suppress_damage():
            again = mg.Network.load(path, ops="reference")
        assert_same_bits(net, again)


@pytest.mark.parametrize("change", [described(layers=HUGE), weights(header((10**9, 10**9)))], ids=["layers", "header"])
def test_memory_is_bounded_by_the_file(change, tmp_path):
    path = rewritten(tmp_path, network(BODY), change)
    tracemalloc.start()
    try:
        with pytest.raises(ValueError, match="not a network of minigan"):
            mg.Network.load(path)
        assert tracemalloc.get_traced_memory()[1] < 10**6
    finally:
        tracemalloc.stop()


def test_a_zip_bomb_of_overlapping_members(tmp_path):
    """Many names for the same bytes."""
    path = rewritten(tmp_path, network(BODY), lambda name, array: array)
    with zipfile.ZipFile(path, "a") as archive:
        first = archive.infolist()[0]
        for i in range(100):
            info = zipfile.ZipInfo(f"parameters/{i}.npy")
            for name in ("header_offset", "file_size", "compress_size", "CRC", "compress_type"):
                setattr(info, name, getattr(first, name))
            archive.filelist.append(info)
            archive.NameToInfo[info.filename] = info
        archive._didModify = True
    with pytest.raises(ValueError, match="its arrays are larger than the file"):
        mg.Network.load(path)
