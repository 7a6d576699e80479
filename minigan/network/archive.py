"""The file of a network: an .npz archive, without pickle, of its layers as JSON, its parameters and running statistics.

The archive has the members "network", a JSON string, "parameters/NAME" and "state/NAME".  They are stored uncompressed,
so that the size of the file bounds the memory that reading it takes: every header is compared with the bytes that
follow it before an array is allocated.
"""

import io
import json
import math
import zipfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from minigan._checks import network_dtype
from minigan._files import PathLike, atomic_write
from minigan._views import Named
from minigan.layers.base import Layer
from minigan.layers.chain import Chain
from minigan.layers.config import from_config
from minigan.ops import to_host

FORMAT = "minigan network"
VERSION = 1
DESCRIPTION = "network"
PARTS = ("parameters", "state")
MAX_HEADER_BYTES = 10_000
"""The longest header of an array; that of a network's arrays has about 120 bytes."""


class DamagedError(ValueError):
    """What is wrong with a file; the message does not name the file."""


@dataclass(frozen=True)
class Saved:
    """The content of a file: the class and dtype of the network, its layers and its named arrays."""

    kind: str
    dtype: np.dtype[Any]
    layers: list[Layer]
    parameters: Named
    state: Named


def write_network(
    path: PathLike,
    kind: str,
    layers: Sequence[Layer],
    dtype: np.dtype[Any],
    arrays: Mapping[str, Named],
    *,
    overwrite: bool,
) -> Path:
    """Write a network's file atomically; `Network.save` says what it raises."""
    if dtype.kind == "O":
        raise TypeError("a network of dtype object cannot be saved without pickle; expected net.astype('float64')")
    described = {
        "format": FORMAT, "version": VERSION, "class": kind, "dtype": dtype.str,
        "layers": [_description(i, layer) for i, layer in enumerate(layers)],
    }  # fmt: skip
    members = {f"{part}/{name}": to_host(array) for part in PARTS for name, array in arrays[part].items()}
    text = np.array(json.dumps(described, allow_nan=False))
    return atomic_write(
        path,
        lambda stream: np.savez(stream, allow_pickle=False, **{DESCRIPTION: text}, **members),
        new=not overwrite,
    )


def _description(i: int, layer: Layer) -> Any:
    """Return the description of a layer; raise ValueError unless the layer can be rebuilt from it."""
    place = f"layer {i} ({type(layer).__name__})"
    description = layer.to_config()
    try:
        rebuilt = from_config(json.loads(json.dumps(description, allow_nan=False)))
    except (TypeError, ValueError) as error:
        hint = "; expected a class decorated with minigan.layers.register_layer" if "unknown" in str(error) else ""
        raise ValueError(f"{place} cannot be saved: {error}{hint}") from None
    if rebuilt != layer:
        raise ValueError(f"{place} cannot be saved: its description gives {rebuilt!r}, another layer than {layer!r}")
    return description


def read_network(path: PathLike) -> Saved:
    """Read a network's file.

    Parameters
    ----------
    path : path
        A file that `write_network` wrote.

    Returns
    -------
    Saved
        Its content, whose arrays fit the layers.

    Raises
    ------
    OSError
        If the file cannot be read.
    ValueError
        If it is damaged or something else; the message names it and says what is wrong.

    """
    content = Path(path).read_bytes()
    try:
        return _content(_members(content))
    except DamagedError as error:
        raise ValueError(f"{path}: not a network of minigan: {error}") from None


def _members(content: bytes) -> Named:
    """Return the arrays of an .npz archive that is stored uncompressed."""
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            infos = archive.infolist()
            if len({info.filename for info in infos}) < len(infos):
                raise DamagedError("two of its arrays have one name")
            if any(info.compress_type != zipfile.ZIP_STORED or info.flag_bits & 1 for info in infos):
                raise DamagedError("it is compressed or encrypted; expected an archive as Network.save writes it")
            if sum(info.file_size for info in infos) > len(content):
                raise DamagedError("its arrays are larger than the file")
            return {info.filename.removesuffix(".npy"): _array(archive.read(info)) for info in infos}
    except (zipfile.BadZipFile, EOFError, NotImplementedError, OSError, RuntimeError, UnicodeError) as error:
        raise DamagedError(f"it is no whole .npz archive ({error})") from None


def _array(data: bytes) -> Any:
    """Return the array of an .npy file whose header fits the bytes that follow it."""
    stream = io.BytesIO(data)
    try:
        version = np.lib.format.read_magic(stream)
        read = {(1, 0): np.lib.format.read_array_header_1_0, (2, 0): np.lib.format.read_array_header_2_0}[version]
        shape, fortran_order, dtype = read(stream, max_header_size=MAX_HEADER_BYTES)
    except Exception as error:  # of NumPy, for any header
        raise DamagedError(f"the header of an array is damaged ({str(error)[:80]})") from None
    size = len(data) - stream.tell()
    if dtype.hasobject or dtype.kind not in "fcU":
        raise DamagedError(f"it has an array of dtype {dtype}; expected floating or complex numbers")
    if any(n < 0 for n in shape) or math.prod(shape) * dtype.itemsize != size:
        raise DamagedError(f"an array of shape {shape} and dtype {dtype} has {size:,} bytes")
    array = np.frombuffer(data, dtype, offset=stream.tell()) if size else np.zeros(0, dtype)
    return array.reshape(shape, order="F" if fortran_order else "C")


def _content(members: Named) -> Saved:
    """Return the network that the arrays of a file describe."""
    text = members.pop(DESCRIPTION, None)
    if text is None or text.dtype.kind != "U" or text.ndim:
        raise DamagedError(f"it has no description of layers, {DESCRIPTION!r}")
    try:
        described = json.loads(str(text))
        if not isinstance(described, dict) or described.get("format") != FORMAT:
            raise DamagedError(f"its description is not that of a {FORMAT!r}")
        if described.get("version") != VERSION:
            raise DamagedError(f"it has format {described.get('version')!r}; this version reads format {VERSION}")
        kind, dtype, layers = _types(described)
        chain = Chain(tuple(layers))
    except Exception as error:  # of JSON, or of the constructor of a layer
        if isinstance(error, DamagedError):
            raise
        reason = str(error) or "its description is nested too deeply"
        if reason.startswith("unknown layer"):
            known = "expected a layer of minigan, or of a module that is imported before load"
            reason = f"{reason.partition(';')[0]}; {known}"
        raise DamagedError(reason[:300]) from None
    parts: dict[str, Named] = {part: {} for part in PARTS}
    for name, array in members.items():
        part, _, own = name.partition("/")
        if part not in parts:
            raise DamagedError(f"it has an array {name[:80]!r} of something else")
        parts[part][own] = array
    shapes = (
        {name: parameter.shape for name, parameter in chain.parameters().items()},
        {name: shape for name, (shape, _) in chain.state().items()},
    )
    for part, expected in zip(PARTS, shapes, strict=True):
        _require_arrays(part, parts[part], expected, dtype)
    return Saved(kind, dtype, layers, parts["parameters"], parts["state"])


def _types(described: Mapping[str, Any]) -> tuple[str, np.dtype[Any], list[Layer]]:
    kind, dtype, layers = (described.get(key) for key in ("class", "dtype", "layers"))
    if not isinstance(kind, str) or not isinstance(dtype, str) or not isinstance(layers, list):
        raise DamagedError("its description has no class, dtype and list of layers")
    found = network_dtype(np.dtype(dtype).newbyteorder("="))
    if found.kind == "O":
        raise DamagedError("its dtype is object")
    return kind, found, from_config(layers)


def _require_arrays(part: str, given: Named, shapes: Mapping[str, tuple[int, ...]], dtype: np.dtype[Any]) -> None:
    """Raise DamagedError unless the arrays have these names, these shapes and this dtype in any byte order."""
    for names, what in ((shapes.keys() - given.keys(), "is missing"), (given.keys() - shapes.keys(), "is unexpected")):
        if names:
            raise DamagedError(f"{part} do not fit the layers: {min(names)[:80]!r} {what}")
    for name, array in given.items():
        if array.shape != shapes[name] or array.dtype.newbyteorder("=") != dtype:
            raise DamagedError(
                f"{part} do not fit the layers: {name[:80]!r} is {array.dtype} {array.shape}, expected {dtype} "
                f"{shapes[name]}"
            )
