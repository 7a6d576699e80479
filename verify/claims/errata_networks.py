r"""Claims: errata E20, E22, E24 and E26, about the numbers in the documents' networks and training runs.

These of E1 to E26 state no formula and have no claim:
E18 (which prior, and when -log D was used: history), E19 (what the original paper pretrained: history),
E21 (an initial value and a missing layer: a choice, compared in the recipes), E23 (names used before they are defined),
E25 (an index in a plot, and which mode the fakes are made in).  Of E12, "g(z) = p_g" for "g(z) ~ p_g" is notation.
E26 is a measurement over seeds; the part of it that is arithmetic is here.
"""

from fractions import Fraction

from flint import fmpq_poly

from verify.arithmetic.decide import require_exact
from verify.engine.proof import Proof
from verify.engine.registry import Source, claim

# E20: transposed convolution against upsampling and convolution.  A signal is a polynomial in z.
#   stride-2 transposed convolution with kernel W:    y(z) = x(z^2) W(z)
#   nearest upsampling by 2, then a kernel w:         y(z) = x(z^2) (1 + z) w(z)


def transposed(x: list[int], kernel: list[int]) -> list[int]:
    """Return y with y[2i + k] += x[i] W[k]."""
    y = [0] * (2 * len(x) + len(kernel) - 2)
    for i, value in enumerate(x):
        for k, weight in enumerate(kernel):
            y[2 * i + k] += value * weight
    return y


def upsampled(x: list[int], kernel: list[int]) -> list[int]:
    """Return the full convolution with w of x with each value repeated."""
    twice = [value for value in x for _ in range(2)]
    y = [0] * (len(twice) + len(kernel) - 1)
    for i, value in enumerate(twice):
        for k, weight in enumerate(kernel):
            y[i + k] += value * weight
    return y


def _superset(proof: Proof, equivalent: bool) -> None:
    box, same, divisible = fmpq_poly([1, 1]), True, list[bool]()
    for _ in range(proof.scale(quick=200, full=400, deep=800)):
        x, w = ([int(k) for k in proof.rng.integers(-9, 10, n)] for n in (6, 3))
        kernel = box * fmpq_poly(w)
        taps = [int(kernel[k].p) for k in range(4)]
        same &= require_exact(transposed(x, taps)) == require_exact(upsampled(x, w))
        random_kernel = fmpq_poly([int(k) for k in proof.rng.integers(-9, 10, 4)])
        divisible.append(random_kernel(-1) == 0)  # 1 + z divides it
    proof.holds("upsampling and w = transposed convolution with (1 + z) w, exactly", same)
    delta = fmpq_poly([1, 0, 0, 0])(-1) == 0
    if equivalent:
        proof.holds("every kernel of 4 taps is (1 + z) w", delta and all(divisible))
    else:
        proof.holds("the kernel (1, 0, 0, 0) is not (1 + z) w for any w: 1 does not vanish at z = -1", not delta)


@claim(
    "E20.superset",
    "Upsampling by 2 and 3 taps is a stride-2 transposed convolution with 4 taps; the converse is false",
    latex=r"\{(1 + z)\, w(z)\} \subsetneq \{W(z)\}",
    source=Source(document="S5", place="Conv2dTranspose"),
    rigor="exact-rational",
    idea="As polynomials: the first multiply x(z^2) by (1 + z) w(z), the second by any W(z); exact on integers.",
    controls={"they are equivalent": lambda proof: _superset(proof, equivalent=True)},
    assumptions=("in one dimension; in two it holds along each axis",),
)
def e20_superset(proof: Proof) -> None:
    """One inclusion holds, the other does not."""
    _superset(proof, equivalent=False)


# Parameter counts.


def dense(n_in: int, n_out: int) -> int:
    """Return the number of parameters of a Dense layer: n_in n_out + n_out."""
    return n_in * n_out + n_out


def conv(kernel: int, n_in: int, n_out: int) -> int:
    """Return the number of parameters of a convolution or its transpose: kernel^2 n_in n_out + n_out."""
    return kernel**2 * n_in * n_out + n_out


def norm(channels: int) -> int:
    """Return the number of parameters of batch norm: gamma, beta and two running statistics."""
    return 4 * channels


def _dense_share(proof: Proof, at_most: Fraction) -> None:
    first = dense(100, 7 * 7 * 2048)
    rest = conv(3, 128, 128) + norm(128) + conv(3, 128, 64) + norm(64) + conv(3, 64, 1)
    total = require_exact(first + rest)
    proof.holds("G of S3 has 10,358,273 parameters", total == 10_358_273)
    proof.note("share of the Dense layer", f"{first} of {total}")
    proof.holds("the Dense layer has 97.8 % of them (to a tenth)", round(Fraction(1000 * first, total)) == 978)
    proof.holds(f"and at least {float(at_most):.3f}", Fraction(first, total) >= require_exact(at_most))


@claim(
    "E22.dense-share",
    "S3 quotes the rule against fully connected layers, but one Dense layer holds 97.8 % of its generator's parameters",
    latex=r"\frac{100 \cdot 100352 + 100352}{10358273} = 0.978\ldots",
    source=Source(document="S3", place="the generator"),
    rigor="exact-rational",
    idea="Parameters counted layer by layer.",
    controls={"more than 97.9 %": lambda proof: _dense_share(proof, Fraction(979, 1000))},
)
def e22_dense_share(proof: Proof) -> None:
    """The count."""
    _dense_share(proof, Fraction(978, 1000))


def _channels(proof: Proof, first: int, second: int, third: int) -> None:
    total = dense(100, 9800) + norm(9800)
    total += conv(5, 200, first) + norm(first) + conv(3, first, second) + norm(second)
    total += conv(3, second, third) + norm(third) + conv(3, third, 1)
    proof.note("parameters", total)
    proof.holds("the printed 1,586,351 parameters", require_exact(total) == 1_586_351)


@claim(
    "E24.channels",
    "depth/2, depth/4, depth/8 are 100, 50, 25 channels (with the printed 1,586,351 parameters), not 128, 64, 32",
    latex=r"200 \to 100 \to 50 \to 25",
    source=Source(document="S5", place="the generator and its summary"),
    rigor="exact-rational",
    idea="Parameters counted layer by layer, against the printed total; the quotients must be whole: 200 // 2.",
    controls={"the comments' 128, 64, 32": lambda proof: _channels(proof, 128, 64, 32)},
)
def e24_channels(proof: Proof) -> None:
    """The count."""
    _channels(proof, 200 // 2, 200 // 4, 200 // 8)


def _reach(proof: Proof, iterations: int) -> None:
    beta1, beta2, g = Fraction(9, 10), Fraction(999, 1000), Fraction(-3, 7)
    m, v, exact = Fraction(0), Fraction(0), True
    for t in range(1, 51):
        m, v = beta1 * m + (1 - beta1) * g, beta2 * v + (1 - beta2) * g**2
        exact &= require_exact(m / (1 - beta1**t)) == g and require_exact(v / (1 - beta2**t)) == g**2
    proof.holds("Adam on a constant gradient: m^ = g and v^ = g^2 exactly, so each step is the learning rate", exact)
    way = iterations * 10 * Fraction(1, 1000)
    proof.note(f"{iterations} iterations of 10 updates of 1e-3 move b by", way)
    proof.holds("b does not reach 4", require_exact(way) < 4)


@claim(
    "E26.reach",
    "On a constant gradient Adam moves b by 1e-3 an update: 200 iterations of 10 updates go 2 of the way to 4",
    latex=r"200 \cdot 10 \cdot 10^{-3} = 2 < 4",
    source=Source(document="S1", place="iterations = 200"),
    rigor="exact-rational",
    idea="Bias-corrected moments of a constant gradient are g and g^2, in rationals; then a product.",
    controls={"nor do 1,000 iterations": lambda proof: _reach(proof, 1000)},
    assumptions=("a constant gradient, and Adam's eps taken as 0: an idealisation, not a bound for every run",),
)
def e26_reach(proof: Proof) -> None:
    """The distance that 2,000 updates cover."""
    _reach(proof, 200)
