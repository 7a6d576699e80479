"""Layers: descriptions with a forward pass and, next to it, the backward pass."""

from minigan.layers.activation import LeakyReLU, ReLU, Sigmoid, Softmax, Softplus, Tanh
from minigan.layers.base import Context, Layer, Parameter, ShapeError
from minigan.layers.chain import Chain, Fused
from minigan.layers.config import from_config, register_layer
from minigan.layers.conv import Conv2D, ConvTranspose2D
from minigan.layers.dense import Dense
from minigan.layers.dropout import Dropout
from minigan.layers.embedding import ConcatEmbedding, Embedding, Projection
from minigan.layers.maxout import Maxout
from minigan.layers.norm import BatchNorm
from minigan.layers.pool import AvgPool2D, MaxPool2D, UpSample2D, ZeroPad2D
from minigan.layers.residual import Residual
from minigan.layers.shape import Flatten, Reshape

__all__ = [
    "AvgPool2D",
    "BatchNorm",
    "Chain",
    "ConcatEmbedding",
    "Context",
    "Conv2D",
    "ConvTranspose2D",
    "Dense",
    "Dropout",
    "Embedding",
    "Flatten",
    "Fused",
    "Layer",
    "LeakyReLU",
    "MaxPool2D",
    "Maxout",
    "Parameter",
    "Projection",
    "ReLU",
    "Reshape",
    "Residual",
    "ShapeError",
    "Sigmoid",
    "Softmax",
    "Softplus",
    "Tanh",
    "UpSample2D",
    "ZeroPad2D",
    "from_config",
    "register_layer",
]
