"""A certificate that was changed in one digit is refused, with a new digest or without."""

import copy
import json

import numpy as np
import pytest

pytest.importorskip("flint", reason="python-flint is not installed: pip install 'minigan[verify]'")

from verify import load_claims
from verify.cli import main
from verify.engine.certificate import digest
from verify.engine.replay import replay
from verify.engine.runner import run
from verify.report.formats import read_json, seal

IDS = ("T1.identity.exponential-exponential", "T1.kl-form.normal-normal", "CF.kl.normal-wider", "P1.pointwise.critical")


@pytest.fixture(scope="module")
def claims():
    return load_claims()


@pytest.fixture(scope="module")
def records(claims):
    return {one.id: json.loads(json.dumps(one.as_json())) for one in run([claims[i] for i in IDS])}


def leaves(data, path=()):
    """Yield the paths of all numbers and texts."""
    items = data.items() if isinstance(data, dict) else enumerate(data) if isinstance(data, list) else None
    if items is None:
        yield path
    else:
        for key, value in items:
            yield from leaves(value, (*path, key))


def changed(record, path, value, *, seal):
    other = copy.deepcopy(record)
    here = other
    for key in path[:-1]:
        here = here[key]
    here[path[-1]] = value
    if seal:
        other["digest"] = digest({key: item for key, item in other.items() if key != "digest"})
    return other


@pytest.mark.parametrize("claim_id", IDS)
def test_unchanged_is_accepted(claim_id, records, claims):
    found = replay(records[claim_id], claims)
    assert found.accepted, found.reasons
    if claim_id.startswith("T1.identity"):
        assert found.independent == 2


@pytest.mark.parametrize("claim_id", IDS)
def test_every_number_and_text_is_sealed(claim_id, records, claims):
    record = records[claim_id]
    for path in leaves(record):
        value = record
        for key in path:
            value = value[key]
        if isinstance(value, bool) or value is None:
            other = "x"
        elif isinstance(value, int):
            digits = str(value)
            other = int(digits[:-1] + str((int(digits[-1]) + 2) % 10)) if digits[-1].isdigit() else value + 2
        elif isinstance(value, float):
            other = value + 1
        else:
            other = value[:-1] + ("x" if not value.endswith("x") else "y")
        found = replay(changed(record, path, other, seal=False), claims)
        assert not found.accepted, path


def first(record, name):
    return next(k for k in record["enclosures"] if k.startswith(name))


@pytest.mark.parametrize("digit", [0, 3, 8])
@pytest.mark.parametrize(
    ("claim_id", "name"), [(IDS[0], "C("), (IDS[0], "JSD("), (IDS[1], "KL("), (IDS[2], "integral")]
)
def test_a_changed_digit_of_a_ball_with_a_new_seal(claim_id, name, digit, records, claims):
    record = records[claim_id]
    key = first(record, name)
    m = record["enclosures"][key]["mid"][0]
    text = str(abs(m))
    other = int(text[:digit] + str((int(text[digit]) % 9) + 1) + text[digit + 1 :]) * (1 if m > 0 else -1)
    assert other != m
    found = replay(
        changed(record, ("enclosures", key, "mid", 0), other | 1 if other > 0 else -(-other | 1), seal=True), claims
    )
    assert not found.accepted
    assert "does not overlap" in " ".join(found.reasons)


@pytest.mark.parametrize(
    ("path", "value", "reason"),
    [
        (("statement",), "C(G) = -log 2 + 2 JSD(p, q)", "its statement is not that of the claim"),
        (("id",), "T1.identity.normal-normal", "its statement is not that of the claim"),
        (("id",), "T1.identity.nobody", "unknown claim"),
        (("source", "paper"), "another", "its source is not"),
        (("checks", 0, "verdict"), "undecided", "but its ball makes it proved"),
        (("checks", 0, "tolerance"), "1e-20", "not to 10^-30"),
        (("checks", 0, "tolerance"), "1e-60", "but its ball makes it undecided"),
        (("checks", 0, "ball", "mid"), [1, -3], "but its ball makes it refuted"),
        (("checks", 0, "ball", "rad"), [1, 3], "but its ball makes it undecided"),
        (("verdict",), "refuted", "but its checks make it proved"),
        (("checks",), [], "but its checks make it undecided"),
        (("enclosures",), {}, "its enclosures are not those of the claim"),
        (("negative_controls",), [], "its negative controls are not those of the claim"),
        (("negative_controls", 0, "verdict"), "proved", "a negative control is not refuted"),
        (("digits",), 12, "not to 10^-12"),
        (("radius",), {"mid": [1, -1000], "rad": [0, 0]}, "its radius is not the widest"),
        (("tolerance",), "1e-1000", "its tolerance is not that of its checks"),
        (("seed",), 5, "its seed is not"),
        (("lemmas",), ["Riemann hypothesis"], "its lemmas are not those of the claim"),
        (("tail_bound",), {"mid": [0, 0], "rad": [0, 0]}, "its tail bound"),
        (("radius",), "none", "no ball"),
        (("digits",), "30", "digits is '30'; expected"),
        (("profile",), "quik", "unknown profile 'quik' (did you mean 'quick'?)"),
        (("id",), ["T1"], "id is ['T1'], not a text"),
        (("notes",), [1], "expected what `verify run --json` writes"),
        (("checks", 0, "tolerance"), "much", "tolerance is 'much'"),
        (("checks", 0, "relation"), "!= 0", "unknown relation '!= 0'"),
    ],
)
def test_other_lies_with_a_new_seal(path, value, reason, records, claims):
    found = replay(changed(records[IDS[0]], path, value, seal=True), claims)
    assert not found.accepted
    assert reason in " ".join(found.reasons)


@pytest.mark.parametrize("claim_id", IDS[:3])
def test_a_ball_that_was_widened_with_a_new_seal(claim_id, records, claims):
    """It still contains the number, but is wider than its digits."""
    for key in records[claim_id]["enclosures"]:
        found = replay(changed(records[claim_id], ("enclosures", key, "rad"), [1, 0], seal=True), claims)
        assert f"{key} has the radius" in " ".join(found.reasons)


def test_a_file(tmp_path, capsys, records):
    path = tmp_path / "certificates.json"
    good, bad = records[IDS[2]], changed(records[IDS[0]], ("seconds",), 1e9, seal=False)
    report = {"certificates": [good, bad]}
    path.write_text(json.dumps({**report, "digest": seal(report)}))
    assert main(["replay", str(path)]) == 1
    out = capsys.readouterr().out
    assert "REFUSED" in out
    assert "the digest does not match" in out
    assert "1 of 2 certificates accepted" in out
    assert main(["replay", str(path), "--only", "CF.*"]) == 0
    assert "1 of 1 certificates accepted" in capsys.readouterr().out
    assert main(["replay", str(path), "--only", "T1.kl-form.exponential-exponentia"]) == 2
    err = capsys.readouterr().err
    assert "did you mean 'T1.identity.exponential-exponential'?); expected an id in " in err


def test_an_interrupted_replay(tmp_path, capsys, monkeypatch, records):
    def interrupt(*_):
        raise SystemError("acb.integral returned a result with an exception set") from KeyboardInterrupt()

    monkeypatch.setattr("verify.engine.independent.enclose", interrupt)
    (tmp_path / "c.json").write_text(json.dumps({"certificates": [records[IDS[0]]]}))
    assert main(["replay", str(tmp_path / "c.json")]) == 130
    assert capsys.readouterr().err == "python -m verify replay: interrupted; nothing was written\n"


def test_one_changed_digit_of_a_file(tmp_path, capsys):
    """Any digit that `run --json` wrote: in a ball, a text, a digest, or a field of the report."""
    path = tmp_path / "c.json"
    assert main(["run", "--only", "CF.kl.normal-wider", "--workers", "1", "--json", str(path)]) == 0
    assert main(["replay", str(path)]) == 0
    assert "REFUSED" not in capsys.readouterr().out
    text = path.read_text()
    inside = range(text.index('"certificates"'), text.rindex("]"))
    digits = [k for k, one in enumerate(text) if one.isdigit()]
    within, beside = ([k for k in digits if (k in inside) is there] for there in (True, False))
    assert len(within) > 200
    assert len(beside) > 20
    rng = np.random.default_rng(0)
    places = [*rng.choice(within, 60, replace=False).tolist(), *rng.choice(beside, 4, replace=False).tolist()]
    for k in places:
        other = str((int(text[k]) + 1) % 10) if text[k] != "9" else "1"
        path.write_text(text[:k] + other + text[k + 1 :])
        assert main(["replay", str(path)]) == 1, text[k - 20 : k + 20]
        assert "REFUSED" in capsys.readouterr().out


def test_a_certificate_left_out_of_a_file(tmp_path, capsys):
    path = tmp_path / "c.json"
    assert main(["run", "--only", "P1.pointwise.[cs]*", "--workers", "1", "--json", str(path)]) == 0
    report = json.loads(path.read_text())
    del report["certificates"][0]
    path.write_text(json.dumps(report))
    assert main(["replay", str(path)]) == 1
    assert f"{path} REFUSED: the digest does not match" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("text", "message"),
    [("", "is not JSON"), ("{", "is not JSON"),
     ("[" * 100_000, "is not JSON"), ('{"a": ' + "1" * 5000 + "}", "is not JSON"),
     ("\0", "is not JSON"), ("[]", "has no certificates"),
     ('{"certificates": []}', "has no certificates"),
     ('{"certificates": [3]}', "has no certificates"), ("{}", "has no certificates")],
)  # fmt: skip
def test_foreign_files(text, message, tmp_path, capsys):
    path = tmp_path / "x.json"
    path.write_text(text)
    with pytest.raises(ValueError, match=message):
        read_json(path)
    assert main(["replay", str(path)]) == 2
    assert main(["replay", str(tmp_path / "missing.json")]) == 2
    assert "No such file" in capsys.readouterr().err
