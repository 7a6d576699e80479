"""Balls, decisions, claims, certificates and the runner."""

import json
import subprocess
import sys
from fractions import Fraction

import numpy as np
import pytest

pytest.importorskip("flint", reason="python-flint is not installed: pip install 'minigan[verify]'")

from flint import acb, arb, ctx
from hypothesis import given
from hypothesis import strategies as st

import verify
from verify import Enclosure, Profile, Proof, Source, Verdict
from verify.arithmetic.balls import ball, exact, precision
from verify.engine.certificate import Certificate, digest
from verify.engine.certify import certificate
from verify.engine.proof import PROFILES
from verify.engine.registry import Registry
from verify.engine.runner import run
from verify.report.formats import passed, reasons, table

QUICK = PROFILES["quick"]
PROVED, REFUTED, UNDECIDED = Verdict.PROVED, Verdict.REFUTED, Verdict.UNDECIDED


def register(registry, check, claim_id="T1.test", controls=None, **changes):
    fields = {
        "statement": "s",
        "latex": "l",
        "source": Source("paper", "eq. 1"),
        "rigor": "ball",
        "idea": "i",
        "controls": {"wrong": lambda proof: proof.zero("1", arb(1))} if controls is None else controls,
    } | changes
    registry.claim(claim_id, fields.pop("statement"), **fields)(check)
    return registry[claim_id]


def true(proof):
    proof.zero("0", arb(0))


def test_without_python_flint_the_message_says_what_to_install():
    code = "import sys; sys.modules['flint'] = None; import verify"
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)
    assert found.returncode == 1
    assert found.stderr.endswith(
        "ImportError: verify needs python-flint; install it with: pip install 'minigan[verify]'\n"
    )


class TestPrecision:
    def test_is_restored_after_an_error_and_when_nested(self):
        before = ctx.prec
        with precision(50):
            with precision(200):
                assert ctx.dps == 200
            assert ctx.dps == 50
        assert ctx.prec == before
        with pytest.raises(ZeroDivisionError), precision(50):
            _ = 1 / 0
        assert ctx.prec == before

    @pytest.mark.parametrize("digits", [-3, 0, 10**9, 2.5, "30", True, None])
    def test_nonsense_is_named(self, digits):
        with pytest.raises(ValueError, match=r"digits is .* expected a whole number from 1 to"), precision(digits):
            pass


class TestExact:
    @pytest.mark.parametrize(
        ("given", "want"),
        [
            (3, 3),
            ("1/2", Fraction(1, 2)),
            ("0.1", Fraction(1, 10)),
            ("1e-12", Fraction(1, 10**12)),
            (np.int64(-7), -7),
        ],
    )
    def test_takes_rationals(self, given, want):
        assert exact("x", given) == want
        assert ball(exact("x", given)).overlaps(ball(Fraction(want)))

    @pytest.mark.parametrize("given", ["one", "1/0", float("nan"), float("inf"), None, True, np.True_, 1j, [1]])
    def test_refuses_the_rest(self, given):
        with pytest.raises(ValueError, match=r"x is .*; expected a rational number as int, Fraction or text such as"):
            exact("x", given)

    @pytest.mark.parametrize("given", [0.1, np.float64(0.1), np.float32(0.5)])
    def test_a_float_is_refused_for_it_may_be_meant_otherwise(self, given):
        with pytest.raises(ValueError, match="expected a rational number"):
            exact("x", given)
        with pytest.raises(ValueError, match=r"Fraction\(0\.1\) is the float exactly"):
            exact("x", 0.1)


class TestEnclosure:
    @given(st.integers(-(2**400), 2**400), st.integers(-500, 500), st.integers(0, 2**30 - 1), st.integers(-600, 200))
    def test_is_exact_at_any_precision(self, m, e, r, f):
        x = arb((m, e), (r, f))
        stored = Enclosure.of(x)
        again = Enclosure.from_json(json.loads(json.dumps(stored.as_json())))
        with precision(5):
            back = again.arb()
        assert again == stored
        assert back.mid().man_exp() == x.mid().man_exp()
        assert back.rad().man_exp() == x.rad().man_exp()

    @pytest.mark.parametrize(
        "data",
        [
            None, [], {}, {"mid": [1, 0]}, {"mid": [1, 0], "rad": [0, 0], "x": 1}, {"mid": [1.0, 0], "rad": [0, 0]},
            {"mid": ["1", 0], "rad": [0, 0]}, {"mid": [2, 0], "rad": [0, 0]}, {"mid": [1, 0], "rad": [-1, 0]},
            {"mid": [True, 0], "rad": [0, 0]}, {"mid": [1, 0, 0], "rad": [0, 0]}, {"mid": [0, 3], "rad": [0, 0]},
        ],
    )  # fmt: skip
    def test_reads_nothing_else(self, data):
        with pytest.raises(ValueError, match="no ball"):
            Enclosure.from_json(data)

    def test_infinite_balls_are_refused(self):
        with pytest.raises(ValueError, match="not finite"):
            Enclosure.of(arb("inf"))


class TestDecisions:
    NAN, ALL = arb("nan"), arb(0, "inf")

    def test_what_is_not_finite_is_undecided(self):
        assert arb("nan").contains(0)  # the trap
        for x in (self.NAN, self.ALL, arb("inf")):
            assert verify.prove_zero(x, arb(1)) is UNDECIDED
            assert verify.prove_positive(x) is UNDECIDED
            assert verify.prove_nonnegative(x) is UNDECIDED
        assert verify.prove_zero(arb(0), self.NAN) is UNDECIDED

    @pytest.mark.parametrize(
        ("x", "zero", "positive", "nonnegative"),
        [
            (arb(0), PROVED, REFUTED, PROVED),
            (arb(0, 1e-9), PROVED, UNDECIDED, UNDECIDED),
            (arb(0, 1e-3), UNDECIDED, UNDECIDED, UNDECIDED),
            (arb(1e-12, 1e-13), REFUTED, PROVED, PROVED),
            (arb(-1e-12, 1e-13), REFUTED, REFUTED, REFUTED),
            (arb(5, 10), UNDECIDED, UNDECIDED, UNDECIDED),
        ],
    )
    def test_table(self, x, zero, positive, nonnegative):
        assert verify.prove_zero(x, arb(1e-6)) is zero
        assert verify.prove_positive(x) is positive
        assert verify.prove_nonnegative(x) is nonnegative

    def test_at_most(self):
        proof = Proof("T1.test", QUICK)
        assert proof.at_most("a", 1e-16, "1e-15") is PROVED
        assert proof.at_most("b", 2e-15, "1e-15") is REFUTED
        assert proof.at_most("c", arb(1, 1), "1") is UNDECIDED
        assert proof.at_most("d", float("nan"), "1") is UNDECIDED


class TestProof:
    def test_verdict_is_the_conjunction(self):
        proof = Proof("T1.test", QUICK)
        assert proof.verdict is UNDECIDED  # nothing is checked
        proof.zero("a", arb(0))
        assert proof.verdict is PROVED
        proof.undecided("b")
        assert proof.verdict is UNDECIDED
        assert proof.holds("d", None) is UNDECIDED
        proof.positive("c", arb(-1))
        assert proof.verdict is REFUTED

    def test_radius_is_the_widest(self):
        proof = Proof("T1.test", QUICK)
        assert proof.radius is None
        for radius in (1e-40, 1e-35, 1e-50):
            proof.zero("x", arb(0, radius))
        assert float(proof.radius.arb()) == pytest.approx(1e-35)

    def test_a_ball_that_is_not_finite_cannot_be_kept(self):
        proof = Proof("T1.test", QUICK)
        true(proof)
        proof.enclose("x", arb("nan"))
        assert proof.verdict is UNDECIDED

    def test_random_numbers_depend_on_the_id_alone(self):
        a, b, c = (Proof(i, PROFILES[n]).rng.random() for i, n in (("A.x", "quick"), ("A.x", "deep"), ("A.y", "quick")))
        assert a == b != c

    def test_the_largest_tail_is_kept(self):
        proof = Proof("T1.test", QUICK)
        for bound in (1e-40, 1e-35, 1e-50):
            proof.tail(arb(bound))
        assert float(proof.tail_bound.arb()) == 1e-35

    def test_profiles(self):
        assert [p.digits for p in PROFILES.values()] == [30, 50, 100]
        with pytest.raises(ValueError, match=r"unknown profile 'quik' \(did you mean 'quick'\?\)"):
            Profile("quik", 30)


class TestRegistry:
    @pytest.mark.parametrize(
        ("changes", "message"),
        [
            ({"claim_id": "no dots"}, "expected a topic"),
            ({"rigor": "bal"}, r"unknown rigor 'bal' \(did you mean 'ball'\?\)"),
            ({"statement": " "}, "statement of T1.test is empty"),
            ({"idea": ""}, "idea of T1.test is empty"),
        ],
    )
    def test_incomplete_claims(self, changes, message):
        with pytest.raises(ValueError, match=message):
            register(Registry(), true, **changes)

    def test_an_id_is_taken_once(self):
        registry = Registry()
        register(registry, true)
        with pytest.raises(ValueError, match="registered twice"):
            register(registry, true)

    def test_mistyped_ids(self):
        registry = Registry()
        register(registry, true, "T1.identity.normal")
        register(registry, true, "E10.x")
        register(registry, true, "E2.x")
        assert [claim.id for claim in registry] == ["E2.x", "E10.x", "T1.identity.normal"]
        assert [claim.id for claim in registry.select("E*")] == ["E2.x", "E10.x"]
        with pytest.raises(ValueError, match=r"did you mean 'T1.identity.normal'\?"):
            registry["T1.identity.norml"]
        with pytest.raises(ValueError, match=r"expected an id .* E2\.\*, E10\.\*, T1\.\*"):
            registry.select("P1.*")

    def test_every_claim_is_complete(self):
        claims = list(verify.load_claims())
        assert claims
        for claim in claims:
            assert claim.controls, claim.id
            assert str(claim.source), claim.id


class TestRunner:
    def test_passes(self):
        one = certificate(register(Registry(), true))
        assert one.passed
        assert one.verdict is PROVED
        assert one.digits == 30
        assert [control.verdict for control in one.negative_controls] == [REFUTED]

    @pytest.mark.parametrize(
        ("check", "controls", "reason"),
        [
            (true, {}, "no negative control"),
            (true, {"not wrong": true}, "'not wrong' is proved, not refuted"),
            (true, {"vague": lambda proof: proof.undecided("x")}, "'vague' is undecided, not refuted"),
            (true, {"broken": lambda proof: 1 / 0}, "'broken' is undecided, not refuted"),
            (lambda proof: proof.zero("x", arb(1)), None, "x = 0: refuted"),
            (lambda proof: 1 / 0, None, "ZeroDivisionError: division by zero holds: undecided"),
            (lambda proof: None, None, "it checks nothing"),
        ],
    )
    def test_what_fails_a_run(self, check, controls, reason):
        one = certificate(register(Registry(), check, controls=controls))
        assert not one.passed
        assert not passed([one])
        assert reason in " ".join(reasons(one))
        assert reason in table([one])

    def test_an_interrupt_in_an_integrand_is_none_of_its_errors(self):
        """Otherwise Ctrl-C would make one claim undecided, and the run would continue."""

        def integrate(proof):
            acb.integral(interrupt, 0, 1)

        def interrupt(x, analytic):
            raise KeyboardInterrupt

        with pytest.raises(KeyboardInterrupt):
            certificate(register(Registry(), integrate))

    def test_an_empty_run_does_not_pass(self):
        assert not passed([])

    def test_precision_is_that_of_the_profile_and_restored(self):
        seen, before = [], ctx.prec
        claim = register(Registry(), lambda proof: seen.append(ctx.dps))
        certificate(claim, PROFILES["full"])
        assert seen[0] >= 60
        assert ctx.prec == before

    def test_processes_find_the_same(self):
        chosen = verify.load_claims().select("T1.identity.[du]*")
        seen = []
        two = run(chosen, QUICK, workers=2, done=seen.append)
        one = run(chosen, QUICK, workers=1)
        assert [c.id for c in one] == [c.id for c in two] == [c.id for c in seen]
        assert [(c.enclosures, c.checks, c.negative_controls) for c in one] == [
            (c.enclosures, c.checks, c.negative_controls) for c in two
        ]


class TestCertificate:
    def test_round_trip_through_text(self):
        def check(proof):
            proof.zero("pi - pi", arb.pi() - proof.enclose("pi", arb.pi()))
            proof.positive("third", ball(Fraction(1, 3)))
            proof.holds("fact", True)
            proof.tail(arb(1e-50))
            proof.lemma("l")
            proof.note("n", 3)

        one = certificate(register(Registry(), check, assumptions=("a",)))
        text = json.dumps(one.as_json())
        assert Certificate.from_json(json.loads(text)) == one

    def test_is_frozen(self):
        one = certificate(register(Registry(), true))
        with pytest.raises(AttributeError):
            one.verdict = REFUTED

    def test_a_seal_is_needed_and_fields_are_fixed(self):
        record = certificate(register(Registry(), true)).as_json()
        for changes in ({"digest": None}, {"seconds": 5.0}, {"extra": 1}):
            with pytest.raises(ValueError, match="digest does not match"):
                Certificate.from_json(record | changes)
        unsealed = {key: value for key, value in record.items() if key != "digest"} | {"extra": 1}
        with pytest.raises(ValueError, match="expected what `verify run --json` writes"):
            Certificate.from_json(unsealed | {"digest": digest(unsealed)})
        with pytest.raises(ValueError, match="expected an object"):
            Certificate.from_json([record])
