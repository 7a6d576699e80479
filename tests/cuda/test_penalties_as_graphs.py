"""Lazy gradient penalties as graphs: one graph for each kind of iteration, with the bits of a run step by step."""

import warnings

import numpy as np
import pytest
from emulated import EMULATOR_ONLY, NAME, NEEDS_HOST_COMPILER
from two_players import first_difference

import minigan as mg
from minigan.ops import get_ops, to_host
from minigan.ops.cuda.capture.iterations import CaptureWarning

pytestmark = NEEDS_HOST_COMPILER
SMOOTH = (mg.R1(2.0), mg.R2(1.0))


@pytest.fixture(autouse=True)
def silent():
    """Every iteration must be captured, unless a test expects the warning."""
    with warnings.catch_warnings():
        warnings.simplefilter("error", CaptureWarning)
        yield


class Penalised:
    """A GAN with lazy penalties and dropout, its draws, and its schedule: `Player` of two_players.py."""

    def __init__(self, *, graphs, k=1, schedule=mg.alternating, penalties=SMOOTH, every=3):
        ops = get_ops("cuda", device=NAME, graphs=graphs)
        rng = np.random.default_rng(1)
        G = mg.Network([mg.Dense(3, 6), mg.BatchNorm(6), mg.Tanh(), mg.Dense(6, 2)], rng=rng, dtype="float64", ops=ops)
        D = [mg.Dense(2, 6), mg.LeakyReLU(0.2), mg.Dropout(0.25), mg.Dense(6, 1)]
        D = mg.Network(D, rng=rng, dtype="float64", ops=ops)
        self.gan = mg.GAN(
            G, D, mg.Adam(G, lr=0.01), mg.Adam(D, lr=0.01), mg.NonSaturating(), rng=np.random.default_rng(7),
            penalties=penalties, penalty_every=every,
        )  # fmt: skip
        self.draws = np.random.default_rng(3)
        self.k, self.schedule = k, schedule

    def play(self):
        counts = {"k": self.k} if self.schedule is mg.alternating else {}
        return self.schedule(
            self.gan, lambda: self.draws.normal(2, 1, (8, 2)), lambda: self.draws.standard_normal((8, 3)), **counts
        )

    @property
    def kinds(self):
        return self.gan.ops.iterations._by_id[id(self.gan)].iterations

    def numbers(self, seen):
        """Return everything that an iteration changes."""
        gan = self.gan
        found = [gan.G.theta, gan.D.theta, *gan.optimizer_D.state.values(), *(outcome.loss for outcome in seen)]
        random = [stream.bit_generator.state["state"]["state"] for stream in (gan.rng, self.draws)]
        return [to_host(x) for x in found], (gan.optimizer_G.t, gan.optimizer_D.t, *random)


def pair(**options):
    return [Penalised(graphs=graphs, **options) for graphs in (True, False)]


@pytest.mark.parametrize(
    ("k", "every", "graphs"), [(1, 1, {None}), (1, 3, {(True,), (False,)}), (2, 3, {(1, 0), (0, 1), (0, 0)})]
)
def test_each_kind_of_iteration_has_a_graph(k, every, graphs):
    one, other = pair(k=k, every=every)
    assert first_difference(one, other, 14) is None
    assert {kind for kind, iteration in one.kinds.items() if iteration.captured is not None} == graphs


def test_simultaneous_steps():
    one, other = pair(schedule=mg.simultaneous)
    assert first_difference(one, other, 11) is None
    assert {kind for kind, iteration in one.kinds.items() if iteration.captured is not None} == {(True,), (False,)}


@EMULATOR_ONLY
def test_a_choice_frozen_in_the_graph_is_detected(monkeypatch):
    """If all iterations shared one graph, the penalties would be in all of them or in none."""
    one, other = pair()
    monkeypatch.setattr(mg.GAN, "iteration_kind", lambda self, steps: None)
    assert first_difference(one, other, 8) is not None


def test_other_schedules_and_counts_get_the_right_graphs():
    """The kind depends on the number of D's updates, which changes here between iterations."""
    one, other = pair()

    def change(iteration, player):
        player.k = 1 + (iteration // 2) % 2

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", CaptureWarning)  # graphs of old counts are discarded
        assert first_difference(one, other, 24, change) is None


def test_a_changed_interval_discards_the_graphs():
    one, other = pair(every=2)

    def rarer(iteration, player):
        if iteration == 6:
            player.gan.penalty_every = 3

    assert first_difference(one, other, 16, rarer) is None


def test_random_points_run_step_by_step():
    """The points of a WassersteinPenalty are drawn from the game's stream; updates without it are graphs."""
    one, other = pair(penalties=(mg.WassersteinPenalty(),), every=2)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always", CaptureWarning)
        assert first_difference(one, other, 8) is None
    assert [str(w.message).partition("captured: ")[2][:36] for w in caught] == ["random is drawn from the game's stre"]
    assert one.kinds[True,].captured is None
    assert one.kinds[False,].captured is not None
