"""Layers: each a description with a forward pass and, on the same screen, its backward pass."""

from minigan.layers.activation import LeakyReLU, ReLU, Sigmoid, Softmax, Softplus, Tanh
from minigan.layers.base import Context, Layer, Parameter, ShapeError
from minigan.layers.dense import Dense
from minigan.layers.dropout import Dropout
from minigan.layers.maxout import Maxout
from minigan.layers.norm import BatchNorm
from minigan.layers.shape import Flatten, Reshape

__all__ = [
    "BatchNorm",
    "Context",
    "Dense",
    "Dropout",
    "Flatten",
    "Layer",
    "LeakyReLU",
    "Maxout",
    "Parameter",
    "ReLU",
    "Reshape",
    "ShapeError",
    "Sigmoid",
    "Softmax",
    "Softplus",
    "Tanh",
]
