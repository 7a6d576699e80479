"""Balls as decimal text.  Rounding widens: what is printed holds what is stored."""

import math
from fractions import Fraction

from verify.arithmetic.balls import Enclosure

SHOWN = 110  # digits of a midpoint, at most
LONG, FLOAT = 40, 17  # an exact number of more characters is shown with as many digits as a float64 has
LARGE = 30_000  # binary exponents beyond this are not written out as fractions
MINUS = "\N{MINUS SIGN}"


def decimal(x: Enclosure, digits: int = SHOWN) -> str:
    """Return "midpoint ± radius", or the number itself if it is exact and short.

    >>> from flint import arb
    >>> decimal(Enclosure.of(arb("1.25", "1e-9"))), decimal(Enclosure.of(arb(-3) / 4)), decimal(Enclosure.of(arb(0, 2)))
    ('1.25000000 ± 1.01e-9', '-0.75', '0 ± 2.01')
    """
    text = str(x.arb().str(digits))
    if not text.startswith("[") and len(_short(text)) > LONG:
        text = str(x.arb().str(FLOAT))
    if not text.startswith("["):
        return _short(text)
    midpoint, _, radius = text.strip("[]").partition("+/-")
    return f"{midpoint.strip() or '0'} ± {radius.strip()}"


def _short(text: str) -> str:
    """Drop the zeros at the end of an exact decimal."""
    mantissa, mark, exponent = text.partition("e")
    if "." in mantissa:
        mantissa = mantissa.rstrip("0").rstrip(".")
    return mantissa + mark + exponent


def magnitude(x: Enclosure) -> float | None:
    """Return log10 |midpoint|, or None for 0.

    >>> magnitude(Enclosure((5, 1), (0, 0)))
    1.0
    """
    mantissa, exponent = x.mid
    return math.log10(abs(mantissa)) + exponent * math.log10(2) if mantissa else None


def bound(x: Enclosure) -> str:
    """Return a nonnegative exact number (a radius, a bound) in two digits, rounded up.

    >>> bound(Enclosure((5, -4), (0, 0))), bound(Enclosure((1, 0), (0, 0))), bound(Enclosure((0, 0), (0, 0)))
    ('3.2e-1', '1.0e0', '0')
    """
    size = magnitude(x)
    if size is None:
        return "0"
    mantissa, exponent = abs(x.mid[0]), x.mid[1]
    if abs(exponent) > LARGE:
        return f"1e{math.ceil(size + 1e-6)}"
    value, power = Fraction(mantissa) * Fraction(2) ** exponent, math.floor(size)
    tenths = math.ceil(value / Fraction(10) ** (power - 1))
    if tenths >= 100:
        tenths, power = math.ceil(Fraction(tenths, 10)), power + 1
    return f"{tenths // 10}.{tenths % 10}e{power}"


def exact_digits(text: str) -> float:
    """Return -log10 of a positive decimal text such as a tolerance.

    >>> exact_digits("1e-30"), round(exact_digits("2e-13"), 3)
    (30.0, 12.699)
    """
    value = Fraction(text)
    return math.log10(value.denominator) - math.log10(value.numerator)


def powers(text: str) -> str:
    r"""Return 1.3e-31 as 1.3 × 10⁻³¹ (without a place to break the line), 1e-30 as 10⁻³⁰; other texts unchanged.

    >>> powers("1.3e-31") == "1.3\N{NO-BREAK SPACE}×\N{NO-BREAK SPACE}10⁻³¹", powers("1e-30"), powers("1.5e0")
    (True, '10⁻³⁰', '1.5')
    """
    mantissa, mark, exponent = text.partition("e")
    if not mark or not exponent.lstrip("+-").isdigit():
        return text
    if int(exponent) == 0:
        return mantissa
    raised = str(int(exponent)).translate(str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹"))
    return f"10{raised}" if mantissa == "1" else f"{mantissa}\N{NO-BREAK SPACE}×\N{NO-BREAK SPACE}10{raised}"


def spelled(x: Enclosure, digits: int = SHOWN) -> str:
    r"""Return a ball as the page shows it: "midpoint ± radius" with the radius as a power of ten.

    >>> from flint import arb
    >>> spelled(Enclosure.of(arb("1.25", "1e-9"))).replace("\N{NO-BREAK SPACE}", " ")
    '1.25000000 ± 1.01 × 10⁻⁹'
    """
    midpoint, mark, radius = decimal(x, digits).partition(" ± ")
    return f"{midpoint} ±\N{NO-BREAK SPACE}{powers(radius)}" if mark else midpoint


def seconds(x: float) -> str:
    """Return a duration.

    >>> seconds(0.0312), seconds(12.34), seconds(754.2)
    ('0.03 s', '12.3 s', '12 min 34 s')
    """
    if x < 1:
        return f"{x:.2f} s"
    if x < 60:
        return f"{x:.1f} s"
    return f"{round(x) // 60} min {round(x) % 60} s"
