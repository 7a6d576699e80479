"""The certificate of a claim: a frozen record that is stored as JSON without loss."""

import hashlib
import json
import math
import platform
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from typing import Any

from verify.arithmetic.balls import Enclosure, exact
from verify.arithmetic.decide import Verdict
from verify.engine.proof import Check, Profile
from verify.engine.registry import Source


@dataclass(frozen=True)
class ControlResult:
    """The name of a negative control, a wrong statement, and the verdict of the check on it."""

    name: str
    verdict: Verdict


@dataclass(frozen=True)
class Certificate:
    """The record of one checked claim.

    Attributes
    ----------
    id, statement, latex, assumptions, source, rigor
        Those of the claim.
    verdict
        The conjunction of all checks.
    profile, digits
        The profile's name, and the digits to which identities were checked.
    checks
        All decisions, each with its ball.
    enclosures
        The balls that the claim shows, by name.
    radius
        The largest radius of a ball that was checked to be 0; None without such a check.
    tolerance
        The first tolerance of the checks, as a decimal text; None without one.
    tail_bound
        The largest bound on a tail that an integral left out; None if none is stated.
    lemmas
        The lemmas that the proof uses without proving them.
    negative_controls
        The verdict on each wrong statement.
    notes
        Facts for the reader, which decide nothing.
    seed
        The seed of the claim's random numbers.
    versions
        The versions of Python and of the packages that computed it.
    seconds
        How long the check took.

    """

    id: str
    statement: str
    latex: str
    assumptions: tuple[str, ...]
    source: Source
    rigor: str
    verdict: Verdict
    profile: str
    digits: int
    checks: tuple[Check, ...] = ()
    enclosures: Mapping[str, Enclosure] = field(default_factory=dict)
    radius: Enclosure | None = None
    tolerance: str | None = None
    tail_bound: Enclosure | None = None
    lemmas: tuple[str, ...] = ()
    negative_controls: tuple[ControlResult, ...] = ()
    notes: Mapping[str, str] = field(default_factory=dict)
    seed: int = 0
    versions: Mapping[str, str] = field(default_factory=dict)
    seconds: float = 0.0

    @property
    def passed(self) -> bool:
        """Whether the claim is proved and has negative controls, all of which are refuted."""
        controls = self.negative_controls
        refuted = bool(controls) and all(control.verdict is Verdict.REFUTED for control in controls)
        return self.verdict is Verdict.PROVED and refuted

    def as_json(self) -> dict[str, Any]:
        """Return the record as data for JSON, with the digest of all other fields as `digest`."""
        data = _plain(self)
        return {**data, "digest": digest(data)}

    @classmethod
    def from_json(cls, data: Any) -> "Certificate":
        """Read what `as_json` wrote; ValueError if the digest does not match, or a field is missing or wrong."""
        if not isinstance(data, dict):
            raise ValueError(f"a certificate is {type(data).__name__}; expected an object")
        record = dict(data)
        seal, name = record.pop("digest", None), record.get("id", "?")
        if seal != digest(record):
            raise ValueError(f"certificate {name}: the digest does not match; the record was changed after it was made")
        try:
            texts = {key: record[key] for key in ("id", "statement", "latex", "rigor")} | record["notes"]
            for key, text in texts.items():
                if not isinstance(text, str):
                    raise ValueError(f"{key} is {text!r}, not a text")
            Profile(record["profile"], record["digits"])  # raises a ValueError if one is wrong
            _check_run(record["versions"], record["seconds"])
            return cls(
                **record
                | {
                    "assumptions": tuple(record["assumptions"]),
                    "source": Source(**record["source"]),
                    "verdict": Verdict(record["verdict"]),
                    "checks": tuple(_check(check) for check in record["checks"]),
                    "enclosures": {key: Enclosure.from_json(x) for key, x in record["enclosures"].items()},
                    "radius": _optional(record["radius"]),
                    "tail_bound": _optional(record["tail_bound"]),
                    "lemmas": tuple(record["lemmas"]),
                    "negative_controls": tuple(
                        ControlResult(control["name"], Verdict(control["verdict"]))
                        for control in record["negative_controls"]
                    ),
                }
            )
        except (AttributeError, KeyError, TypeError, ValueError) as error:
            raise ValueError(f"certificate {name}: {error}; expected what `verify run --json` writes") from None


def _check_run(versions: Any, seconds: Any) -> None:
    """Refuse versions and seconds that no run would write."""
    if not isinstance(versions, dict) or not all(isinstance(one, str) for pair in versions.items() for one in pair):
        raise ValueError(f"versions is {versions!r}; expected a text for each package")
    if type(seconds) not in (int, float) or not 0 <= seconds < math.inf:
        raise ValueError(f"seconds is {seconds!r}; expected a finite number >= 0")


def _check(data: dict[str, Any]) -> Check:
    if data["tolerance"] is not None:
        exact("tolerance", data["tolerance"])  # checks its size before it is computed
    return Check(**data | {"verdict": Verdict(data["verdict"]), "ball": _optional(data["ball"])})


def _optional(data: Any) -> Enclosure | None:
    return None if data is None else Enclosure.from_json(data)


def _plain(value: Any) -> Any:
    """Return dataclasses as mappings, tuples as lists and verdicts as texts."""
    if isinstance(value, Enclosure):
        return value.as_json()
    if hasattr(value, "__dataclass_fields__"):
        return {name: _plain(getattr(value, name)) for name in value.__dataclass_fields__}
    if isinstance(value, Mapping):
        return {key: _plain(item) for key, item in value.items()}
    if isinstance(value, tuple | list):
        return [_plain(item) for item in value]
    return str(value) if isinstance(value, Verdict) else value


def digest(data: Mapping[str, Any]) -> str:
    """Return the SHA-256 of the data as JSON with sorted keys and without white space."""
    text = json.dumps(data, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()


@cache
def versions() -> Mapping[str, str]:
    """Return the versions of Python and of the packages that compute certificates."""
    found = {"python": platform.python_version()}
    for name in ("minigan", "numpy", "scipy", "python-flint", "sympy"):
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    return found
