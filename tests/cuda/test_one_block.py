"""A grid may have any size: the threads of a single block loop over all numbers."""

import check_convolution
import check_elementwise
import check_flat
import check_norm_act
import check_random
import pytest
from emulated import NEEDS_HOST_COMPILER, device

from minigan.ops.cuda import elementwise, norm_act, random, vector
from minigan.ops.cuda.conv import im2col, tiles

pytestmark = NEEDS_HOST_COMPILER

CHECKS = [
    *(check_flat.adam, check_flat.rmsprop, check_flat.momentum, check_flat.finite, check_flat.copy),
    *(check_elementwise.forward, check_elementwise.backward, check_elementwise.both, check_elementwise.loss),
    *(check_random.integers, check_random.indices, check_random.uniforms, check_random.normals),
    *(check_norm_act.flat, check_norm_act.dropout, check_convolution.patches, check_convolution.fp32),
]


@pytest.mark.parametrize("check", CHECKS, ids=lambda check: f"{check.__module__}-{check.__name__}")
def test_one_block_gives_the_same(check, monkeypatch):
    launched = []

    def one(*_):
        launched.append(1)
        return 1

    for module in (elementwise, vector, tiles, im2col, random, norm_act):
        monkeypatch.setattr(module, "blocks_for", one)
    monkeypatch.setattr(im2col, "MAX_GRID_BLOCKS", 2)
    monkeypatch.setattr(im2col, "THREADS", 32)
    check(device())
    assert launched
