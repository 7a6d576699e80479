"""Forged certificates with new digests: each is refused, and the message says why."""

import copy
import json
import time

import pytest

pytest.importorskip("flint", reason="python-flint is not installed: pip install 'minigan[verify]'")

from verify import load_claims
from verify.arithmetic.balls import MAX_EXPONENT, exact
from verify.cli import main
from verify.engine.certificate import digest
from verify.engine.independent import parse
from verify.engine.replay import replay, replay_all
from verify.engine.runner import run
from verify.report.formats import as_json, seal

POSITIVE, GATED, NOTED, MEASURED = "T1.bounds.upper", "E17.vanishing", "Dirac.r1.orbit", "Lib.gradient.dense"
IDS = (POSITIVE, GATED, NOTED, MEASURED)


@pytest.fixture(scope="module")
def claims():
    return load_claims()


@pytest.fixture(scope="module")
def certificates(claims):
    return run([claims[i] for i in IDS])


@pytest.fixture(scope="module")
def records(certificates):
    return {one.id: json.loads(json.dumps(one.as_json())) for one in certificates}


def resealed(record, change):
    other = copy.deepcopy(record)
    change(other)
    other["digest"] = digest({key: item for key, item in other.items() if key != "digest"})
    return other


def written(path, certificates, change=lambda report: None):
    """Return a changed report of certificates with a new digest, as data for JSON."""
    report = json.loads(json.dumps(as_json(certificates)))
    change(report)
    report["digest"] = seal(report)
    path.write_text(json.dumps(report))
    return path


def of_every_check(old, **new):
    """Change every check of a relation, and the fields that follow from it."""

    def change(record):
        hits = [check for check in record["checks"] if check["relation"] == old]
        assert hits
        for check in hits:
            check.update(new)
        record["tolerance"] = next((check["tolerance"] for check in record["checks"] if check["tolerance"]), None)

    return change


@pytest.mark.parametrize("claim_id", IDS)
def test_what_was_not_changed_is_accepted(claim_id, records, claims):
    found = replay(records[claim_id], claims)
    assert found.accepted, found.reasons


@pytest.mark.parametrize(
    ("claim_id", "change", "reason"),
    [
        (
            POSITIVE, of_every_check("> 0", relation="<= gate", tolerance="5"),
            "has the relation '<= gate'; expected '> 0'",
        ),
        (POSITIVE, of_every_check("> 0", relation=">= 0"), "has the relation '>= 0'; expected '> 0'"),
        (GATED, of_every_check("<= gate", tolerance="1000000"), "has the tolerance 1000000; expected 1e-34"),
        (GATED, of_every_check("<= gate", tolerance="1.0e-34"), "has the tolerance 1.0e-34; expected 1e-34"),
        (POSITIVE, lambda r: r["checks"].pop(), "checks; expected the"),
        (POSITIVE, lambda r: r["checks"].append(r["checks"][0]), "checks; expected the"),
        (POSITIVE, lambda r: r["negative_controls"].append(r["negative_controls"][0]), "its negative controls are not"),
        (POSITIVE, lambda r: r.update(profile="full"), "it is to 30 digits; expected 50, as profile full"),
        (POSITIVE, lambda r: r.update(digits=31), "it is to 31 digits; expected 30, as profile quick"),
        (POSITIVE, lambda r: r.update(seconds="abc"), "seconds is 'abc'; expected a finite number >= 0"),
        (POSITIVE, lambda r: r.update(seconds=float("nan")), "seconds is nan; expected a finite number >= 0"),
        (POSITIVE, lambda r: r.update(seconds=-1.0), "seconds is -1.0; expected a finite number >= 0"),
        (POSITIVE, lambda r: r.update(seconds=True), "seconds is True; expected a finite number >= 0"),
        (POSITIVE, lambda r: r.update(versions={"numpy": 2}), "versions is {'numpy': 2}; expected a text"),
        (POSITIVE, lambda r: r.update(versions="all"), "versions is 'all'; expected a text"),
        (POSITIVE, lambda r: r["notes"].update(peer="reviewed"), "its note 'peer' is 'reviewed'; expected None"),
        (NOTED, lambda r: r["notes"].update(steps="10000000"), "its note 'steps' is '10000000'; expected '"),
        (NOTED, lambda r: r["notes"].clear(), "its note 'steps' is None; expected '"),
        (MEASURED, lambda r: r["notes"].update({"largest |d| / max |g|": "none"}), "is 'none'; expected '"),
    ],
)  # fmt: skip
def test_a_forgery(claim_id, change, reason, records, claims):
    found = replay(resealed(records[claim_id], change), claims)
    assert not found.accepted
    assert reason in " ".join(found.reasons)


def test_what_was_measured_on_another_machine_is_accepted(records, claims):
    def change(record):
        record["notes"]["largest |d| / max |g|"] = "3.1e-16"
        record["seconds"] = 12

    assert replay(resealed(records[MEASURED], change), claims).accepted


@pytest.mark.parametrize(
    "tolerance", ["1e-99999999", "1e99999999", "1e-" + "9" * 5000, "1" * 100_000, "1_0e-9_9999_999"]
)
def test_a_tolerance_is_refused_before_it_is_built(tolerance, records, claims):
    start = time.perf_counter()
    found = replay(resealed(records[GATED], of_every_check("<= gate", tolerance=tolerance)), claims)
    assert "tolerance is " in " ".join(found.reasons)
    assert time.perf_counter() - start < 5


@pytest.mark.parametrize("text", ["1e100001", "1e-100001", "1E+99999999", " 1e-99999999 ", "1e-9_999_999"])
def test_a_number_of_too_many_digits(text):
    with pytest.raises(ValueError, match=r"sigma is .*; expected an exponent between -100000 and 100000"):
        exact("sigma", text)
    assert exact("sigma", f"1e-{MAX_EXPONENT // 100}") == exact("sigma", "1") / 10 ** (MAX_EXPONENT // 100)
    assert exact("sigma", "1e-0000000000007") == exact("sigma", "1/10000000")


@pytest.mark.parametrize(
    "name", ["C(Normal(mu='1e-99999999', sigma=1), Normal(mu=0, sigma=1))", "C(" * 10_000,
             "C(Normal(mu=0.5, sigma=1), Normal(mu=0, sigma=1))", "C(Normal(mu=True, sigma=1), Normal(mu=0, sigma=1))",
             "C(Normal(mu=[1]/2, sigma=1), Normal())"],
)  # fmt: skip
def test_a_name_with_a_number_that_no_density_prints(name):
    with pytest.raises(ValueError, match="is no pair that the checker knows"):
        parse(name)


def test_a_ball_that_the_claim_does_not_make_is_not_computed(records, claims):
    """The checker would enclose a name such as C(...), which may take as long as its parameters demand."""
    far = "C(Normal(mu=0, sigma=1), StudentT(nu=1/1000, mu=0, scale=1))"
    found = replay(
        resealed(records[POSITIVE], lambda r: r["enclosures"].update({far: {"mid": [0, 0], "rad": [0, 0]}})), claims
    )
    assert found.reasons == ("its enclosures are not those of the claim",)


def test_a_file_says_what_is_accepted(tmp_path, capsys, certificates, claims):
    path = written(tmp_path / "c.json", certificates[:2])
    assert main(["replay", str(path)]) == 0
    out = capsys.readouterr().out
    assert (
        f"2 of 2 certificates accepted: profile quick (30 digits); 2 of the {len(claims)} claims of this version" in out
    )
    assert "no certificate here of CF." in out
    assert "not checked: seconds" in out


def dropped(report):
    del report["certificates"][1:]


def twice(report):
    report["certificates"] += report["certificates"][:1] * 2


def renamed(report):
    for record in report["certificates"]:
        record["versions"]["numpy"] = "9.9"
        record["digest"] = digest({key: item for key, item in record.items() if key != "digest"})


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (dropped, "its summary is '2 claims"),
        (twice, f"{POSITIVE} has 3 certificates; expected one"),
        (lambda r: r.update(summary="185 claims"), "its summary is '185 claims'; expected '2 claims"),
        (lambda r: r.update(passed=False), "its passed is False; expected True"),
        (lambda r: r.update(format="other/9"), "its format is 'other/9'; expected 'minigan.verify/1'"),
        (lambda r: r["versions"].update(numpy="9.9"), "its versions is {"),
        (renamed, "its versions is {"),
    ],
)  # fmt: skip
def test_a_forged_file(change, reason, tmp_path, capsys, certificates):
    path = written(tmp_path / "c.json", [certificates[0], certificates[2]], change)
    assert main(["replay", str(path)]) == 1
    assert f"{path} REFUSED: {reason}" in capsys.readouterr().out


def test_versions_that_differ_within_a_file(tmp_path, capsys, certificates):
    def change(report):
        record = report["certificates"][1]
        record["versions"]["numpy"] = "9.9"
        record["digest"] = digest({key: item for key, item in record.items() if key != "digest"})

    path = written(tmp_path / "c.json", [certificates[0], certificates[2]], change)
    assert main(["replay", str(path), "--only", POSITIVE]) == 1
    assert f"the versions of {NOTED} are not those of {POSITIVE}" in capsys.readouterr().out


def test_a_second_certificate_of_a_claim_is_refused(records, claims):
    first, second = replay_all([records[NOTED], records[NOTED]], claims)
    assert first.accepted
    assert second.reasons == ("it is the second certificate of this claim; expected one",)
