"""Pushforwards and gradient penalties on the device agree with the reference."""

import numpy as np
import pytest
from cases import LAYERS, PENALISED, PUSHED, network, whole_gan
from emulated import NAME, NEEDS_HOST_COMPILER, error_of

from minigan.gan.penalties import R1, R2, WassersteinPenalty
from minigan.ops import get_ops, to_host

pytestmark = NEEDS_HOST_COMPILER

DTYPES = {"float32": 5e-5, "float64": 1e-12}


@pytest.fixture(scope="module")
def cuda():
    return get_ops("cuda", device=NAME)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize(("name", "train"), PUSHED)
def test_every_layer(name, train, dtype, cuda):
    layer, shape = LAYERS[name]
    host, device = network(layer), network(layer, dtype=dtype, ops=cuda)
    rng = np.random.default_rng(1)
    x, x_dot = rng.standard_normal((2, 6, *shape)).astype(dtype).astype(float)
    want, found = (
        net.pushforward(x.astype(net.dtype), x_dot.astype(net.dtype), train=train, rng=np.random.default_rng(0))
        for net in (host, device)
    )
    dy, dy_dot = rng.standard_normal((2, *want[0].shape))
    gradients = [net.zeros_like_theta() for net in (host, device)]
    pulled = [
        result[2](dy.astype(net.dtype), dy_dot.astype(net.dtype), g)
        for net, result, g in zip((host, device), (want, found), gradients, strict=True)
    ]
    for a, b in zip((*found[:2], *pulled[1], gradients[1]), (*want[:2], *pulled[0], gradients[0]), strict=True):
        assert isinstance(a, cuda.xp.ndarray)
        assert a.dtype == dtype
        assert error_of(to_host(a), b) < DTYPES[dtype]


@pytest.mark.parametrize("penalty", [R1(2.0), R2(2.0), WassersteinPenalty(10.0)], ids=repr)
@pytest.mark.parametrize("body", PENALISED)
def test_penalties(body, penalty, cuda):
    ends = []
    for ops in ("reference", cuda):
        _, D, x_real, x_fake, _ = whole_gan(body, outputs=1, ops=ops)
        g = D.zeros_like_theta()
        P = penalty.add_gradient(D, x_real[:8], x_fake, g, rng=np.random.default_rng(0))
        ends.append((np.asarray(float(P)), to_host(g)))
    for found, expected in zip(ends[1], ends[0], strict=True):
        assert error_of(found, expected) < 1e-12
