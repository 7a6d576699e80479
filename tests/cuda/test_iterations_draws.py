"""Draws in graphs: those made on the device, and batches that are transformed there."""

import warnings

import pytest
from emulated import NAME, NEEDS_HOST_COMPILER
from two_players import Player, first_difference

from minigan.data import Transformed
from minigan.ops import get_ops
from minigan.ops.cuda.capture.iterations import CaptureWarning
from minigan.ops.cuda.random import Noise, Stream

pytestmark = NEEDS_HOST_COMPILER


@pytest.fixture(autouse=True)
def silent():
    """Every iteration must be captured, unless a test expects the warning."""
    with warnings.catch_warnings():
        warnings.simplefilter("error", CaptureWarning)
        yield


def test_device_draws_are_captured():
    device = get_ops("cuda", device=NAME).device
    players = [Player(graphs=graphs) for graphs in (True, False)]
    for player in players:
        stream = Stream(device, 5)

        def noise(stream=stream, n=8):
            z = stream.normal((n, 3), "float64")
            stream.advance()
            return z

        player.noise = noise
    assert first_difference(*players, 5) is None
    assert players[0].graph is not None


def noise_of(player, key):
    player.noise = Noise(Stream(player.gan.D.ops.device, key), (8, 3), dtype="float64")


def scaled(player, by):
    draws = player.draws
    player.real = Transformed(lambda: draws.normal(2, 1, (8, 2)), lambda x: x * by)


@pytest.mark.parametrize(("give", "first", "then"), [(noise_of, 5, 99), (scaled, 1.0, 3.0)])
def test_another_draw_makes_a_new_graph(give, first, then):
    players = [Player(graphs=graphs) for graphs in (True, False)]
    for player in players:
        give(player, first)
    kept = []

    def between(k, player):
        if k == 4:
            kept.append(player.graph)
            give(player, then)

    assert first_difference(*players, 8, between) is None
    assert kept[0] is not None
    assert players[0].graph not in (None, kept[0])


def test_equal_bound_methods_are_the_same_draw():
    """``self.noise`` is a new object at each access, but the same draw."""

    class Source:
        def __init__(self, player):
            self.made = Noise(Stream(player.gan.D.ops.device, 5), (8, 3), dtype="float64")

        def noise(self):
            return self.made()

    players = [Player(graphs=graphs) for graphs in (True, False)]
    sources = [Source(player) for player in players]

    def between(k, player):
        player.noise = sources[players.index(player)].noise

    for player in players:
        between(0, player)
    assert first_difference(*players, 3, between) is None
    graph = players[0].graph
    assert graph is not None
    assert first_difference(*players, 3, between) is None
    assert players[0].graph is graph


class Deck:
    """A draw whose own `draw` and `prepare` have nothing to do with `Transformed`."""

    def __init__(self, draws):
        self.draws = draws

    def draw(self):
        raise AssertionError("`draw` is not how a batch is drawn")

    def prepare(self, batch):
        raise AssertionError("`prepare` is not for batches")

    def __call__(self):
        return self.draws.normal(2, 1, (8, 2))


@pytest.mark.parametrize("graphs", [True, False])
def test_only_transformed_draws_are_split(graphs):
    """An object that happens to have methods of these names is called like every other draw."""
    player = Player(graphs=graphs)
    player.real = Deck(player.draws)
    for _ in range(4):
        player.play()
    assert (player.graph is not None) == graphs


def test_a_subclass_of_transformed_is_split():
    class Halved(Transformed):
        def __init__(self, draw):
            super().__init__(draw, lambda x: x / 2)

    players = [Player(graphs=graphs) for graphs in (True, False)]
    for player in players:
        draws = player.draws
        player.real = Halved(lambda draws=draws: draws.normal(2, 1, (8, 2)))
    assert first_difference(*players, 5) is None
    assert players[0].graph is not None
