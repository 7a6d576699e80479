r"""Claims: V(D*) - V(D) of trained discriminators, and that their logits are split exactly.

Each D was trained by gradient descent on V between p_data = N(4, 2^2) and p_g = N(0, 1), the start of the recipe
`gaussian`, and its weights were rounded to multiples of 1/1024, which are written here exactly.
"""

from fractions import Fraction
from functools import partial
from itertools import pairwise

import numpy as np

import minigan as mg
from minigan.layers.base import Layer
from minigan.network import Network
from verify.analysis.game_value import Discriminator
from verify.arithmetic.decide import require_exact
from verify.densities import Normal
from verify.engine.proof import Proof
from verify.engine.registry import GOODFELLOW, Source, claim
from verify.library.subjects import network
from verify.trained.logit import Piece, affine_pieces, discriminator
from verify.trained.pair import claim_about

PAIR = (Normal(4, 2), Normal(0, 1))

WEIGHTS: dict[str, tuple[Layer, list[int]]] = {  # activation, theta in units of 1/1024
    "relu": (mg.ReLU(), [-342, 1725, -987, 797, 2080, -3272, -984, -464, -2787, 622, 1501, 1350, 2969]),
    "softplus": (mg.Softplus(), [17, -540, 478, 5946, 1451, 1638, -6048, 8749, 12468, -4153]),
    "tanh": (mg.Tanh(), [-258, -134, 105, -1676, 966, 228, 10693, -45621, -13687, 43761]),
}


def trained(name: str) -> Discriminator:
    """Return a trained D: Dense(1, H), activation, Dense(H, 1)."""
    activation, theta = WEIGHTS[name]
    hidden = (len(theta) - 1) // 3
    chain = [mg.Dense(1, hidden), activation, mg.Dense(hidden, 1)]
    D = Network(chain, rng=np.random.default_rng(0), dtype="float64")
    D.theta = np.array(theta) / 1024
    return discriminator(D, f"A trained {name} D")


for _name in WEIGHTS:
    _claim = claim_about(*PAIR, trained(_name), f"Trained.gap.{_name}")
    claim(
        _claim.id, _claim.statement, latex=_claim.latex, source=_claim.source, rigor=_claim.rigor, idea=_claim.idea,
        controls=_claim.controls, assumptions=_claim.assumptions,
    )(_claim.check)  # fmt: skip


# The layer expects a float.  On Fractions a float slope would turn them into floats, which decide nothing.
QUARTER = mg.LeakyReLU(Fraction(1, 4))  # type: ignore[arg-type]


def random_network(rng: np.random.Generator) -> Network:
    """Return a random network of one input, piecewise affine, whose weights are multiples of 1/8."""
    sizes = [1, *rng.integers(1, 5, size=int(rng.integers(1, 4))).tolist()]
    chain: list[Layer] = []
    for n_in, n_out in pairwise(sizes):
        if rng.random() < 0.3:
            chain.append(mg.Maxout(n_in, n_out, pieces=3))
        else:
            chain += [mg.Dense(n_in, n_out), mg.ReLU() if rng.random() < 0.6 else QUARTER]
    net = network([*chain, mg.Dense(sizes[-1], 1)], rng)
    net.theta = np.round(8 * net.theta) / 8
    return net


def exact_splits(proof: Proof, *, forget: int = 0) -> None:
    """Compare the pieces with the library's own forward pass in rationals, at breakpoints and at random points."""
    kinks = 0
    for k in range(proof.scale(quick=40, full=200, deep=1000)):
        net = random_network(proof.rng)
        pieces, count = affine_pieces(net)
        inner = Network(net.layers[:count], rng=np.random.default_rng(0), dtype=object, ops="reference")
        inner.theta = np.array([Fraction(v) for v in net.theta[: inner.theta.size].tolist()], dtype=object)
        pieces = _without_breakpoints(pieces, forget)
        kinks += len(pieces) - 1
        proof.holds(f"network {k}: every unit, on {len(pieces)} pieces", _agree(inner, pieces, proof.rng))
    proof.note("breakpoints", kinks)


def _agree(net: Network, pieces: list[Piece], rng: np.random.Generator) -> bool:
    """Whether the network is slope x + offset at the ends of each piece and at random points inside it.

    Its units are continuous and affine between their true breakpoints: with a breakpoint missing, some point differs.
    """
    for piece in pieces:
        middle = piece.inside()
        low = middle - 50 if piece.low is None else piece.low
        high = middle + 50 if piece.high is None else piece.high
        inside = [low + (high - low) * Fraction(int(k), 1024) for k in rng.integers(0, 1025, 6)]
        for x in [low, high, *inside]:
            y = net(np.array([[x]], dtype=object))[0].tolist()
            if require_exact(y) != require_exact([slope * x + offset for slope, offset in piece.units]):
                return False
    return True


def _without_breakpoints(pieces: list[Piece], count: int) -> list[Piece]:
    """Extend the first piece over the next `count`: their breakpoints are forgotten."""
    if not count or len(pieces) < 2:
        return pieces
    cut = pieces[: count + 1]
    return [Piece(cut[0].low, cut[-1].high, cut[0].units), *pieces[count + 1 :]]


claim(
    "Trained.split.breakpoints",
    "The logit of a piecewise affine D of one input is split exactly: it equals its lines at and between breakpoints.",
    latex=r"s(x) = \alpha_k x + \beta_k \text{ for } x_k \le x \le x_{k+1},\quad x_k, \alpha_k, \beta_k \in \mathbb Q",
    source=Source(GOODFELLOW, "Proposition 1", "minigan", "layers.ReLU, LeakyReLU, Maxout"),
    rigor="exact-rational",
    idea="Random networks; the library's forward pass runs on Fractions and must agree to the last digit.",
    assumptions=("at the breakpoints, and at six rational points of each piece",),
    controls={"one breakpoint is forgotten": partial(exact_splits, forget=1)},
)(exact_splits)
