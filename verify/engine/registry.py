r"""The registry of claims: a statement, its source, its check, and wrong statements that the check must refute.

    @claim(
        "T1.example",
        "C(p, p) = -log 4",
        latex=r"C(p, p) = -\log 4",
        source=Source("Goodfellow et al. 2014", "Theorem 1"),
        rigor="ball",
        idea="...",
        controls={"-log 2": wrong},
    )
    def example(proof: Proof) -> None:
        proof.zero("C + log 4", ...)

A negative control is the same check of a wrong statement that is close to the right one.  A check that does not refute
it cannot distinguish the two, and proves nothing.
"""

import fnmatch
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field

from minigan._names import unknown
from verify.engine.proof import Proof

CheckFunction = Callable[[Proof], None]

RIGOR = {
    "symbolic": "an identity of expressions, simplified to zero",
    "exact-rational": "decided in rational numbers, without rounding",
    "ball": "every number enclosed in a proved ball",
    "float": "float64 within a stated tolerance",
    "statistical": "a sample against a stated failure probability",
}

_ID = re.compile(r"[A-Z][A-Za-z0-9]*(\.[a-z0-9-]+)+")


@dataclass(frozen=True)
class Source:
    """The source of a statement.

    Parameters
    ----------
    paper, equation : str
        A paper and the equation, theorem or section in it; empty if there is none.
    document, place : str
        One or more of the documents S1 ... S5 and a place in them; empty if there is none.

    """

    paper: str = ""
    equation: str = ""
    document: str = ""
    place: str = ""

    def __str__(self) -> str:
        pairs = ((self.paper, self.equation), (self.document, self.place))
        return "; ".join(", ".join(part for part in pair if part) for pair in pairs if any(pair))


GOODFELLOW = "Goodfellow et al. 2014"


@dataclass(frozen=True)
class Claim:
    """A statement that can be checked.

    Parameters
    ----------
    id : str
        A topic and lower-case words, such as "T1.identity.normal".
    statement, latex : str
        The statement as text and as LaTeX.
    source : Source
        Where it is stated.
    rigor : str
        A key of RIGOR.
    idea : str
        The idea of the proof in a sentence.
    check : callable
        ``check(proof)`` records its decisions in a Proof.
    controls : mapping of str to callable
        Checks of wrong statements by name, all of which must be refuted.
    assumptions : tuple of str
        What the statement assumes.
    formerly : tuple of str
        Earlier wordings of the statement, with which a replay accepts older certificates.

    Raises
    ------
    ValueError
        If the id is malformed, the rigor unknown, or a text empty.

    """

    id: str
    statement: str
    latex: str
    source: Source
    rigor: str
    idea: str
    check: CheckFunction = field(repr=False)
    controls: Mapping[str, CheckFunction] = field(repr=False)
    assumptions: tuple[str, ...] = ()
    formerly: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if not _ID.fullmatch(self.id):
            raise ValueError(f"id is {self.id!r}; expected a topic and lower-case words, as in 'T1.identity.normal'")
        if self.rigor not in RIGOR:
            raise ValueError(unknown("rigor", self.rigor, RIGOR))
        for name in ("statement", "latex", "idea"):
            if not getattr(self, name).strip():
                raise ValueError(f"{name} of {self.id} is empty; expected a text")


class Registry:
    """The claims by id.  Iteration sorts them by topic and number."""

    def __init__(self) -> None:
        self._claims: dict[str, Claim] = {}

    def claim(
        self, claim_id: str, statement: str, *, latex: str, source: Source, rigor: str, idea: str,
        controls: Mapping[str, CheckFunction], assumptions: tuple[str, ...] = (), formerly: tuple[str, ...] = (),
    ) -> Callable[[CheckFunction], CheckFunction]:  # fmt: skip
        """Return a decorator that registers a function as the check of a claim.

        Parameters
        ----------
        claim_id : str
            An id that is not registered yet.
        statement, latex, source, rigor, idea, controls, assumptions, formerly
            The fields of the Claim.

        Returns
        -------
        callable
            The decorator, which returns the function unchanged.

        Raises
        ------
        ValueError
            If the id is registered already, or Claim refuses a field.

        """

        def register(check: CheckFunction) -> CheckFunction:
            if claim_id in self._claims:
                raise ValueError(f"claim {claim_id!r} is registered twice; expected a new id")
            self._claims[claim_id] = Claim(
                claim_id, statement, latex, source, rigor, idea, check, dict(controls), assumptions, formerly
            )
            return check

        return register

    def __iter__(self) -> Iterator[Claim]:
        return iter(sorted(self._claims.values(), key=lambda claim: natural(claim.id)))

    def __len__(self) -> int:
        return len(self._claims)

    def __contains__(self, claim_id: object) -> bool:
        return claim_id in self._claims

    def __getitem__(self, claim_id: str) -> Claim:
        if claim_id not in self._claims:
            raise ValueError(self._unknown(claim_id))
        return self._claims[claim_id]

    def select(self, pattern: str = "*") -> list[Claim]:
        """Return the claims whose id matches a glob pattern; ValueError, with a suggestion, if none does."""
        chosen = [claim for claim in self if fnmatch.fnmatchcase(claim.id, pattern)]
        if not chosen:
            raise ValueError(self._unknown(pattern))
        return chosen

    def _unknown(self, given: str) -> str:
        ids = [claim.id for claim in self]
        message, _, _ = unknown("claim", given, ids).partition("; expected")
        topics = dict.fromkeys(one.split(".")[0] + ".*" for one in ids)
        return f"{message}; expected an id that `verify list` shows, or a pattern such as {', '.join(topics) or 'none'}"


def natural(text: str) -> list[tuple[int, int | str]]:
    """Return a sort key that puts E2 before E10."""
    return [(0, int(part)) if part.isdigit() else (1, part) for part in re.split(r"(\d+)", text) if part]


REGISTRY = Registry()
claim = REGISTRY.claim
