"""Iterations of every objective, and weight clipping, as graphs: the same bits as step by step, without a host sync."""

import warnings

import numpy as np
import pytest
from cases import OBJECTIVES, RELATIVISTIC, outputs_of
from emulated import EMULATOR_ONLY, NEEDS_HOST_COMPILER
from two_players import UPDATE_SCHEDULES, Player, first_difference

import minigan as mg
from minigan.ops import to_host
from minigan.ops.cuda.capture.iterations import CaptureWarning

pytestmark = NEEDS_HOST_COMPILER

ONE_OUTPUT = [o for o in OBJECTIVES if outputs_of(o) == 1]
CLIP = 0.3


@pytest.fixture(autouse=True)
def silent():
    """Every iteration must be captured."""
    with warnings.catch_warnings():
        warnings.simplefilter("error", CaptureWarning)
        yield


def players(objective, order="alternating", **attributes):
    made = [Player(order, graphs=graphs) for graphs in (True, False)]
    for player in made:
        player.gan.objective = objective
        for name, value in attributes.items():
            setattr(player.gan.optimizer_D, name, value)
    return made


@pytest.mark.parametrize("objective", ONE_OUTPUT, ids=repr)
def test_every_objective(objective):
    one, other = players(objective)
    assert first_difference(one, other, 4) is None
    assert one.graph is not None


@pytest.mark.parametrize("order", [name for name in UPDATE_SCHEDULES if name != "split batch"])
@pytest.mark.parametrize("objective", RELATIVISTIC[:2], ids=repr)
def test_the_real_batch_of_Gs_step_in_every_schedule(objective, order):
    one, other = players(objective, order)
    assert first_difference(one, other, 4) is None
    assert one.graph is not None


@pytest.mark.parametrize("optimizer", [mg.Adam, mg.RMSProp, mg.SGD])
def test_clipping_is_in_the_graph(optimizer):
    one, other = (Player(graphs=graphs, optimizer=optimizer) for graphs in (True, False))
    for player in (one, other):
        player.gan.objective, player.gan.optimizer_D.clip = mg.Wasserstein(), CLIP
    assert first_difference(one, other, 4) is None
    assert one.graph is not None
    assert np.abs(to_host(one.gan.D.theta)).max() == CLIP


@EMULATOR_ONLY
def test_clipping_outside_the_graph_is_detected(monkeypatch):
    """If the clipping were not recorded, a replay would leave larger numbers."""
    one, other = players(mg.Wasserstein(), clip=CLIP)
    for player in (one, other):
        player.play(), player.play()
    step = mg.optimizers.Optimizer.step
    captured = one.gan.D.ops.iterations._find(one.gan)
    captured.captured, captured.events = None, None

    def unclipped(self, g):
        self.clip, kept = None, self.clip
        try:
            step(self, g)
        finally:
            self.clip = kept

    with monkeypatch.context() as patch:
        patch.setattr(mg.optimizers.Optimizer, "step", unclipped)
        one.play(), one.play()
    other.play(), other.play()
    assert first_difference(one, other, 2) is not None


def test_another_bound_discards_the_graph():
    one, other = players(mg.Wasserstein(), clip=CLIP)

    def tighter(k, player):
        if k == 3:
            player.gan.optimizer_D.clip = 0.2

    assert first_difference(one, other, 6, tighter) is None
    assert np.abs(to_host(one.gan.D.theta)).max() == 0.2
