"""`verify trained`: exact splits, certified suboptimality against quadrature, run folders, errors, the command."""

import json
import xml.etree.ElementTree as ET
from fractions import Fraction

import numpy as np
import pytest
from flint import acb, arb
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image
from scipy import integrate

import minigan as mg
from minigan.data import Gaussian
from minigan.runs import train_recipe
from minigan.training import RunError, read_arrays, write_arrays, write_json
from verify import Verdict
from verify.analysis.game_value import polynomial
from verify.arithmetic.balls import ball, precision
from verify.cli import main
from verify.densities import Discrete, IsotropicNormal, Laplace, Mixture, Normal
from verify.engine.certificate import Certificate, digest
from verify.library.subjects import network
from verify.report.formats import seal
from verify.trained import NotCertifiable, certify_networks, certify_pair, certify_run, discriminator
from verify.trained.logit import affine_pieces
from verify.trained.run import checksum

RNG = np.random.default_rng


def dense_net(*layers, seed=0):
    return network(list(layers), RNG(seed))


def affine_G(a, b):
    G = mg.Network([mg.Dense(1, 1)], rng=RNG(0), dtype="float64")
    G.theta = np.array([a, b])
    return G


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    folder = tmp_path_factory.mktemp("run") / "gaussian"
    summary = train_recipe("gaussian", overrides={"iterations": "3", "batch_size": "50"}, out=folder)
    return folder, summary


# --- the logit ------------------------------------------------------------------------------------

CHAINS = st.sampled_from(
    [
        [mg.Dense(1, 5), mg.ReLU(), mg.Dense(5, 1)],
        [mg.Dense(1, 3), mg.LeakyReLU(0.2), mg.Dense(3, 4), mg.ReLU(), mg.Dense(4, 1)],
        [mg.Maxout(1, 3, pieces=4), mg.Dropout(0.5), mg.Maxout(3, 2, pieces=2), mg.Dense(2, 1)],
        [mg.Dense(1, 4), mg.ReLU(), mg.Dense(4, 3), mg.Tanh(), mg.Dense(3, 1)],
        [mg.Dense(1, 3), mg.Softplus(), mg.Dense(3, 3), mg.Sigmoid(), mg.Dense(3, 1)],
        [mg.Flatten(), mg.Dense(1, 1, bias=False)],
        [mg.Dense(1, 3), mg.LeakyReLU(1.5), mg.Dense(3, 1)],
    ]
)


@given(CHAINS, st.integers(0, 2**32 - 1), st.lists(st.floats(-30, 30), min_size=1, max_size=5))
def test_logit_is_the_networks(chain, seed, xs):
    net = dense_net(*chain, seed=seed)
    D = discriminator(net)
    const, linear = (float(v) for v in (D.bound(_far()).const, D.bound(_far()).linear))
    for x in xs:
        want = float(net(np.array([[x]]))[0, 0])
        got = D.logit(arb(x), Fraction(x))
        assert float(got) == pytest.approx(want, rel=1e-9, abs=1e-9)
        assert abs(want) <= (const + linear * abs(x)) * (1 + 1e-12)
        near = D.logit(acb(x, 1e-3), Fraction(x), True)  # analytic beside the line
        assert abs(float(near.real) - want) < 0.1 * (1 + linear**2)


def _far():
    from verify.densities.tails import Tail

    return Tail(+1, arb(1000), Fraction(2000))


@given(CHAINS, st.integers(0, 2**32 - 1))
def test_between_breakpoints_kinked_layers_are_affine(chain, seed):
    """The middle of any two points of a piece has the mean of their values."""
    net = dense_net(*chain, seed=seed)
    pieces, count = affine_pieces(net)
    assert [p.high for p in pieces[:-1]] == [p.low for p in pieces[1:]]
    if not count:
        assert len(pieces) == 1
        return
    inner = mg.Network(net.layers[:count], rng=RNG(0), dtype="float64")
    inner.theta = net.theta[: inner.theta.size]
    for piece in pieces:
        low = float(piece.inside() - 5 if piece.low is None else piece.low)
        high = float(piece.inside() + 5 if piece.high is None else piece.high)
        for at in (0.25, 0.5):
            a, m, b = (inner(np.array([[low + t * (high - low)]])) for t in (0, at, 1))
            np.testing.assert_allclose(m, (1 - at) * a + at * b, rtol=1e-9, atol=1e-9)


def test_relu_breakpoints_are_exact_rationals():
    net = mg.Network([mg.Dense(1, 3), mg.ReLU(), mg.Dense(3, 1)], rng=RNG(0), dtype="float32")
    net.theta = np.array([3, -0.5, 0, 1, 7, 1, 1, 1, 1, 0.1], dtype="float32")  # the third unit is constant
    assert discriminator(net).edges == (Fraction(-1, 3), Fraction(14))


@pytest.mark.parametrize("slope", [Fraction(1, 5), Fraction(1, 3), Fraction(7, 5), 0.2])
def test_the_logit_in_balls_is_the_rational_one(slope):
    """A slope need not be a binary fraction as the weights are."""
    net = dense_net(mg.Dense(1, 3), mg.LeakyReLU(slope), mg.Dense(3, 2), mg.LeakyReLU(slope), mg.Dense(2, 1))
    D, (pieces, count) = discriminator(net), affine_pieces(net)
    last = net.astype(object, Fraction).parameters()
    W, b = (last[f"{count}.{name}"].tolist() for name in ("W", "b"))
    for piece in pieces:
        x = piece.inside()
        units = [a * x + c for a, c in piece.units]
        exact = sum((u * row[0] for u, row in zip(units, W, strict=True)), b[0])
        with precision(50):
            found = D.logit(ball(x), x)
            assert found.overlaps(ball(exact))
            assert found.rad() < 1e-45


def test_a_slope_that_is_no_binary_fraction():
    """V(D*) - V(D) changes only by rounding when the slope 1/5 becomes the float 0.2."""
    found = []
    for slope in (Fraction(1, 5), 0.2):
        D = mg.Network([mg.Dense(1, 1), mg.LeakyReLU(slope), mg.Dense(1, 1)], rng=RNG(0), dtype="float64")
        D.theta = np.array([1.0, 0.0, 1.0, 0.0])
        found.append(certify_networks(Normal(4, 2), affine_G(1.5, 0.5), D).suboptimality)
    assert abs(found[0] - found[1]) < 1e-15
    assert float(found[0]) == pytest.approx(0.65279525022578, abs=1e-13)


@pytest.mark.parametrize(
    ("layers", "message"),
    [
        ([mg.Dense(1, 2), mg.BatchNorm(2), mg.Dense(2, 1)], "layer 1 of D is BatchNorm.*; expected Dense, ReLU"),
        (
            [mg.Dense(1, 2), mg.Tanh(), mg.ReLU(), mg.Dense(2, 1)],
            r"layer 1 of D is Tanh\(\), before a layer with kinks",
        ),
        ([mg.Dense(2, 1)], r"D does not accept x of shape \(N, 1\): "),
        ([mg.Dense(1, 2)], r"D returns \(1, 2\) for one example; expected one logit"),
    ],
)
def test_other_networks_are_refused(layers, message):
    with pytest.raises(NotCertifiable, match=message):
        discriminator(mg.Network(layers, rng=RNG(0)))


def test_a_discriminator_that_is_optimal_is_enclosed_and_not_strictly_worse():
    """N(0, 1) against N(1, 1): the logit of D* is 1/2 - x."""
    D = mg.Network([mg.Dense(1, 1)], rng=RNG(0), dtype="float64")
    D.theta = np.array([-1.0, 0.5])
    found = certify_networks(Normal(0, 1), affine_G(1.0, 1.0), D)
    assert found.suboptimality.contains(0)
    assert found.suboptimality.rad() <= 1e-30
    assert found.value.overlaps(found.c)
    assert found.certificate.verdict is Verdict.UNDECIDED


def test_networks_in_other_numbers_are_refused():
    with pytest.raises(NotCertifiable, match="D has parameters of dtype object; expected float32, float64"):
        discriminator(dense_net(mg.Dense(1, 1)).astype(object, Fraction))


@pytest.mark.parametrize("p", [3, Discrete([1]), IsotropicNormal(2)])
def test_data_without_a_density_on_the_line_are_refused(p):
    with pytest.raises(ValueError, match="p is .*; expected a density on the line"):
        certify_networks(p, affine_G(1.0, 0.0), dense_net(mg.Dense(1, 1)))


def test_a_folder_that_cannot_be_made(run, capsys):
    folder, _ = run
    taken = folder / "config.json" / "x"
    assert main(["trained", str(folder), "--out", str(taken)]) == 2
    err = capsys.readouterr().err
    assert f"--out {taken}: " in err
    assert "expected a folder that can be written" in err


def test_weights_that_are_not_finite_are_refused():
    net = dense_net(mg.Dense(1, 1))
    net.theta = np.array([np.nan, 0])
    with pytest.raises(NotCertifiable, match="not finite"):
        discriminator(net)


# --- the certified numbers ------------------------------------------------------------------------


def quadrature(p, q, net):
    """Return V(D*) - V(D) by scipy, from its definition."""

    def integrand(x):
        s, best = float(net(np.array([[x]]))[0, 0]), float(p.logpdf(x) - q.logpdf(x))
        sp = np.logaddexp
        return float(p.pdf(x)) * (sp(0, -s) - sp(0, -best)) + float(q.pdf(x)) * (sp(0, s) - sp(0, best))

    points = [float(e) for e in discriminator(net).edges if -30 < e < 30]
    return integrate.quad(integrand, -30, 30, points=[*points, 0, 4], limit=500, epsabs=1e-12)[0]


PAIRS = [
    (Normal(4, 2), Normal(0, 1)),
    (Normal(0, 1), Normal(1, "1/2")),
    (Laplace(0, 1), Normal(1, 1)),
    (Mixture(["1/4", "3/4"], [Normal(-2, 1), Normal(2, 1)]), Normal(0, 2)),
]
NETS = {
    "relu": [mg.Dense(1, 4), mg.ReLU(), mg.Dense(4, 1)],
    "leaky": [mg.Dense(1, 3), mg.LeakyReLU(0.2), mg.Dense(3, 1)],
    "maxout": [mg.Maxout(1, 2, pieces=3), mg.Dense(2, 1)],
    "tanh": [mg.Dense(1, 3), mg.Tanh(), mg.Dense(3, 1)],
    "softplus": [mg.Dense(1, 3), mg.Softplus(), mg.Dense(3, 1)],
}


@pytest.mark.parametrize("name", NETS)
@pytest.mark.parametrize("pair", PAIRS, ids=repr)
def test_gap_agrees_with_quadrature(name, pair):
    net = dense_net(*NETS[name], seed=3)
    found = certify_pair(*pair, discriminator(net), digits=15)
    assert float(found.suboptimality) == pytest.approx(quadrature(*pair, net), rel=1e-6, abs=1e-8)
    assert found.certificate.passed
    assert float(found.c) == pytest.approx(-np.log(4) + 2 * float(found.jsd), abs=1e-12)
    assert found.suboptimality.rad() <= arb(10) ** -15


def test_more_digits_meet_fewer():
    D = discriminator(dense_net(*NETS["relu"]))
    low, high = (certify_pair(*PAIRS[0], D, digits=d) for d in (12, 40))
    with precision(60):
        for name in ("jsd", "c", "value", "suboptimality"):
            assert getattr(low, name).overlaps(getattr(high, name))
            assert getattr(high, name).rad() <= arb(10) ** -40


@pytest.mark.parametrize("activation", [mg.Tanh(), mg.Softplus()], ids=repr)
def test_a_smooth_discriminator_trained_with_the_library(activation):
    """Trained on the pair of `gaussian` against a fixed G, D approaches D*: the certified V(D*) - V(D) falls."""
    rng = RNG(1)
    D = mg.Network([mg.Dense(1, 8), activation, mg.Dense(8, 1)], rng=rng, dtype="float32")
    G = affine_G(1.0, 0.0)
    before = certify_networks(Normal(4, 2), G, D, digits=15)
    adam, data = mg.Adam(D, lr=0.02), Gaussian(4, 2)
    for _ in range(300):
        x, z = data.sample(500, rng)[:, None], rng.standard_normal((500, 1))
        mg.discriminator_step(D, adam, mg.NonSaturating(), x.astype("float32"), G(z).astype("float32"))
    after = certify_networks(Normal(4, 2), G, D, digits=15)
    assert after.certificate.passed
    assert 0 < float(after.suboptimality) < 0.02 < float(before.suboptimality)
    assert not after.D.edges


# --- run folders ----------------------------------------------------------------------------------


def test_a_run_is_certified(run):
    folder, summary = run
    found = certify_run(folder)
    assert found.certificate.verdict is Verdict.PROVED
    assert found.certificate.passed
    assert float(found.jsd) == pytest.approx(summary["jsd"], abs=1e-9)
    assert float(found.value) == pytest.approx(summary["value"], abs=1e-5)
    assert float(found.c) == pytest.approx(summary["value_optimal"], abs=1e-9)
    assert found.q.sigma == abs(Fraction(summary["generator"]["a"]))
    text = str(found)
    assert "V(D*) - V(D)" in text
    assert "proved" in text


def damaged(run, tmp_path, **files):
    """Return a copy of the run with some files replaced by texts or bytes, or left out (None)."""
    for path in run[0].iterdir():
        if path.suffix in (".json", ".npz"):
            (tmp_path / path.name).write_bytes(path.read_bytes())
    for name, content in files.items():
        path = tmp_path / name.replace("_", ".")
        path.unlink()
        if content is not None:
            path.write_bytes(content)
    return tmp_path


def test_missing_and_damaged_files(run, tmp_path):
    with pytest.raises(RunError, match=r"not a run folder: it has no config\.json"):
        certify_run(tmp_path)
    folder = damaged(run, tmp_path, discriminator_npz=b"PK\3\4 nonsense")
    with pytest.raises(RunError, match=r"discriminator.npz: not a whole .npz file"):
        certify_run(folder)
    (folder / "discriminator.npz").unlink()
    with pytest.raises(RunError, match=r"discriminator.npz: "):
        certify_run(folder)


def config(recipe="gaussian", dtype="float32", **settings):
    return json.dumps({"recipe": recipe, "settings": settings, "dtype": dtype}).encode()


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"{", r"config.json: Expecting property name"),
        (b"[]", r"config.json: not the configuration of a run"),
        (b'{"recipe": "gaussian", "settings": {}}', "config.json: not the configuration of a run .'dtype'"),
        (config("mnist-dense"), "a run of 'mnist-dense'; expected a run of 'gaussian'"),
        (config(hiden=3), "unknown setting of gaussian 'hiden'"),
        (config(sigma=-2.0), r"sigma must be > 0, got -2.0"),
        (config(sigma=1e400), r"not the configuration of a run .*inf"),
        (config(dtype="float31"), r"config.json: not the configuration of a run"),
    ],
)
def test_wrong_configurations(run, tmp_path, content, message):
    with pytest.raises(RunError, match=message):
        certify_run(damaged(run, tmp_path, config_json=content))


def test_wrong_parameters(run, tmp_path):
    folder = damaged(run, tmp_path)
    D = read_arrays(folder / "discriminator.npz")
    write_arrays(folder / "discriminator.npz", {**D, "0.W": D["0.W"][:, :4]})
    with pytest.raises(RunError, match=r"discriminator.npz: parameters do not fit the network"):
        certify_run(folder)
    write_arrays(folder / "discriminator.npz", {**D, "0.W": D["0.W"] * np.inf})
    with pytest.raises(RunError, match=r"discriminator.npz: parameters that are not finite"):
        certify_run(folder)


def test_a_generator_without_a_density(run, tmp_path):
    folder = damaged(run, tmp_path)
    write_arrays(folder / "generator.npz", {"0.W": np.zeros((1, 1), "float32"), "0.b": np.ones(1, "float32")})
    with pytest.raises(RunError, match=r"generator.npz: G\(z\) = a z \+ b has a = 0: p_g is a point mass"):
        certify_run(folder)


def test_a_nonlinear_generator_is_refused():
    G = mg.Network([mg.Dense(1, 1), mg.Tanh()], rng=RNG(0))
    with pytest.raises(ValueError, match=r"expected Network\(\[Dense\(1, 1\)\]\)"):
        certify_networks(Normal(0, 1), G, dense_net(mg.Dense(1, 1)))


def test_digits_are_checked(run):
    with pytest.raises(ValueError, match="digits is -3; expected a whole number"):
        certify_run(run[0], digits=-3)


# --- the command ----------------------------------------------------------------------------------


def command(*arguments):
    return main(["trained", *map(str, arguments)])


def test_command_writes_the_figure_and_the_certificate(run, tmp_path, capsys):
    assert command(run[0], "--out", tmp_path / "new", "--digits", 20) == 0
    out = capsys.readouterr().out
    assert "JSD(p_data, p_g)" in out
    assert "optimality.svg" in out
    with Image.open(tmp_path / "new" / "optimality.png") as picture:
        assert picture.size == (1120, 832)
        assert len(np.unique(np.asarray(picture.convert("L")))) > 50
    assert ET.parse(tmp_path / "new" / "optimality.svg").getroot().tag.endswith("svg")  # noqa: S314
    (stored,) = json.loads((tmp_path / "new" / "optimality.json").read_text())["certificates"]
    found = Certificate.from_json(stored)
    assert found.passed
    assert found.digits == 20
    assert "V(D*) - V(D)" in found.enclosures


def test_command_writes_into_the_run_by_default(run, tmp_path):
    folder = damaged(run, tmp_path)
    assert command(folder, "--digits", 12) == 0
    assert {p.name for p in folder.glob("optimality.*")} == {"optimality.png", "optimality.svg", "optimality.json"}


@pytest.fixture
def certified(run, tmp_path):
    """A copy of the run folder, and its certificate in another folder."""
    folder = tmp_path / "here" / "run"
    folder.mkdir(parents=True)
    damaged(run, folder)
    assert command(folder, "--out", tmp_path / "here" / "out", "--digits", 15) == 0
    return folder, tmp_path / "here" / "out" / "optimality.json"


def replayed(file, capsys):
    status = main(["replay", str(file)])
    return status, capsys.readouterr().out


def test_the_old_name_of_the_suboptimality_still_works():
    pair = Normal(4, 2), Normal(0, 1)
    found = certify_pair(*pair, polynomial(0), digits=10)
    with pytest.warns(DeprecationWarning, match=r"Optimality\.gap is now called Optimality\.suboptimality"):
        assert found.gap is found.suboptimality


def test_a_certificate_of_a_run_is_replayed(certified, capsys, tmp_path):
    assert replayed(certified[1], capsys)[0] == 0
    moved = (tmp_path / "here").rename(tmp_path / "there")  # both together: the path is relative
    file = moved / "out" / "optimality.json"
    assert "1 of 1 certificates accepted" in replayed(file, capsys)[1]
    file.write_text(file.read_text().replace('"run folder": "../run"', '"run folder": "../nowhere"'))
    assert "the digest does not match" in replayed(file, capsys)[1]


def test_a_replay_needs_the_weights(certified, capsys):
    folder, file = certified
    weights = read_arrays(folder / "discriminator.npz")
    (folder / "discriminator.npz").unlink()
    status, out = replayed(file, capsys)
    assert status == 1
    assert "its weights cannot be read: " in out
    assert "No such file or directory; expected the certified run folder, '../run' relative to the file" in out
    write_arrays(folder / "discriminator.npz", {**weights, "0.b": weights["0.b"] + 1})
    status, out = replayed(file, capsys)
    assert status == 1
    assert "discriminator.npz is not the file that was certified: SHA-256 " in out


def resealed(file, notes=None, statement=None):
    """Change notes or the statement of the file, and write the digest that matches."""
    report = json.loads(file.read_text())
    (record,) = report["certificates"]
    record["notes"] = notes(record["notes"]) if notes else record["notes"]
    record["statement"] = statement(record["statement"]) if statement else record["statement"]
    record["digest"] = digest({key: value for key, value in record.items() if key != "digest"})
    file.write_text(json.dumps({**report, "digest": seal(report)}))


def test_a_lie_about_a_run_is_refused(certified, capsys):
    """Other weights with their checksum and a new digest: the balls are those of other networks."""
    folder, file = certified
    weights = read_arrays(folder / "discriminator.npz")
    write_arrays(folder / "discriminator.npz", {**weights, "0.b": weights["0.b"] + 1})
    resealed(file, notes=lambda notes: {**notes, "discriminator.npz": checksum(folder / "discriminator.npz")})
    status, out = replayed(file, capsys)
    assert status == 1
    assert "V(D) = " in out
    assert "does not overlap" in out
    resealed(file, statement=lambda text: text.replace("mu=4, sigma=2", "mu=4, sigma=3"))
    assert "its statement is not that of the claim" in replayed(file, capsys)[1]
    (folder / "config.json").unlink()
    assert "not a run folder: it has no config.json" in replayed(file, capsys)[1]
    resealed(file, notes=lambda notes: {})
    assert (
        "its notes name no run folder with weights; expected what `verify trained RUN` writes"
        in replayed(file, capsys)[1]
    )


def test_command_says_what_is_wrong(tmp_path, capsys):
    assert command(tmp_path) == 1
    assert "not a run folder" in capsys.readouterr().err
    write_json(tmp_path / "config.json", {"recipe": "ring", "settings": {}, "dtype": "float32"})
    assert command(tmp_path) == 1
    assert "expected a run of 'gaussian'" in capsys.readouterr().err


def test_wrong_digits_are_wrong_usage(run, capsys):
    assert command(run[0], "--digits", -3) == 2
    assert "digits is -3; expected" in capsys.readouterr().err
