"""LaTeX as MathML."""

from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st
from reporting import read

from verify import load_claims
from verify.report.latex import mathml
from verify.report.tokenizer import LatexError

ARGUMENTS = {"mfrac": 2, "msub": 2, "msup": 2, "msubsup": 3, "munder": 2, "mover": 2, "munderover": 3, "mroot": 2}


def draw(latex):
    """Return the tree, after checking that every MathML element has as many children as it needs."""
    root = read(mathml(latex))
    for element in root.all():
        if element.name in ARGUMENTS:
            assert len(element.children) == ARGUMENTS[element.name], latex
    return root


@pytest.mark.parametrize(
    ("latex", "shown"),
    [
        (r"C(G) = -\log 4 + 2\,\mathrm{JSD}(p \,\|\, q) \ge -\log 4", "C(G)=−log4+2JSD(p‖q)≥−log4"),
        (r"D^*_G(x) = \frac{p(x)}{p(x)+q(x)}", "DG∗(x)=p(x)p(x)+q(x)"),
        (r"\tfrac12 \mathrm{TV}^2", "12TV2"),
        (r"\sqrt[3]{x} + \sqrt y", "x3+y"),
        (r"f''(y) < 0", "f′′(y)<0"),
        (r"\begin{cases} a & x < 0 \\ b & \text{if } x \ge 0 \end{cases}", "{ax<0bif\N{NO-BREAK SPACE}x≥0"),
        (r"\mathbb E_z \bar y, \mathcal{N}(0, 1), A^{\mathsf T}", "𝔼zy¯,𝒩(0,1),AT"),
        (r"\operatorname*{argmax}_{y \in (0,1)} \{a \log y\}", "argmaxy∈(0,1){alogy}"),
        (r"\left\| \frac a b \right\|_2", "‖ab‖2"),
        ("p ≥ q", "p≥q"),
    ],
)
def test_formulas(latex, shown):
    assert draw(latex).text == shown


def test_a_minus_is_a_sign_or_an_operation():
    gaps = [mo["lspace"] for mo in draw("-a - b = -c").all("mo") if mo.text == "−"]
    assert gaps == ["0", "0.22em", "0"]


def test_it_breaks_before_relations_and_after_commas_outside_brackets():
    assert [math.text for math in draw(r"f(x = 1) = a, \quad b \le c").all("math")] == ["f(x=1)", "=a,", "b", "≤c"]


@pytest.mark.parametrize(
    "latex", [r"\unknown", "{a", "a^b^c", r"\begin{tabular} a \end{tabular}", r"\left( a", "a_", r"\frac a"]
)
def test_what_is_not_known_is_an_error_that_names_the_formula(latex):
    with pytest.raises(LatexError) as caught:
        mathml(latex)
    assert repr(latex) in str(caught.value)


@given(st.text(alphabet="ab12{}^_'\\ ()[]|,=-+&<%~$", max_size=20))
def test_any_text_is_drawn_or_refused(text):
    with suppress(LatexError):
        draw(text)


def test_the_formula_of_every_claim_can_be_drawn():
    for claim in load_claims():
        draw(claim.latex)
