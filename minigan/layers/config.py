"""Layers from their descriptions: the inverse of `Layer.to_config`."""

from collections.abc import Mapping
from dataclasses import fields
from typing import Any, TypeVar

from minigan import initializers
from minigan._names import unknown
from minigan.initializers import Initializer
from minigan.layers import activation, chain, conv, dense, dropout, maxout, norm, pool, residual, shape
from minigan.layers.base import Layer

L = TypeVar("L", bound=type[Layer])

_MODULES = (activation, chain, conv, dense, dropout, maxout, norm, pool, residual, shape)
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
    """Make `from_config` know a layer class of your own; a decorator.

    Parameters
    ----------
    layer
        A subclass of `Layer`: a frozen dataclass whose fields are JSON-able, initializers, layers, or tuples of those.

    Returns
    -------
    type
        The class.

    Raises
    ------
    ValueError
        Where another class is registered by that name.

    """
    if not (isinstance(layer, type) and issubclass(layer, Layer)):
        raise TypeError(f"layer must be a subclass of minigan.Layer, got {layer!r}")
    if _LAYERS.get(layer.__name__, layer) is not layer:
        raise ValueError(f"a layer named {layer.__name__!r} is registered already; expected another name")
    _LAYERS[layer.__name__] = layer
    return layer


def from_config(description: Any) -> Any:
    """Return the layer, or the list of layers, that `description` describes.

    Parameters
    ----------
    description
        What `Layer.to_config` or `Network.to_config` returned, also after a journey through JSON.

    Returns
    -------
    Layer or list of Layer
        Equal to what was described.

    Raises
    ------
    ValueError
        Where it describes no layer that is known, or has fields that the layer refuses.

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
    return _made("layer", description, _LAYERS)


def _made(key: str, description: Mapping[str, Any], known: Mapping[str, type]) -> Any:
    name = description[key]
    if name not in known:
        raise ValueError(unknown(key, name, known))
    kind = known[name]
    given = {field: _value(value) for field, value in description.items() if field != key}
    names = {field.name for field in fields(kind) if field.init}
    strange = sorted(given.keys() - names)
    if strange:
        raise ValueError(f"{name} has no field {strange[0]!r}; expected {', '.join(sorted(names))}")
    try:
        return kind(**given)
    except TypeError as error:
        raise ValueError(f"{name}: {error}") from None


def _value(value: Any) -> Any:
    """The value of a field: layers, initializers and tuples as they were."""
    if isinstance(value, Mapping):
        return _made("layer", value, _LAYERS) if "layer" in value else _made("initializer", value, _INITIALIZERS)
    return tuple(map(_value, value)) if isinstance(value, (list, tuple)) else value
