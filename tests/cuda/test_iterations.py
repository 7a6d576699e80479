"""Whole iterations as graphs: N replays give the bits of N iterations, and planted bugs in captures are detected."""

import warnings

import numpy as np
import pytest
from emulated import EMULATOR_ONLY, NAME, NEEDS_HOST_COMPILER
from two_players import UPDATE_SCHEDULES, Player, first_difference

import minigan as mg
from minigan.gan import separate
from minigan.ops import get_ops
from minigan.ops.cuda.capture import iterations
from minigan.ops.cuda.capture.iterations import CaptureWarning
from minigan.ops.cuda.capture.updates import UpdateScalars
from minigan.ops.cuda.device.emulator import EmulatedDevice, arrays
from minigan.ops.cuda.vector import Flat

pytestmark = NEEDS_HOST_COMPILER


@pytest.fixture(autouse=True)
def silent():
    """Every iteration must be captured, unless a test expects the warning."""
    with warnings.catch_warnings():
        warnings.simplefilter("error", CaptureWarning)
        yield


@pytest.mark.parametrize("order", UPDATE_SCHEDULES)
def test_replays_agree_with_iterations(order):
    one, other = Player(order, graphs=True), Player(order, graphs=False)
    assert first_difference(one, other, 5) is None
    assert one.graph is not None
    assert one.gan.D.version > 4  # so that pullbacks of earlier iterations raise


@pytest.mark.parametrize("optimizer", [mg.SGD, mg.RMSProp])
def test_other_optimizers(optimizer):
    one, other = (Player(graphs=graphs, optimizer=optimizer) for graphs in (True, False))
    assert first_difference(one, other, 4) is None
    assert one.graph is not None


def test_schedules():
    """Rates and momenta may be functions of the step."""
    for optimizer, more in ((mg.Adam, {}), (mg.SGD, {"momentum": lambda t: 0.9 - 0.5 / t})):
        players = [Player(graphs=graphs, optimizer=optimizer) for graphs in (True, False)]
        for player in players:
            for one in (player.gan.optimizer_G, player.gan.optimizer_D):
                one.lr = lambda t: 0.1 / t
                vars(one).update(more)
        assert first_difference(*players, 6) is None
        assert players[0].graph is not None


# --- planted bugs ---------------------------------------------------------------------------------


def t_is_passed_by_value(monkeypatch):
    update = Flat._update

    def by_value(self, *args):
        collecting = self.update_scalars is not None and self.update_scalars._collected is not None
        scalars, self.update_scalars = self.update_scalars, self.update_scalars if collecting else None
        update(self, *args)
        self.update_scalars = scalars

    monkeypatch.setattr(Flat, "_update", by_value)


def scalars_are_uploaded_once(monkeypatch):
    upload = UpdateScalars.upload
    given = set()
    monkeypatch.setattr(
        UpdateScalars, "upload", lambda self: None if id(self) in given else (given.add(id(self)), upload(self))
    )


def all_updates_read_one_row(monkeypatch):
    row_of = UpdateScalars.next_row

    def first(self, theta, scalars):
        row = row_of(self, theta, scalars)
        return None if row is None else self._table[0]

    monkeypatch.setattr(UpdateScalars, "next_row", first)


def keys_are_passed_by_value(monkeypatch):
    class Keys(iterations.Keys):
        def integers(self, *args, **kwargs):
            get_ops("cuda", device=NAME, graphs=True).norm_act.keys = None
            return super().integers(*args, **kwargs)

    monkeypatch.setattr(iterations, "Keys", Keys)


def batches_are_not_copied(monkeypatch):
    monkeypatch.setattr(arrays.ndarray, "set", lambda self, host: None)


def the_gradient_is_not_cleared(monkeypatch):
    """One gradient vector, allocated before the capture, to which every update adds."""
    kept = {}
    zeros = mg.Network.zeros_like_theta
    monkeypatch.setattr(
        mg.Network,
        "zeros_like_theta",
        lambda self: kept.setdefault(id(self), zeros(self)) if self.ops.graphs else zeros(self),
    )


BUGS = [
    t_is_passed_by_value, scalars_are_uploaded_once, all_updates_read_one_row, keys_are_passed_by_value,
    batches_are_not_copied, the_gradient_is_not_cleared,
]  # fmt: skip


@EMULATOR_ONLY
@pytest.mark.parametrize("bug", BUGS, ids=lambda bug: bug.__name__)
def test_a_planted_bug_is_detected(bug, monkeypatch):
    one, other = Player(graphs=True), Player(graphs=False)
    bug(monkeypatch)
    assert first_difference(one, other, 5) is not None


# --- what changes between iterations --------------------------------------------------------------


def test_steps_outside_the_graph():
    """Adam's t counts them."""

    def update(k, player):
        if k == 3:
            player.gan.update_D(player.real(), player.gan.fake(player.noise()))

    one, other = Player(graphs=True), Player(graphs=False)
    assert first_difference(one, other, 6, update) is None
    assert one.graph is not None


def test_returning_to_an_earlier_state():
    """Numbers are written to the arrays and t is set, as in a resumed run."""

    def back(k, player):
        gan = player.gan
        if k == 3:
            for net, optimizer in ((gan.G, gan.optimizer_G), (gan.D, gan.optimizer_D)):
                net.theta = np.full(net.theta.shape, 0.125)
                optimizer.t = 1

    one, other = Player(graphs=True), Player(graphs=False)
    assert first_difference(one, other, 6, back) is None


def another_rate(player):
    player.gan.optimizer_D.lr = 0.5


def another_array(player):
    optimizer = player.gan.optimizer_D
    optimizer.state["m"] = optimizer.state["m"] * 0.5


def another_rule(player):
    player.gan.frozen_d_mode = mg.gan.eval_mode


def another_objective(player):
    player.gan.objective = mg.NonSaturating(d_scale=0.25)


def another_batch(player):
    player.n = 5


def another_order(player):
    player.counts = {"k": 1}


CHANGES = [another_rate, another_array, another_rule, another_objective, another_batch, another_order]


@pytest.mark.parametrize("change", CHANGES)
def test_a_changed_dependency_makes_a_new_graph(change):
    one, other = Player(graphs=True), Player(graphs=False)
    graphs = []

    def between(k, player):
        if player is one:
            graphs.append(one.graph)
        if k == 3:
            change(player)

    assert first_difference(one, other, 7, between) is None
    assert None not in (graphs[2], graphs[-1])
    assert graphs[2] is not graphs[-1]


def test_graphs_that_are_discarded_repeatedly_give_a_warning():
    player = Player(graphs=True)

    def play():
        for k in range(12):
            player.gan.optimizer_D.lr = 0.01 * (1 + k // 2)
            player.play()

    with pytest.warns(CaptureWarning, match="3 graphs were discarded, the last because the game or a draw has changed"):
        play()
    assert player.gan.optimizer_D.t == 24


# --- what cannot be captured ----------------------------------------------------------------------


def test_a_failed_capture_gives_one_warning_and_the_game_continues():
    one, other = Player(graphs=True), Player(graphs=False)
    seen = []
    for player in (one, other):

        def d_batching(D, x_real, x_fake, *, rng=None):
            s_real, s_fake, backward = separate(D, x_real, x_fake, rng=rng)
            seen.append(float(s_real.sum()))  # the host waits
            return s_real, s_fake, backward

        player.gan.d_batching = d_batching
    one.play()
    other.play()
    with pytest.warns(CaptureWarning, match="step by step because it could not be captured"):
        one.play()
    other.play()
    assert first_difference(one, other, 3) is None
    assert one.graph is None
    assert one.gan.optimizer_D.t == 10


class Own(mg.RMSProp):
    """An optimizer that computes its rate itself."""

    def _update(self, theta, g, t):
        theta -= 0.1 / t * g


def test_a_user_defined_optimizer_gives_a_warning():
    players = [Player(graphs=graphs, optimizer=Own) for graphs in (True, False)]
    for player in players:
        player.play()
    with pytest.warns(CaptureWarning, match="Own may use its step number in other ways; expected an optimizer of"):
        players[0].play()
    players[1].play()
    assert first_difference(*players, 2) is None


class Jitter(mg.layers.Layer):
    """A user-defined layer with noise from the stream."""

    def forward(self, p, x, ctx):
        noise = ctx.rng.standard_normal(x.shape) + ctx.rng.integers(5) if ctx.train else np.zeros(x.shape)
        return x + ctx.ops.device.array(noise), lambda dy, g=None, *, need_dx=True: dy


def test_other_draws_from_the_stream_give_a_warning():
    players = [Player(graphs=graphs) for graphs in (True, False)]
    for player in players:
        ops = player.gan.D.ops
        G = mg.Network([mg.Dense(3, 2), Jitter()], rng=np.random.default_rng(0), dtype="float64", ops=ops)
        player.gan.G, player.gan.optimizer_G = G, mg.Adam(G, lr=0.01)
    players[1].play()
    with pytest.warns(CaptureWarning, match="step by step.* is drawn from the game's stream"):
        players[0].play()
    assert first_difference(*players, 3) is None
    assert players[0].graph is None


def test_an_error_of_the_game_is_raised_unchanged():
    """It is raised again by the iteration that runs step by step."""
    player = Player(graphs=True)
    player.play()
    player.gan.frozen_d_mode = lambda D, x, *, rng=None: 1 // 0
    with pytest.warns(CaptureWarning, match="ZeroDivisionError"), pytest.raises(ZeroDivisionError):
        player.play()


# --- draws of the device --------------------------------------------------------------------------


def test_each_gan_has_a_graph_until_it_is_deleted():
    one, two = Player(graphs=True), Player("split batch", graphs=True)
    for _ in range(3):
        one.play()
        two.play()
    known = one.gan.D.ops.iterations
    assert one.graph is not two.graph
    gone = id(one.gan)
    del one
    three = Player(graphs=True)
    three.play()
    assert gone not in known._by_id or known._by_id[gone].game() is not None


@EMULATOR_ONLY
def test_with_guard_pages_and_threads_in_random_order():
    device = EmulatedDevice(schedule="random", seed=2, guard=True)
    one, other = Player(graphs=True, device=device), Player(graphs=False)
    assert first_difference(one, other, 4) is None
    assert one.graph is not None
