"""The parts of tables: protocols, statistics, and the page that is made from table.json."""

import json
import re
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tables import COLUMNS, SMALL, in_turn_fixture, no_figures_fixture, tiny  # noqa: F401  (fixtures)

from minigan._names import ConfigError
from minigan.recipes import RECIPES
from minigan.tables import PROTOCOLS, Column, Control, Ours, Published, modes
from minigan.tables.measures import number_at
from minigan.tables.page import page
from minigan.tables.protocol import SPREADS
from minigan.tables.protocols import PARZEN_CONTROLS
from minigan.tables.report import Plan, table_data
from minigan.tables.statistics import statistics
from minigan.tables.task import differences
from minigan.training.files import jsonable

finite = st.floats(-1e6, 1e6, allow_nan=False)


class TestProtocols:
    @pytest.mark.parametrize("protocol", PROTOCOLS.values(), ids=PROTOCOLS)
    def test_each_can_be_trained_and_has_sources(self, protocol):
        for row in protocol.rows:
            assert row.recipe in RECIPES
            settings = row.settings(iterations=3)
            assert settings["iterations"] == 3
            assert {key: row.settings()[key] for key in row.overrides} == row.overrides
        for row in protocol.published:
            assert re.search(r"arXiv:\d{4}\.\d{5}|arXiv:1406\.2661|docs/[\w/-]+\.md", row.source), row.source
            assert all(re.search(r"\d", figure) for figure in row.figures.values())
            for page_of_docs in re.findall(r"docs/[\w/-]+\.md", row.source):
                assert (Path(__file__).parent.parent / page_of_docs).is_file()
        assert protocol.name == protocol.name.lower()

    def test_published_settings_are_those_of_the_recipes(self):
        from minigan.recipes import mixtures

        assert modes.GAN_OF_2014 == mixtures.PUBLISHED

    def test_the_controls_of_parzen_are_those_of_the_evaluation(self):
        import minigan.evaluation.parzen as module

        source = Path(module.__file__).read_text()
        assert all(f'"{name}":' in source for name in PARZEN_CONTROLS.values())

    @pytest.mark.parametrize(
        ("changes", "message"),
        [
            ({"rows": ()}, "rows of tiny: got .*expected different ones, at least one"),
            ({"rows": tiny().rows * 2}, "expected different ones"),
            ({"columns": ()}, "columns of tiny"),
            ({"spread": "standard eror"}, "unknown spread 'standard eror' .did you mean 'standard error'"),
            ({"seeds": 0}, "seeds of tiny must be >= 1, got 0"),
            ({"published": (Published("x", {"jds": "1"}, "y"),)}, "x: unknown column 'jds' .did you mean 'jsd'"),
            ({"controls": (Control("x", {"jds": "summary.y"}),)}, "x: unknown column 'jds'"),
            ({"controls": (Control("x", {}, label="our"),)}, "x: unknown row 'our' .did you mean 'ours'"),
        ],
    )
    def test_mistakes(self, changes, message):
        with pytest.raises(ConfigError, match=message):
            tiny(**changes)

    @pytest.mark.parametrize("label", ["", "GAN", "a b", "a--b", "../x", "a.b"])
    def test_labels_are_names_of_folders(self, label):
        with pytest.raises(ConfigError, match="expected lower-case letters, digits and hyphens"):
            Ours(label, "x", "gaussian")

    @pytest.mark.parametrize("key", ["modes", "summary", "summary.", "sumary.modes"])
    def test_keys_of_columns(self, key):
        with pytest.raises(ConfigError, match=r"expected summary.\* or evaluation.\*"):
            Column("modes", "modes", key)

    def test_a_wrong_override_is_told(self):
        with pytest.raises(ConfigError, match="unknown setting of gaussian 'lrr'"):
            Ours("ours", "x", "gaussian", {"lrr": 1}).settings()
        with pytest.raises(ValueError, match="unknown recipe 'gausian'"):
            Ours("ours", "x", "gausian").settings()

    def test_rows_keep_the_order_of_the_protocol(self):
        assert [row.label for row in tiny().chosen(["fast", "ours", "fast"])] == ["ours", "fast"]


@given(st.lists(finite, min_size=1, max_size=20))
def test_statistics(values):
    found = statistics(values)
    assert found["mean"] == pytest.approx(np.mean(values), abs=1e-9)
    assert (found["min"], found["max"]) == (min(values), max(values))
    assert ("standard error" in found) == (len(values) > 1)
    if len(values) > 1:
        assert found["standard deviation"] == pytest.approx(np.std(values, ddof=1), rel=1e-9, abs=1e-9)
        assert found["standard error"] ** 2 * len(values) == pytest.approx(found["standard deviation"] ** 2)


@given(st.recursive(finite, lambda inner: st.dictionaries(st.from_regex(r"\A[a-z_]+\Z"), inner, max_size=4)))
def test_every_number_has_its_key(tree):
    def leaves(node, key):
        if isinstance(node, dict):
            for name, inner in node.items():
                yield from leaves(inner, f"{key}.{name}")
        else:
            yield key, node

    for key, value in leaves(tree, "summary"):
        assert number_at({"summary": tree}, key) == value


@st.composite
def tables(draw):
    """Tables with some failed and some missing runs."""
    protocol = tiny(
        seeds=draw(st.integers(1, 3)),
        spread=draw(st.sampled_from(SPREADS)),
        notes=draw(st.sampled_from([(), ("A | b.",)])),
    )
    results = {}
    for row in protocol.rows:
        for seed in range(protocol.seeds):
            state = draw(st.sampled_from(["completed", "stopped early", "failed", "diverged", "missing"]))
            one = {"label": row.label, "seed": seed, "status": state, "cpu_seconds": 1.5, "history": []}
            if state in ("failed", "diverged"):
                results[row.label, seed] = {**one, "error": "planted | error"}
            elif state != "missing":
                values = {column.name: draw(finite) for column in COLUMNS}
                results[row.label, seed] = {**one, "values": values, "controls": {}}
    return protocol, results


@given(tables())
def test_the_page_is_made_from_the_json_and_shows_all_of_it(made):
    protocol, results = made
    plan = Plan(protocol, protocol.rows, protocol.seeds)
    settings = {row.label: {"recipe": row.recipe, **row.settings()} for row in protocol.rows}
    data = jsonable(table_data(plan, settings, results, seconds=2.0, workers=2, earlier={}))
    text = page(data)
    assert page(json.loads(json.dumps(data))) == text
    lines = [line for line in text.splitlines() if line.startswith("| ")]
    assert len({len(re.findall(r"(?<!\\)\|", line)) for line in lines}) == 1  # equally many cells
    assert len(lines) == 2 + len(protocol.rows) + len(protocol.published)
    for row in data["rows"]:
        cells = next(line for line in lines if f"**{row['title']}**" in line).split("|")
        assert row["runs"] + row["missing"] + len(row["failures"]) == protocol.seeds
        for column, cell in zip(COLUMNS, cells[2:], strict=False):
            values = [one["values"][column.name] for (label, _), one in results.items()
                      if label == row["label"] and "values" in one]  # fmt: skip
            if not values:
                assert not cell.strip()
                continue
            scale = 100 if column.percent else 1
            shown = [float(part) for part in cell.split("±")]
            tolerance = 0.51 * 10**-column.digits
            assert shown[0] == pytest.approx(scale * np.mean(values), abs=tolerance)
            if len(values) > 1:
                spread = np.std(values, ddof=1) / (1 if protocol.spread == SPREADS[1] else np.sqrt(len(values)))
                assert shown[1] == pytest.approx(scale * spread, abs=tolerance)
    assert text.count("planted") == data["failures"]
    assert ("Not complete" in text) == any(row["missing"] for row in data["rows"])


def test_what_differs_between_hyper_parameters():
    now = Ours("ours", "x", "gaussian", SMALL).settings()
    assert differences("gaussian", now, now) == ""
    assert differences("gaussian", {**now, "lr": 2e-3, "hidden": 5}, now) == (
        "hidden was 5, is 10; lr was 0.002, is 0.001"
    )
    assert differences("gaussian", {key: now[key] for key in SMALL}, now) == ""  # the others have their defaults
    assert "unknown setting of gaussian 'lrr'" in differences("gaussian", {**now, "lrr": 1}, now)


def test_the_protocol_of_the_docs(in_turn, capsys):
    text = (Path(__file__).parent.parent / "docs/tables.md").read_text()
    block = re.search(r"(?:^    .*\n|^\n)*^    print\(make_table.*\n", text, re.M)[0]
    code = "\n".join(line[4:] for line in block.splitlines())
    assert code.count("make_table(protocol, log=print)") == 1
    exec(code.replace("make_table(protocol", "make_table(protocol, seeds=1, iterations=2"), {})  # noqa: S102
    assert in_turn == [("small", 0), ("large", 0)]
    assert "| **1e-2**" in capsys.readouterr().out


def test_the_docs_list_every_protocol():
    text = (Path(__file__).parent.parent / "docs/tables.md").read_text()
    for name, protocol in PROTOCOLS.items():
        assert re.search(rf"^\| [^|]*`{name}`[^|]* \| {protocol.seeds} \|", text, re.M)
