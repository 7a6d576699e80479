"""What is stored of the benchmarks and shown on the page: short, with the sums and the instruction sets kept."""

import itertools
import json
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from benchmarks.core import checks, measure
from benchmarks.cpu import breakdown
from benchmarks.report import breakdown as breakdown_section
from benchmarks.report import page, parts, sets
from benchmarks.report import steps as steps_section

positive = st.floats(1e-9, 1e3)


@given(st.floats(allow_nan=False, allow_infinity=False), st.integers(1, 17))
def test_rounded_has_n_significant_digits(x, n):
    found = measure.rounded({"a": [x, 3, "text", None, True]}, n)
    assert found["a"][1:] == [3, "text", None, True]
    assert abs(found["a"][0] - x) <= 0.51 * 10.0 ** (1 - n) * abs(x) + math.ulp(x)
    assert measure.rounded(found, n) == found


@st.composite
def measured(draw):
    """A case with limits, as the benchmark computes it."""
    groups = st.sampled_from([group for group in breakdown.GROUPS if group != breakdown.REST])
    rows = draw(
        st.lists(
            st.tuples(groups, st.integers(1, 50), positive, st.floats(0, 1e12), st.floats(0, 1e9)),
            min_size=1,
            max_size=9,
        )
    )
    keys = ("group", "calls", "seconds", "operations", "bytes")
    found = {
        "seconds": draw(st.floats(0.5, 2)) * sum(row[2] for row in rows),
        "rows": [{"name": f"operation {i}", **dict(zip(keys, row, strict=True))} for i, row in enumerate(rows)],
    }
    breakdown.add_limits(found, {"product": 1e9, "copy": 1e9, "copies": []})
    return found


@given(measured())
def test_small_rows_are_summed(found):
    least = breakdown.MIN_SHARE * found["seconds"]
    short = breakdown.shortened(found)
    named = {row["name"]: row for row in found["rows"] if row["seconds"] >= least}
    assert [row["name"] for row in short["rows"] if row["name"] != breakdown.OTHER] == list(named)
    for row in short["rows"]:
        if row["name"] in named:
            one = {key: named[row["name"]][key] for key in ("calls", "seconds", "limit")}
            assert {**row} == {"name": row["name"], **measure.rounded(one, breakdown.DIGITS)}
    for key in ("calls", "seconds", "limit"):
        total = sum(row[key] for row in found["rows"])
        assert sum(row[key] for row in short["rows"]) == pytest.approx(total, rel=1e-3)
    for name, group in found["groups"].items():
        assert short["groups"][name] == pytest.approx({key: group[key] for key in ("seconds", "limit")}, rel=1e-3)
    assert (short["rows"][-1]["name"] == breakdown.OTHER) == (len(named) < len(found["rows"]))


def test_the_stored_operations_are_short():
    paths = sorted(measure.RESULTS.glob("breakdown*.json"))
    assert paths
    for path in paths:
        result = json.loads(path.read_text())
        assert result == {
            **result,
            **{key: measure.rounded(result[key], breakdown.DIGITS) for key in ("cases", "ceilings")},
        }
        for key in ("cases", "numpy_cases"):
            for one in result[key].values():
                assert set(one) == {"seconds", "rows", "groups"}
                small = [
                    row["name"] for row in one["rows"] if row["seconds"] < 0.999 * breakdown.MIN_SHARE * one["seconds"]
                ]
                assert set(small) <= {breakdown.OTHER}
                whole = sum(row["seconds"] for row in one["rows"]) + one["groups"][breakdown.REST]["seconds"]
                assert whole >= 0.999 * one["seconds"]


def test_the_page_is_short_and_begins_with_the_summary():
    text = page.page()
    assert len(text) < 100_000
    headings = [line for line in text.splitlines() if line.startswith("## ")]
    assert headings[:3] == [
        "## Summary: a whole iteration of each recipe",
        "## The first iteration",
        "## Where the time goes",
    ]
    assert headings[-1] == "## Details"
    assert text.count("<details>") == text.count("</details>") == text.count("<summary>")


def test_every_row_of_a_table_has_the_cells_of_its_head():
    lines = page.page().splitlines()
    for before, line in itertools.pairwise(lines):
        if before.startswith("|") and line.startswith("|"):
            assert before.count("|") == line.count("|"), (before, line)


def case(seconds, rows, rest):
    groups = {"products": {"seconds": sum(t for _, t, _ in rows), "limit": sum(limit for *_, limit in rows)}}
    groups[breakdown.REST] = {"seconds": rest, "limit": 0.0}
    return {
        "seconds": seconds,
        "rows": [{"name": name, "calls": 2.0, "seconds": t, "limit": limit} for name, t, limit in rows],
        "groups": groups,
    }


def both():
    """Results of two instruction sets on one case; the second has an operation that the first has not."""
    native = {"cases": {"a": case(5e-3, [("x W", 2e-3, 1e-3), (breakdown.OTHER, 1e-3, 0.0)], 2e-3)}}
    avx2 = {"cases": {"a": case(9e-3, [("x W", 4e-3, 3e-3), ("tanh", 3e-3, 0.0), (breakdown.OTHER, 1e-3, 1e-6)], 1e-3)}}
    for result, numba in ((native, "AVX-512 (znver5)"), (avx2, "AVX2 (znver3)")):
        result["instruction_set"] = {"observed": {"numba": numba}}
    return {"native": native, "avx2": avx2}


def test_operations_of_both_sets_are_side_by_side():
    assert breakdown_section.operations(both(), "a") == [
        "| operation | calls | AVX-512, ms | AVX2, ms |",
        "|---|--:|--:|--:|",
        "| x W | 2 | 2 (50 %) | 4 (75 %) |",
        "| tanh | 2 |  | 3 |",
        "| other | 2 | 1 | 1 (0 %) |",
        f"| {breakdown.REST} |  | 2 | 1 |",
    ]


def test_groups_of_both_sets_are_below_each_other():
    assert breakdown_section.groups(both(), "cases") == [
        f"| recipe | instructions | all | products | {breakdown.REST} |",
        "|---|---|--:|--:|--:|",
        "| a | AVX-512 | 5 (1) | 3 (1) | 2 |",
        "| a | AVX2 | 9 (3) | 8 (3) | 1 |",
    ]


def test_the_ranges_of_ratios_name_the_recipes():
    cases = {name: {"ratio": {"minigan": x}, "ratio_to_jax": {}} for name, x in (("a", 3.0), ("b", 0.5), ("c", 2.0))}
    found = steps_section.ranges("avx2", {"cases": cases})
    assert found == ["- AVX2: fastest PyTorch / minigan 0.50 (`b`) to 3.00 (`a`), median 2.00."]
    assert steps_section.ranges("avx2", {"cases": {"a": {}}}) == []


def test_a_single_round_has_no_range():
    assert parts.span(measure.spread([2.0])) == "2"
    assert parts.span(measure.spread([2.0, 1.0, 3.0])) == "2 (1 ... 3)"


def test_equal_machines_are_named_once():
    native, avx2 = (json.loads((measure.RESULTS / f"steps{end}.json").read_text()) for end in ("", "-avx2"))
    assert len(sets.provenances({"native": native, "avx2": native})) == 1
    other = {**avx2, "date": "2000-01-01"}
    assert len(sets.provenances({"native": native, "avx2": other})) == 3  # an empty line between


def test_the_worst_difference_of_all_checks():
    common = {"iterations": 2, "dtype": "float64", "settings": {}}
    one = {**common, "against_reference": {"numpy": 1.234e-10, "compiled": 3e-12}, "against_torch": {"nchw": 1e-9}}
    two = {**common, "against_reference": {"numpy": 1e-16}, "against_torch": {"nchw": 2e-9}, "against_jax": "absent"}
    largest = {"against_reference": 1.2e-10, "against_torch": 2e-9, "against_jax": "absent"}
    assert checks.worst({"a": one, "b": two}) == {"iterations": 2, "dtype": "float64", **largest}
    sentence = steps_section.check_sentence(checks.worst({"a": one, "b": two}))
    assert "reference backend to 1.2e-10, with PyTorch to 2.0e-09." in sentence
