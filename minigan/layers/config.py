"""Layers from their descriptions: the inverse of `Layer.to_config`."""

from collections.abc import Mapping
from dataclasses import fields
from typing import Any, TypeVar

from minigan import initializers
from minigan._names import unknown
from minigan.initializers import Initializer
from minigan.layers import (
    activation,
    chain,
    conv,
    dense,
    dropout,
    embedding,
    example_norm,
    maxout,
    minibatch_stddev,
    norm,
    pixel_norm,
    pixel_shuffle,
    pool,
    reflection,
    residual,
    shape,
    spectral_norm,
)
from minigan.layers.base import Layer

L = TypeVar("L", bound=type[Layer])

_MODULES = (
    activation, chain, conv, dense, dropout, embedding, example_norm, maxout, minibatch_stddev, norm, pixel_norm,
    pixel_shuffle, pool, reflection, residual, shape, spectral_norm,
)  # fmt: skip
_LAYERS: dict[str, type[Layer]] = {
    name: found
    for module in _MODULES
    for name, found in vars(module).items()
    if isinstance(found, type) and issubclass(found, Layer) and found not in (Layer, chain.Fused)
}
_INITIALIZERS: dict[str, type[Initializer]] = {
    name: found
    for name, found in vars(initializers).items()
    if isinstance(found, type) and issubclass(found, Initializer) and found is not Initializer
}


def register_layer(layer: L) -> L:
    """Register a custom layer class, so that `from_config` can rebuild it; a decorator.

    Parameters
    ----------
    layer : type
        A subclass of `Layer`: a frozen dataclass whose fields are JSON-serializable, initializers, layers, or tuples of
        those.

    Returns
    -------
    type
        `layer` itself.

    Raises
    ------
    TypeError
        If `layer` is not a subclass of `Layer`.
    ValueError
        If another class is registered under that name.

    """
    if not (isinstance(layer, type) and issubclass(layer, Layer)):
        raise TypeError(f"layer must be a subclass of minigan.Layer, got {layer!r}")
    if _LAYERS.get(layer.__name__, layer) is not layer:
        raise ValueError(f"a layer named {layer.__name__!r} is registered already; expected another name")
    _LAYERS[layer.__name__] = layer
    return layer


def from_config(description: Any) -> Any:
    """Build the layer, or the list of layers, that a description describes.

    Parameters
    ----------
    description : dict or list of dict
        The result of `Layer.to_config` or of `Network.to_config`, possibly written to JSON and read again.

    Returns
    -------
    Layer or list of Layer
        Layers equal to those described.

    Raises
    ------
    ValueError
        If a class is unknown, or the class does not accept a field or its value.

    Examples
    --------
    >>> from minigan.layers import Dense
    >>> from_config(Dense(3, 2).to_config()) == Dense(3, 2)
    True

    """
    if isinstance(description, (list, tuple)):
        return [from_config(entry) for entry in description]
    if not isinstance(description, Mapping) or "layer" not in description:
        raise ValueError(f"{str(description)[:80]!r} describes no layer; expected a dict with the key 'layer'")
    return _build("layer", description, _LAYERS)


def _build(key: str, description: Mapping[str, Any], known: Mapping[str, type]) -> Any:
    name = description[key]
    if not isinstance(name, str) or name not in known:
        raise ValueError(unknown(key, name, known))
    kind: Any = known[name]
    names = {field.name for field in fields(kind) if field.init}
    field_of_key = {file_key: field for field, file_key in getattr(kind, "config_keys", {}).items()}
    entries = [(field_of_key.get(entry, entry), value) for entry, value in description.items() if entry != key]
    given = {field: _value(value) for field, value in entries}
    if len(given) < len(entries):
        twice = next(field for field, file_key in kind.config_keys.items() if {field, file_key} <= description.keys())
        raise ValueError(f"{name} has {twice!r} and {kind.config_keys[twice]!r}, which are one field; expected one")
    strange = sorted(given.keys() - names)
    if strange:
        raise ValueError(f"{name} has no field {strange[0]!r}; expected {', '.join(sorted(names))}")
    try:
        return kind(**given)
    except TypeError as error:
        raise ValueError(f"{name}: {error}") from None


def _value(value: Any) -> Any:
    """Return the value of a field, with layers, initializers and tuples rebuilt."""
    if isinstance(value, Mapping):
        return _build("layer", value, _LAYERS) if "layer" in value else _build("initializer", value, _INITIALIZERS)
    return tuple(map(_value, value)) if isinstance(value, (list, tuple)) else value
