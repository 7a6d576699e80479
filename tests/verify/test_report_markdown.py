"""The Markdown matrix."""

import re
from pathlib import Path

from reporting import everything

from verify import load_claims
from verify.report import matrix_markdown
from verify.report.markdown import escaped


def tables(text):
    """Return the cells of each table, without its head."""
    blocks = [block.splitlines() for block in text.split("\n\n") if block.startswith("|")]
    return [[[cell.strip() for cell in re.split(r"(?<!\\)\|", line)[1:-1]] for line in block] for block in blocks]


def test_matrix():
    text = matrix_markdown(everything())
    counts, rows = tables(text)
    assert text.startswith(
        "5 of 8 claims proved, 1 unguarded, 1 undecided, 1 refuted; 7 of 8 negative controls refuted.\n"
    )
    assert text.endswith("|\n")
    assert counts[0] == ["rigor", "proved", "unguarded", "undecided", "refuted", "all"]
    assert counts[2] == ["symbolic", "1", "–", "–", "–", "1"]
    assert counts[3] == ["ball", "3", "1", "1", "1", "6"]
    assert {len(row) for row in rows} == {7}
    assert [row[0] for row in rows[2:]] == [f"`{one.id}`" for one in everything()]
    by_id = {row[0].strip("`"): row for row in rows[2:]}
    assert by_id["A.proved"][2:5] == ["ball", "proved", "39"]
    assert by_id["C.unguarded"][3] == "unguarded"
    assert by_id["C.unguarded"][6] == "0 of 1"
    assert by_id["C.undecided"][3] == "undecided"
    assert by_id["B.inequality"][1] == r"1 \< 2 \& \<script\>alert(1)\</script\>"


def test_the_page_in_docs_has_the_statement_of_every_claim():
    page = (Path(__file__).parents[2] / "docs" / "verify.md").read_text()
    claims = load_claims()
    missing = [one.id for one in claims if f"| `{one.id}` | {escaped(one.statement)} | {one.rigor} |" not in page]
    assert not missing  # else `minigan verify run --profile full --markdown FILE` writes the page anew
    assert page.count("\n| `") == len(claims)
