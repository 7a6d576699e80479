"""Every claim is proved and every wrong statement refuted; the functions of claims, against independent values."""

from fractions import Fraction

import numpy as np
import pytest

pytest.importorskip("flint", reason="python-flint is not installed: pip install 'minigan[verify]'")

import sympy as sp
from flint import arb

from verify import PROFILES, Proof, Verdict, load_claims
from verify.analysis.branch_bound import Cover, ball_of, cover, gradient, hessian
from verify.analysis.divergences import criterion, jsd
from verify.arithmetic.balls import power_of_ten, precision
from verify.claims import errata_networks
from verify.claims.theorem1 import PAIRS
from verify.densities import Discrete, Normal
from verify.engine import independent
from verify.engine.certificate import Certificate
from verify.engine.certify import certificate
from verify.engine.registry import RIGOR
from verify.engine.symbolic import enclose, identity
from verify.report.formats import reasons

CLAIMS = {claim.id: claim for claim in load_claims()}


@pytest.mark.parametrize("claim_id", CLAIMS)
def test_proved_with_every_control_refuted(claim_id):
    """The one test that proves every claim: nothing is undecided, and the certificate survives a round trip by JSON."""
    found = certificate(CLAIMS[claim_id], PROFILES["quick"])
    assert found.passed, reasons(found)
    assert found.verdict is Verdict.PROVED, [c for c in found.checks if c.verdict is not Verdict.PROVED]
    assert found.negative_controls
    assert all(c.verdict is Verdict.REFUTED for c in found.negative_controls), found.negative_controls
    assert found.rigor in RIGOR
    assert Certificate.from_json(found.as_json()) == found
    if found.radius is not None:
        assert float(found.radius.arb()) <= 1e-30


def test_every_erratum_that_is_a_formula_has_a_claim():
    """`verify.claims.errata_networks` names the others, with the reasons."""
    stated = {claim_id.partition(".")[0] for claim_id in CLAIMS if claim_id.startswith("E")}
    reasons_for = {f"E{n}" for n in (18, 19, 21, 23, 25)}
    assert stated | reasons_for == {f"E{n}" for n in range(1, 27)}
    assert not stated & reasons_for
    assert all(f"{name} (" in errata_networks.__doc__ for name in reasons_for)


@pytest.mark.parametrize("profile", ["full", "deep"])
@pytest.mark.parametrize("name", ["normal-normal", "laplace-laplace", "exponential-normal", "uniform-uniform"])
def test_identities_at_full_depth(name, profile):
    one = certificate(CLAIMS[f"T1.identity.{name}"], PROFILES[profile])
    assert one.passed
    assert one.radius.arb() <= power_of_ten(-PROFILES[profile].digits)


def test_random_cases_are_the_same_in_each_run():
    one, two = (certificate(CLAIMS["P1.pointwise.random"]) for _ in range(2))
    assert (one.enclosures, one.checks, one.seed) == (two.enclosures, two.checks, two.seed)


class TestSymbolic:
    X = sp.Symbol("x", positive=True)

    @pytest.mark.parametrize(
        ("expression", "verdict"),
        [
            (sp.log(X**2) - 2 * sp.log(X), Verdict.PROVED),
            ((X + 1) ** 2 - X**2 - 2 * X - 1, Verdict.PROVED),
            (sp.log(X + 1) - sp.log(X), Verdict.REFUTED),
            (sp.Rational(1, 10**30) * X, Verdict.REFUTED),
        ],
    )
    def test_identity(self, expression, verdict):
        with precision(45):
            assert identity(Proof("T1.test", PROFILES["quick"]), "x", expression, {"x": "2/3"}) is verdict

    def test_what_is_zero_only_at_the_point_is_undecided(self):
        proof = Proof("T1.test", PROFILES["quick"])
        assert identity(proof, "x", self.X - 2, {"x": 2}) is Verdict.UNDECIDED
        assert proof.verdict is Verdict.UNDECIDED

    def test_thirds_are_not_floats(self):
        with precision(45):
            assert (3 * enclose(self.X / 3 + sp.pi, {"x": 1}) - 3 * arb.pi() - 1).contains(0)

    def test_foreign_functions(self):
        with pytest.raises(ValueError, match="expected rationals"):
            enclose(sp.sin(self.X), {"x": 1})


class TestBoxes:
    @pytest.mark.parametrize(("mu", "t"), [(0.5, 0.0), (1.0, 0.25), (0.25, -0.5), (3.0, 0.5)])
    def test_derivatives_are_those_of_c(self, mu, t):
        """Central differences of C at 30 digits, with sigma a rational number in the ball of e^t."""
        h = 2.0**-20

        def value(mu, t):
            with precision(40):
                sigma = str(arb(t).exp().mid().str(35, radius=False))
            return criterion(Normal(0, 1), Normal(Fraction(mu), sigma), 30)

        with precision(40):
            first = [
                float((value(mu + h, t) - value(mu - h, t)) / (2 * h)),
                float((value(mu, t + h) - value(mu, t - h)) / (2 * h)),
            ]
            plus, minus = value(mu + h, t + h) + value(mu - h, t - h), value(mu + h, t - h) + value(mu - h, t + h)
            second = {
                (0, 0): (value(mu + h, t) + value(mu - h, t) - 2 * value(mu, t)) / h**2,
                (1, 1): (value(mu, t + h) + value(mu, t - h) - 2 * value(mu, t)) / h**2,
                (0, 1): (plus - minus) / (4 * h**2),
            }
        with precision(19):
            for i in (0, 1):
                assert abs(gradient(arb(mu), arb(t), i) - first[i]) < 2e-3
            for (i, j), want in second.items():
                assert abs(hessian(arb(mu), arb(t), i, j) - want) < 2e-3

    def test_a_box_holds_its_points(self):
        with precision(19):
            box = gradient(ball_of((0.5, 0.625)), ball_of((0.0, 0.125)), 0)
            for mu, t in ((0.5, 0.0), (0.55, 0.1), (0.625, 0.125)):
                assert box.overlaps(gradient(arb(mu), arb(t), 0))

    def test_cover(self):
        def small(box):
            width = box[0][1] - box[0][0]
            return Verdict.PROVED if width <= 0.25 else Verdict.UNDECIDED

        assert cover(((0.0, 1.0),), small, limit=100) == Cover(Verdict.PROVED, 4, 2)
        assert cover(((0.0, 1.0),), small, limit=3).verdict is Verdict.UNDECIDED
        assert cover(((0.0, 1.0),), lambda _: Verdict.REFUTED, limit=3).verdict is Verdict.REFUTED
        seen = []
        cover(((0.0, 1.0), (0.0, 2.0)), lambda b: seen.append(b) or Verdict.UNDECIDED, limit=2)
        assert seen == [((0.0, 1.0), (0.0, 2.0)), ((0.0, 1.0), (1.0, 2.0))]


class TestChecker:
    @pytest.mark.parametrize("name", PAIRS)
    def test_meets_the_enclosures(self, name):
        pair = PAIRS[name]
        for kind, ours in (("C", criterion), ("JSD", jsd)):
            theirs = independent.enclose(f"{kind}({pair.p}, {pair.q})", 15)
            assert theirs.is_finite()
            assert theirs.rad() < 1e-14
            assert theirs.overlaps(ours(pair.p, pair.q, 15))

    def test_sees_a_scale_off_by_1e_12(self):
        pair = PAIRS["normal-wider"]
        assert not independent.enclose(f"JSD({pair.p}, {pair.off})", 20).overlaps(jsd(pair.p, pair.q, 20))

    @pytest.mark.parametrize(
        "text",
        ["", "C()", "KL(Normal(mu=0, sigma=1), Normal(mu=0, sigma=1))", "C(Normal(0, 1), Normal(0, 1))",
         "C(open(file=1), 2)",
         "C(Normal(mu=0, sigma=1/0), Normal(mu=0, sigma=1))", "__import__('os')", "C(Normal(mu=0, sigma=1), 3)", "("],
    )  # fmt: skip
    def test_reads_densities_alone(self, text):
        with pytest.raises(ValueError, match="no pair that the checker knows"):
            independent.parse(text)

    def test_leaves_the_precision_alone(self):
        with precision(17):
            independent.enclose("C(Uniform(low=0, high=1), Uniform(low=0, high=2))", 12)
            assert np.isclose(float(arb(1).exp().rad().log()), -17 * np.log(10), atol=3)


def test_the_checker_has_jsd_of_atoms_from_its_definition():
    """Two KL to the mean: exactly 0 for p = q, which C / 2 + log 2 is not."""
    p, q = "Discrete(weights=[1/3, 2/3], atoms=[0, 1])", "Discrete(weights=[1/2, 1/2], atoms=[1, 2])"
    assert independent.enclose(f"JSD({p}, {p})", 20) == 0
    ours = jsd(Discrete(["1/3", "2/3"], [0, 1]), Discrete(["1/2", "1/2"], [1, 2]), 20)
    assert independent.enclose(f"JSD({p}, {q})", 20).overlaps(ours)
