"""The certificate: one frozen record a claim, which becomes JSON without losing a bit."""

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
    """A wrong statement and what the same check said of it."""

    name: str
    verdict: Verdict


@dataclass(frozen=True)
class Certificate:
    """What was stated, what was found, and everything needed to find it again."""

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
        """Proved, with at least one negative control, every one of them refuted."""
        controls = self.negative_controls
        refuted = bool(controls) and all(control.verdict is Verdict.REFUTED for control in controls)
        return self.verdict is Verdict.PROVED and refuted

    def as_json(self) -> dict[str, Any]:
        """Return the record as plain data, sealed with the digest of all its other fields."""
        data = _plain(self)
        return {**data, "digest": digest(data)}

    @classmethod
    def from_json(cls, data: Any) -> "Certificate":
        """Read a sealed record; ValueError if a field is missing, foreign, or not what was sealed."""
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
            Profile(record["profile"], record["digits"])  # or it says what is wrong with them
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
    """Refuse what no run writes about itself."""
    if not isinstance(versions, dict) or not all(isinstance(one, str) for pair in versions.items() for one in pair):
        raise ValueError(f"versions is {versions!r}; expected a text for each package")
    if type(seconds) not in (int, float) or not 0 <= seconds < math.inf:
        raise ValueError(f"seconds is {seconds!r}; expected a finite number >= 0")


def _check(data: dict[str, Any]) -> Check:
    if data["tolerance"] is not None:
        exact("tolerance", data["tolerance"])  # before anything is computed from it
    return Check(**data | {"verdict": Verdict(data["verdict"]), "ball": _optional(data["ball"])})


def _optional(data: Any) -> Enclosure | None:
    return None if data is None else Enclosure.from_json(data)


def _plain(value: Any) -> Any:
    """Return dataclasses, tuples and verdicts as JSON has them."""
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
    """Return the SHA-256 of the data in one canonical spelling."""
    text = json.dumps(data, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()


@cache
def versions() -> Mapping[str, str]:
    """Return the versions of what took part."""
    found = {"python": platform.python_version()}
    for name in ("minigan", "numpy", "scipy", "python-flint", "sympy"):
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    return found
