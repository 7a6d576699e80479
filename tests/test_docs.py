"""The documentation is correct: its code runs, its commands parse, its links exist."""

import re
from pathlib import Path

import pytest

import minigan
from minigan.cli.parser import build_parser
from minigan.cli.support import parse_overrides
from minigan.recipes import RECIPES

ROOT = Path(minigan.__file__).parent.parent
PAGES = [ROOT / name for name in ("README.md", "CONTRIBUTING.md", "CHANGELOG.md")] + sorted(
    (ROOT / "docs").rglob("*.md")
)


def test_the_readmes_example_runs_and_learns():
    blocks = re.findall(r"```python\n(.*?)```", (ROOT / "README.md").read_text(), re.S)
    example = next(block for block in blocks if "discriminator_step" in block)
    names = {}
    exec(example, names)  # noqa: S102
    assert names["G"].theta.shape == (2,)
    assert names["adam_D"].t == 8000
    assert abs(names["G"].theta[1] - 4) < 0.2  # "close to 4"


def test_the_readmes_layer_is_the_librarys():
    shown = next(
        b for b in re.findall(r"```python\n(.*?)```", (ROOT / "README.md").read_text(), re.S) if "class Dense" in b
    )
    source = (ROOT / "minigan/layers/dense.py").read_text()
    body = [
        line.strip()
        for line in shown.splitlines()
        if line.strip() and not line.strip().startswith(("class", '"""', "def"))
    ]
    for line in body:
        assert line in source


def test_the_readme_has_every_recipe_with_its_parameters():
    text = (ROOT / "README.md").read_text()
    for recipe in RECIPES.values():
        config = recipe.Config()
        if set(recipe.players(config)) == {"G", "D"}:
            counts = [f"{net.theta.size + net.state_size:,}" for net in recipe.networks(config)]
            assert re.search(rf"^\| `{recipe.name}` \| .* \| {' / '.join(counts)} \|$", text, re.M), recipe.name
        else:
            assert f"`{recipe.name}`" in text


def test_the_readme_links_every_page():
    text = "".join((ROOT / name).read_text() for name in ("README.md", "CONTRIBUTING.md"))
    for page in (ROOT / "docs").glob("*.md"):
        assert f"(docs/{page.name})" in text, page.name


@pytest.mark.parametrize("page", PAGES, ids=lambda p: p.name)
def test_links_and_pictures_exist(page):
    prose = re.sub(r"^```.*?^```", "", page.read_text(), flags=re.S | re.M)  # in code, ](...) may be a lambda
    for target in re.findall(r"\]\(([^)#]+)\)", prose):
        if "://" not in target:
            assert (page.parent / target).exists(), target


@pytest.mark.parametrize("page", PAGES, ids=lambda p: p.name)
def test_commands_parse(page):
    for line in re.findall(r"^ {4}(?:\.venv/bin/)?minigan (.*)$|`minigan ([a-z]+ [^`]*)`", page.read_text(), re.M):
        words = (line[0] or line[1]).split("#")[0].split()
        if words[0] == "verify":
            from verify.cli import build_parser as build_verify_parser

            assert build_verify_parser("minigan verify").parse_args(words[1:]).act
            continue
        args = build_parser().parse_args(words)
        if hasattr(args, "overrides"):
            from minigan.recipes import get_recipe

            get_recipe(args.recipe).configure(parse_overrides(args))
