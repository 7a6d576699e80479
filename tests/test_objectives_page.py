"""docs/objectives.md names every objective, and its formulas of the f-GAN family are the library's."""

import dataclasses
import re
from pathlib import Path

import numpy as np
import pytest

import minigan as mg
from minigan.losses import DIVERGENCES, OBJECTIVES
from minigan.recipes import RECIPES

PAGE = (Path(__file__).parents[1] / "docs" / "objectives.md").read_text()
FUNCTIONS = {
    "e": np.e,
    "sqrt": np.sqrt,
    "log": np.log,
    "max": np.maximum,
    "sigma": lambda s: 1 / (1 + np.exp(-s)),
    "softplus": lambda s: np.logaddexp(0, s),
}


def computed(text, **values):
    """Evaluate a formula of the page."""
    text = text.replace("^", "**").replace("log u", "log(u)").replace("log 2", "log(2)").replace(") log(", ") * log(")
    text = re.sub(r"\b(u|2) (log|sqrt|e|s)", r"\1 * \2", text)
    return eval(text, {"__builtins__": {}}, {**FUNCTIONS, **values})  # noqa: S307


def cells(name):
    line = next(x for x in PAGE.splitlines() if x.startswith(f"| `f-gan-{name}` | "))
    return [cell.strip() for cell in line.strip("|").split(" | ")]


def test_every_objective_has_a_row_with_its_class():
    for name, make in OBJECTIVES.items():
        kind = type(make()).__name__
        row = "f-gan-..." if name.startswith("f-gan-") else name
        assert re.search(rf"^\| `{row}` \| `{kind}", PAGE, re.M), name
        assert f"| `{name}` |" in PAGE
    assert set(DIVERGENCES) == set(re.findall(r"^\| `f-gan-([a-z-]+)`", PAGE, re.M))


def test_the_page_says_which_recipes_have_no_choice_of_the_objective():
    without = re.search(r"All recipes but (.*?) have the settings\s+`objective` and `clip`", PAGE, re.S)[1]
    fields = {name: {f.name for f in dataclasses.fields(recipe.Config)} for name, recipe in RECIPES.items()}
    assert set(re.findall(r"`([a-z0-9-]+)`", without)) == {
        n for n, f in fields.items() if not f >= {"objective", "clip"}
    }


@pytest.mark.parametrize("name", DIVERGENCES)
def test_the_formulas_of_the_family(name):
    """f* of g_f is the last but one column, f* the conjugate of f, and D and the costs are the library's."""
    _, f, activation, conjugate, both, probability = cells(name)
    objective = mg.FGAN(name)
    u = np.linspace(1e-4, 60, 400_000)
    for value in (-1.5, -0.3, 0.4, 1.7):
        s = np.array([value])
        t = computed(activation, s=value)
        assert objective.one_side(s, real=True)[0] == pytest.approx(-t, rel=1e-12, abs=1e-14)
        assert objective.one_side(s, real=False)[0] == pytest.approx(computed(both, s=value), rel=1e-12)
        assert computed(conjugate, t=t) == pytest.approx(computed(both, s=value), rel=1e-9)
        assert (u * t - computed(f, u=u)).max() == pytest.approx(computed(both, s=value), rel=1e-5, abs=1e-6)
        formula, _, r = probability.partition(", r = ")
        shown = computed(formula, s=value, r=computed(r, s=value) if r else None)
        assert objective.probability(s)[0] == pytest.approx(shown, rel=1e-12)
