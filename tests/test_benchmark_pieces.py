"""Pieces of networks are checked before they are timed, and their rates count the work of both directions."""

import time

import numpy as np
import pytest

from benchmarks.cases import pieces
from benchmarks.core import measure
from minigan.layers import Dense, ReLU
from minigan.ops import get_ops

PIECE = pieces.Piece("recipe G 0", (Dense(3, 4), ReLU()), (3,), 5, 2.0 * 5 * 3 * 4, "flop")


def test_a_correct_piece_has_an_error_of_single_precision():
    error = pieces.relative_error(PIECE, get_ops("cpu"), tolerance=1e-5, what="piece")
    assert 0 < error <= 1e-6


@pytest.mark.parametrize("which", [0, 1, 2])
@pytest.mark.parametrize("wrong", [1 + 1e-4, np.nan])
def test_a_wrong_piece_is_not_timed(monkeypatch, which, wrong):
    correct = pieces.forward_backward

    def forward_backward(net, x, dy):
        found = correct(net, x, dy)
        factor = wrong if x.dtype == np.float32 else 1.0
        return tuple(a * factor if i == which else a for i, a in enumerate(found))

    monkeypatch.setattr(pieces, "forward_backward", forward_backward)
    name = ("y", "dx", "dtheta")[which]
    with pytest.raises(SystemExit, match=rf"^piece: {name} has a relative error of \S+; expected at most 1e-05\. Not"):
        pieces.relative_error(PIECE, get_ops("cpu"), tolerance=1e-5, what="piece")
    if which > 0:
        assert pieces.relative_error(PIECE, get_ops("cpu"), tolerance=1e-5, what="piece", compared=("y",)) <= 1e-5


def test_the_row_of_a_piece_has_rates_and_shares():
    row = pieces.piece_row(PIECE, {"a forward": {"median": 2.0}, "a backward": {"median": 3.0}}, limit=100.0)
    assert row["rate"] == {
        "a forward": {"per_second": 60.0, "share": 0.6},
        "a backward": {"per_second": 80.0, "share": 0.8},
    }
    assert (row["piece"], row["layers"], row["x"], row["y"]) == ("recipe G 0", "Dense, ReLU", [5, 3], [5, 4])


def test_seconds_of_a_job():
    assert 0.01 <= measure.seconds_of(lambda: time.sleep(0.01)) < 1
