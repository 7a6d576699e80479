"""Claims detect errors in what they are about, and state no more than they check."""

import json

import numpy as np
import pytest

pytest.importorskip("flint", reason="python-flint is not installed: pip install 'minigan[verify]'")

from flint import arb

from minigan.ops import reference
from verify import load_claims
from verify.analysis.divergences import criterion, jsd
from verify.arithmetic.balls import precision
from verify.arithmetic.decide import Verdict
from verify.claims import boxes, library_accuracy, library_training
from verify.densities import Normal
from verify.engine.certificate import digest
from verify.engine.certify import certificate
from verify.engine.proof import PROFILES
from verify.engine.replay import replay

QUICK = PROFILES["quick"]


@pytest.fixture
def no_memory():
    """Empty the caches of divergences before and after a test that changes a density."""
    for f in (criterion, jsd):
        f.cache_clear()
    yield
    for f in (criterion, jsd):
        f.cache_clear()


def test_a_wrong_shape_is_seen_though_both_sides_share_it(monkeypatch, no_memory):
    """log p off by 1e-14 changes C and 2 JSD alike; the independent checker has other code for the densities."""
    right = Normal.log_density

    def wrong(self):
        log_p = right(self)
        return lambda x, at, analytic=False: log_p(x, at, analytic) + arb(10) ** -14 * x

    monkeypatch.setattr(Normal, "log_density", wrong)
    found = certificate(load_claims()["T1.identity.normal-wider"], QUICK)
    assert found.verdict is Verdict.REFUTED
    assert next(check.name for check in found.checks if check.verdict is Verdict.REFUTED).endswith("checker finds")


def test_the_uniqueness_of_the_optimum_needs_the_hessian(monkeypatch):
    monkeypatch.setattr(boxes, "_definite", lambda box: Verdict.UNDECIDED)
    found = certificate(load_claims()["T1.box.unique"], QUICK)
    assert found.verdict is Verdict.UNDECIDED


def test_half_of_f_is_a_statement_about_f():
    """f < 0, so half of f(y) is above f(y), and above f(y*) where y is near y*: the factor 0 refuted nothing of f."""
    claim = load_claims()["P1.pointwise.random"]
    assert claim.controls["half of f(y)"].keywords == {"factor": pytest.approx(0.5)}
    assert certificate(claim, QUICK).passed


@pytest.mark.parametrize(
    "name", ["CF.c.uniforms", "Gradient.cauchy", "Lib.hessian.complex-step", "Mle.unbiased", "Ratio.discriminator"]
)
def test_an_earlier_wording_is_accepted_and_no_other(name):
    claims = load_claims()
    record = json.loads(json.dumps(certificate(claims[name], QUICK).as_json()))
    for statement, accepted in (
        *((old, True) for old in claims[name].formerly), (claims[name].statement + " always", False)
    ):  # fmt: skip
        record["statement"] = statement
        record["digest"] = digest({key: item for key, item in record.items() if key != "digest"})
        assert replay(record, claims).accepted is accepted


def test_checks_named_by_old_arguments_are_accepted_and_by_other_ones_not():
    """A check is named by the objective, whose arguments were renamed since."""
    claims = load_claims()
    text = json.dumps(certificate(claims["Lib.gradient.objective-minimax"], QUICK).as_json())
    old = text.replace("d_scale=", "factor=").replace("g_scale=", "factor_G=").replace("mean_over_all=", "pooled=")
    assert old != text
    for written, accepted in ((old, True), (old.replace("pooled=False", "pooled=True"), False)):
        record = json.loads(written)
        record["digest"] = digest({key: item for key, item in record.items() if key != "digest"})
        assert replay(record, claims).accepted is accepted


@pytest.mark.parametrize(
    ("name", "rule"), [("gaussian", "adam"), ("tanh", "momentum"), ("batch-norm", "momentum")]
)  # fmt: skip
def test_a_wrong_rate_of_the_library_is_on_one_side_of_its_training(name, rule, monkeypatch):
    """Comparing the library with itself would not detect it: both sides would take the wrong step."""
    right = getattr(reference, rule)
    monkeypatch.setattr(reference, rule, lambda *args, lr, **rest: right(*args, lr=lr * (1 + 1e-6), **rest))
    library_training.in_balls.cache_clear()
    found = certificate(load_claims()[f"Lib.training.{name}"], QUICK)
    library_training.in_balls.cache_clear()
    assert found.verdict is Verdict.REFUTED


def test_an_error_in_ulp_is_not_rounded_down():
    """1 + 1e-20 ulp lies between two floats; the one below would pass a tolerance of 1."""
    with precision(60):
        exact = [1 + arb(float(np.spacing(1.0))) * (1 + arb(10) ** -20)]
        error = library_accuracy.ulps(np.array([0.0]), np.array([1.0]), exact)[0]
    assert 1.0 < error < 1 + 1e-15
