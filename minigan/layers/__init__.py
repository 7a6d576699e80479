"""Layers: descriptions with a forward pass and, next to it, the backward pass."""

from minigan.layers.activation import LeakyReLU, ReLU, Sigmoid, Softmax, Softplus, Tanh
from minigan.layers.base import Context, Layer, Parameter, ShapeError
from minigan.layers.chain import Chain, Fused
from minigan.layers.config import from_config, register_layer
from minigan.layers.conv import Conv2D, ConvTranspose2D
from minigan.layers.dense import Dense
from minigan.layers.dropout import Dropout
from minigan.layers.embedding import ConcatEmbedding, Embedding, Projection
from minigan.layers.example_norm import GroupNorm, InstanceNorm2D, LayerNorm
from minigan.layers.maxout import Maxout
from minigan.layers.minibatch_stddev import MinibatchStdDev
from minigan.layers.norm import BatchNorm
from minigan.layers.pixel_norm import PixelNorm
from minigan.layers.pixel_shuffle import PixelShuffle, PixelUnshuffle
from minigan.layers.pool import AvgPool2D, MaxPool2D, UpSample2D, ZeroPad2D
from minigan.layers.reflection import ReflectionPad2D
from minigan.layers.residual import Residual
from minigan.layers.shape import Flatten, Reshape
from minigan.layers.spectral_norm import SpectralNorm

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
    "GroupNorm",
    "InstanceNorm2D",
    "Layer",
    "LayerNorm",
    "LeakyReLU",
    "MaxPool2D",
    "Maxout",
    "MinibatchStdDev",
    "Parameter",
    "PixelNorm",
    "PixelShuffle",
    "PixelUnshuffle",
    "Projection",
    "ReLU",
    "ReflectionPad2D",
    "Reshape",
    "Residual",
    "ShapeError",
    "Sigmoid",
    "Softmax",
    "Softplus",
    "SpectralNorm",
    "Tanh",
    "UpSample2D",
    "ZeroPad2D",
    "from_config",
    "register_layer",
]
