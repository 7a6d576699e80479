"""Groups of parameters: their slices, their values, errors, and checkpoints (PyTorch: test_optimizers_torch.py)."""

import math
from fnmatch import fnmatchcase
from fractions import Fraction

import numpy as np
import pytest
from cases import ON_EACH_BACKEND
from hypothesis import given, settings
from hypothesis import strategies as st

import minigan as mg
from minigan.training import Experiment, resume, train

MAKERS = [mg.SGD, mg.RMSProp, mg.Adam]
ON_EACH_OPTIMIZER = pytest.mark.parametrize("make", MAKERS)
LAYERS = [mg.Dense(2, 3), mg.BatchNorm(3), mg.Residual([mg.Dense(3, 3), mg.Tanh()]), mg.Dense(3, 1)]
PATTERNS = ["*", "*.b", "*.W", "0.*", "1.*", "2.*", "*.gamma", "1.[bg]*", "3.?", "2.body.0.W"]


def net_of(layers=LAYERS, dtype="float64", ops="cpu"):
    return mg.Network(layers, rng=np.random.default_rng(0), dtype=dtype, ops=ops)


def groups_of_any_values():
    values = st.fixed_dictionaries(
        {},
        optional={
            "lr": st.sampled_from([0.0, 0.01, 0.5]),
            "weight_decay": st.sampled_from([0.0, 0.25, 1.0]),
            "clip": st.sampled_from([None, 0.1, 2.0]),
        },
    ).filter(bool)
    return st.lists(st.tuples(st.sampled_from(PATTERNS), values), max_size=4).map(dict)


def settings_of(name, groups, own):
    """The settings of one parameter: of each, the last that a matching pattern gives."""
    found = dict(own)
    for pattern, given_settings in groups.items():
        if fnmatchcase(name, pattern):
            found.update(given_settings)
    return found


@ON_EACH_BACKEND
@ON_EACH_OPTIMIZER
@settings(max_examples=25)
@given(groups_of_any_values(), st.integers(0, 2**32 - 1))
def test_each_parameter_moves_as_with_an_optimizer_of_its_own(make, ops, groups, seed):
    """Bit for bit, for every parameter tensor alone and its settings."""
    net, rng = net_of(ops=ops), np.random.default_rng(seed)
    own = {"lr": 0.1, "weight_decay": 0.5, "clip": 1.0}
    optimizer = make(net, **own, groups=groups)
    alone = {name: net_of(ops=ops) for name in net.parameters()}
    theirs = {name: make(other, **settings_of(name, groups, own)) for name, other in alone.items()}
    for _ in range(3):
        g = rng.standard_normal(net.theta.size)
        for one in (optimizer, *theirs.values()):
            one.step(g.copy())
    for name, value in net.parameters().items():
        np.testing.assert_array_equal(value, alone[name].parameters()[name])
        for kind, moments in optimizer.state.items():
            np.testing.assert_array_equal(net.views(moments)[name], alone[name].views(theirs[name].state[kind])[name])


@ON_EACH_BACKEND
@ON_EACH_OPTIMIZER
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_groups_without_other_values_change_no_bit(make, dtype, ops):
    ends = []
    for groups in (None, {}, {"*.W": {"lr": 0.1}, "2.*": {"weight_decay": 0.0}, "*.b": {"clip": None}}):
        net, rng = net_of(dtype=dtype, ops=ops), np.random.default_rng(1)
        optimizer = make(net, lr=0.1, groups=groups)
        for _ in range(3):
            optimizer.step(rng.standard_normal(net.theta.size).astype(dtype))
        ends.append([net.theta.tobytes(), *(vector.tobytes() for vector in optimizer.state.values())])
    assert ends[0] == ends[1] == ends[2]


def test_no_more_slices_than_settings_differ():
    net = net_of()
    assert mg.SGD(net, lr=0.1).updates_per_step == 1
    assert mg.SGD(net, lr=0.1, groups={"*": {"lr": 0.2}}).updates_per_step == 1
    assert mg.SGD(net, lr=0.1, groups={"0.*": {"lr": 0.2}}).updates_per_step == 2
    assert mg.SGD(net, lr=0.1, groups={"2.*": {"lr": 0.2}}).updates_per_step == 3
    assert mg.SGD(net, lr=0.1, groups={"*.b": {"lr": 0.2}}).updates_per_step == 6


@ON_EACH_BACKEND
def test_frozen_parameters_stay(ops):
    net = net_of(ops=ops)
    before = {name: value.copy() for name, value in net.parameters().items()}
    adam = mg.Adam(net, lr=0.1, weight_decay=0.1, groups={"*.b": {"lr": 0.0}, "1.*": {"lr": 0.0}})
    adam.step(np.ones(net.theta.size))
    for name, value in net.parameters().items():
        assert (value == before[name]).all() is np.bool_(name.startswith("1.") or name.endswith(".b"))


@ON_EACH_OPTIMIZER
def test_schedules_of_groups_are_asked_once_a_step(make):
    net, seen = net_of(), []

    def schedule(name):
        return lambda t: seen.append((name, t)) or 0.1 / t

    groups = {"*.b": {"lr": schedule("b")}, "0.*": {"weight_decay": 0.5}}
    optimizer = make(net, lr=schedule("own"), groups=groups)
    for _ in range(3):
        optimizer.step(np.ones(net.theta.size))
    assert seen == [(name, t) for t in (1, 2, 3) for name in ("own", "b")]


@ON_EACH_OPTIMIZER
def test_a_schedule_outside_its_range_moves_nothing(make):
    net = net_of()
    before = net.theta.copy()
    optimizer = make(net, lr=0.1, groups={"3.b": {"lr": lambda t: -1.0}})
    with pytest.raises(ValueError, match=r"groups\['3.b'\]\['lr'\]\(1\) must be in \[0, inf\), got -1.0"):
        optimizer.step(np.ones(net.theta.size))
    np.testing.assert_array_equal(net.theta, before)
    assert not any(vector.any() for vector in optimizer.state.values())
    assert optimizer.t == 0


def test_the_norm_is_that_of_the_whole_gradient():
    net = net_of([mg.Dense(1, 1)])
    net.theta = np.zeros(2)
    mg.SGD(net, lr=1.0, clip_norm=1.0, groups={"*.b": {"lr": 0.0}}).step(np.array([3.0, 4.0]))
    np.testing.assert_allclose(net.theta, [-0.6, 0.0])


def test_groups_can_be_changed_and_are_read_only():
    net = net_of([mg.Dense(1, 1)])
    net.theta = np.zeros(2)
    given_groups = {"*.b": {"lr": 0.0}}
    sgd = mg.SGD(net, lr=1.0, groups=given_groups)
    given_groups["*.b"]["lr"] = 5.0  # a copy was made
    sgd.step(np.ones(2))
    np.testing.assert_array_equal(net.theta, [-1, 0])
    with pytest.raises(TypeError):
        sgd.groups["*.b"]["lr"] = 1.0
    with pytest.raises(TypeError):
        sgd.groups["*.W"] = {}
    sgd.groups = {"*.W": {"lr": lambda t: 0.5 * t}}
    sgd.step(np.ones(2))
    np.testing.assert_array_equal(net.theta, [-2, -1])
    sgd.lr = 2.0
    sgd.groups = None
    sgd.step(np.ones(2))
    np.testing.assert_array_equal(net.theta, [-4, -3])


def test_exact_numbers_stay_exact():
    net = net_of([mg.Dense(1, 1)]).astype(object, Fraction)
    net.theta = np.array([Fraction(1), Fraction(1)], dtype=object)
    groups = {"*.b": {"lr": Fraction(1, 3), "weight_decay": Fraction(1, 2)}}
    mg.SGD(net, lr=Fraction(1, 7), momentum=0, groups=groups).step(np.array([Fraction(1), Fraction(1)], dtype=object))
    assert net.theta.tolist() == [Fraction(6, 7), Fraction(1, 2)]


@ON_EACH_OPTIMIZER
@pytest.mark.parametrize(
    ("groups", "error", "message"),
    [
        (
            {"*.B": {"lr": 0.0}},
            ValueError,
            r"groups: '\*.B' matches no parameter \(did you mean '\*.b'\?\); the par",
        ),
        ({"*.w": {"lr": 0.0}}, ValueError, r"'\*.w' matches no parameter \(did you mean '\*.W'\?\)"),
        ({"0.w": {"lr": 0.0}}, ValueError, r"\(did you mean '0.W'\?\); the parameters are 0.W, 0.b, 1.gamma, 1.beta"),
        ({"": {"lr": 0.0}}, ValueError, r"'' matches no parameter; the parameters are 0.W"),
        (
            {"*.b": {"lrr": 0.0}},
            ValueError,
            r"groups\['\*.b'\]: unknown setting 'lrr' \(did you mean 'lr'\?\); expected lr",
        ),
        ({"*.b": {"clip_norm": 1.0}}, ValueError, r"unknown setting 'clip_norm'.*expected lr, weight_decay, clip"),
        ({"*.b": {}}, ValueError, r"groups\['\*.b'\] is empty; expected at least one of lr, weight_decay, clip"),
        ({"*.b": {"lr": -1}}, ValueError, r"groups\['\*.b'\]\['lr'\] must be in \[0, inf\), got -1"),
        ({"*.b": {"lr": None}}, ValueError, r"groups\['\*.b'\]\['lr'\] must be a number, got None"),
        (
            {"*.b": {"weight_decay": math.nan}},
            ValueError,
            r"groups\['\*.b'\]\['weight_decay'\] must be finite, got nan",
        ),
        ({"*.b": {"clip": 0}}, ValueError, r"groups\['\*.b'\]\['clip'\] must be > 0, got 0"),
        ({"*.b": 0.0}, TypeError, r"groups\['\*.b'\] must be a mapping of settings, .* got 0.0"),
        ({0: {"lr": 0.0}}, TypeError, r"groups has the key 0; expected a pattern of parameter names"),
        ([("*.b", {"lr": 0.0})], TypeError, r"groups must be a mapping of patterns to settings"),
    ],
)
def test_errors(make, groups, error, message):
    with pytest.raises(error, match=message):
        make(net_of(), lr=0.1, groups=groups)
    optimizer = make(net_of(), lr=0.1, groups={"*.b": {"lr": 0.5}})
    kept, slices = optimizer.groups, optimizer.updates_per_step
    with pytest.raises(error, match=message):
        optimizer.groups = groups
    assert optimizer.groups is kept
    assert optimizer.updates_per_step == slices


def test_a_network_without_parameters_has_no_groups():
    with pytest.raises(ValueError, match="'\\*' matches no parameter; the parameters are none"):
        mg.SGD(net_of([mg.Tanh()]), lr=0.1, groups={"*": {"lr": 0.0}})


def test_groups_are_printed():
    text = repr(mg.SGD(net_of(), lr=0.1, groups={"*.b": {"lr": 0, "clip": None}}))
    assert text == (
        "SGD(lr=0.1, momentum=0.0, nesterov=False, groups={'*.b': {'lr': 0.0, 'clip': None}}, t=0, parameters=31)"
    )


def experiment(seed=0):
    rng = np.random.default_rng(seed)
    G, D = (mg.Network([mg.Dense(1, 4), mg.Tanh(), mg.Dense(4, 1)], rng=rng) for _ in range(2))
    groups = {"*.b": {"weight_decay": 0.0, "lr": lambda t: 0.1 / t}, "0.*": {"clip": 0.3}}
    optimizers = (mg.Adam(net, lr=0.01, weight_decay=0.1, clip_norm=0.5, groups=groups) for net in (G, D))
    gan = mg.GAN(G, D, *optimizers, mg.NonSaturating())
    streams = {"draws": np.random.default_rng(1)}
    draws = [lambda: streams["draws"].normal(size=(4, 1))] * 2
    return Experiment("groups", gan, lambda: mg.alternating(gan, *draws), iterations=6, streams=streams)


def test_resuming_changes_no_bit(tmp_path):
    """Moments are whole vectors, so that checkpoints have the same arrays as without groups."""
    complete, first, second = experiment(), experiment(), experiment(seed=9)
    train(complete)
    train(first, iterations=3, folder=tmp_path / "run", checkpoint_every=3)
    resume(second, tmp_path / "run", iterations=6)
    for name, player in complete.game.players.items():
        resumed = second.game.players[name]
        np.testing.assert_array_equal(player.network.theta, resumed.network.theta)
        assert player.optimizer.t == resumed.optimizer.t == 6
        for kind, vector in player.optimizer.state.items():
            assert vector.shape == player.network.theta.shape
            np.testing.assert_array_equal(vector, resumed.optimizer.state[kind])
