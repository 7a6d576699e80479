"""Weight decay, clipping by the norm and groups in captured iterations: the bits of iterations step by step."""

import warnings

import numpy as np
import pytest
from emulated import EMULATOR_ONLY, NEEDS_HOST_COMPILER
from two_players import UPDATE_SCHEDULES, Player, first_difference

import minigan as mg
from minigan.ops import to_host
from minigan.ops.cuda.capture.iterations import CaptureWarning
from minigan.ops.cuda.capture.updates import UpdateScalars
from minigan.ops.cuda.vector import Flat

pytestmark = NEEDS_HOST_COMPILER
GROUPS = {"*.b": {"lr": lambda t: 0.05 / t, "weight_decay": 0.0}, "1.*": {"weight_decay": 0.3, "clip": 0.9}}
OPTIONS = {"weight_decay": 0.5, "clip_norm": 0.05, "groups": GROUPS}


@pytest.fixture(autouse=True)
def silent():
    """Every iteration must be captured, unless a test expects the warning."""
    with warnings.catch_warnings():
        warnings.simplefilter("error", CaptureWarning)
        yield


def players(order="alternating", optimizer=mg.Adam, **options):
    return [
        Player(order, graphs=graphs, optimizer=lambda net, lr: optimizer(net, lr=lambda t: 0.1 / t, **options))
        for graphs in (True, False)
    ]


@pytest.mark.parametrize("optimizer", [mg.SGD, mg.RMSProp, mg.Adam])
@pytest.mark.parametrize("names", [("weight_decay",), ("clip_norm",), ("groups",), tuple(OPTIONS)])
def test_replays_agree_with_iterations(optimizer, names):
    one, other = players(optimizer=optimizer, **{name: OPTIONS[name] for name in names})
    assert first_difference(one, other, 5) is None
    assert one.graph is not None
    plain, _ = players(optimizer=optimizer)
    for _ in range(5):
        plain.play()
    assert not np.array_equal(to_host(plain.gan.D.theta), to_host(one.gan.D.theta))


@pytest.mark.parametrize("order", UPDATE_SCHEDULES)
def test_all_options_in_every_schedule(order):
    one, other = players(order, **OPTIONS)
    assert first_difference(one, other, 5) is None
    assert one.graph is not None


CHANGES = {
    "weight_decay": lambda optimizer: setattr(optimizer, "weight_decay", 2.0),
    "clip_norm": lambda optimizer: setattr(optimizer, "clip_norm", 0.5),
    "no clip_norm": lambda optimizer: setattr(optimizer, "clip_norm", None),
    "other values": lambda optimizer: setattr(optimizer, "groups", {**GROUPS, "*.b": {"lr": 0.5}}),
    "more slices": lambda optimizer: setattr(optimizer, "groups", {**GROUPS, "*.gamma": {"lr": 0.5}}),
    "no groups": lambda optimizer: setattr(optimizer, "groups", None),
}


@pytest.mark.parametrize("change", CHANGES)
def test_changed_values_discard_the_graph(change):
    one, other = players(**OPTIONS)
    unchanged, _ = players(**OPTIONS)

    def between(k, player):
        if k == 3:
            CHANGES[change](player.gan.optimizer_D)

    assert first_difference(one, other, 6, between) is None
    assert one.graph is not None
    for _ in range(6):
        unchanged.play()
    assert not np.array_equal(to_host(unchanged.gan.D.theta), to_host(one.gan.D.theta))


def test_a_step_does_not_wait_for_the_norm(monkeypatch):
    """Neither in a graph, where it is refused, nor outside of it."""
    _, player = players(clip_norm=0.05)
    player.play()
    kind = type(player.gan.D.theta)
    g = player.gan.D.zeros_like_theta()

    def refused(*_):
        raise AssertionError("the host waits")

    for name in ("get", "item", "__float__", "__bool__", "__int__"):
        monkeypatch.setattr(kind, name, refused, raising=False)
    player.gan.optimizer_D.step(g)


# --- planted bugs ---------------------------------------------------------------------------------


def one_row_for_all_slices(monkeypatch):
    row_of = UpdateScalars.next_row

    def first(self, theta, scalars):
        row = row_of(self, theta, scalars)
        return None if row is None else self._table[0]

    monkeypatch.setattr(UpdateScalars, "next_row", first)


def the_norm_is_clipped_during_the_capture_alone(monkeypatch):
    clip = Flat.clip_norm
    monkeypatch.setattr(
        Flat, "clip_norm", lambda self, g, c: g if self.update_scalars is not None else clip(self, g, c)
    )


def the_decay_is_that_of_the_capture(monkeypatch):
    collect = UpdateScalars._collect

    def kept(self):
        table = collect(self)
        self.first = getattr(self, "first", table.copy())
        table[:, 2] = self.first[:, 2]
        return table

    monkeypatch.setattr(UpdateScalars, "_collect", kept)


@EMULATOR_ONLY
@pytest.mark.parametrize(
    "bug", [one_row_for_all_slices, the_norm_is_clipped_during_the_capture_alone, the_decay_is_that_of_the_capture]
)
def test_a_planted_bug_is_detected(bug, monkeypatch):
    one, other = players(**OPTIONS)
    bug(monkeypatch)
    assert first_difference(one, other, 6) is not None
