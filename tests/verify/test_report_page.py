"""The HTML page: complete, self-contained, accessible, and true to the certificates."""

import base64
import hashlib
import re
from itertools import combinations

import pytest
from reporting import QUICK, certificate, claim, everything, read

from verify import Certificate
from verify.report import html_page, write_html
from verify.report.status import Status, headline, status_of


@pytest.fixture(scope="module")
def certificates():
    return everything()


@pytest.fixture(scope="module")
def text(certificates):
    return html_page(certificates, profile=QUICK)


@pytest.fixture(scope="module")
def page(text):
    return read(text)


def row(page, claim_id):
    return page.one("tbody", id=claim_id)


def test_nothing_is_loaded(page, text):
    assert not re.search(r"https?:|//[a-z]|url\(|@import|@font-face", text)
    for element in page.all():
        assert element.name not in (
            "img",
            "link",
            "iframe",
            "object",
            "embed",
            "audio",
            "video",
            "image",
            "use",
            "base",
        )
        assert not {"src", "srcset", "data", "action", "style"} & set(element.attributes)
        assert element.attributes.get("href", "#").startswith("#")
        assert not any(name.startswith("on") for name in element.attributes)


def test_the_policy_admits_only_our_style_and_script(page):
    policy = page.one("meta", http_equiv="Content-Security-Policy")["content"]
    assert policy.startswith("default-src 'none';")
    for name in ("style", "script"):
        digest = hashlib.sha256(page.one(name).text.encode()).digest()
        assert f"'sha256-{base64.b64encode(digest).decode()}'" in policy


def test_every_certificate_is_shown(page, certificates):
    assert [one["id"] for one in page.one("table", class_="claims").all("tbody", role="rowgroup")] == [
        one.id for one in certificates
    ]
    for one in certificates:
        shown = row(page, one.id).text
        for part in (one.id, one.statement, one.rigor, one.latex, str(one.source), one.as_json()["digest"]):
            assert part in shown
        for check in one.checks:
            assert check.name in shown


@pytest.mark.parametrize("name", ["refuted", "undecided", "unguarded"])
def test_what_is_not_proved_is_not_green(page, name):
    shown = row(page, f"C.{name}")
    badge = shown.one("td", class_="verdict").one(class_="badge")
    assert badge["class"] == f"badge {name}"
    assert name in badge.text
    assert shown["data-status"] == name
    assert "proved" not in badge.text


def test_the_head_says_that_not_all_is_proved(page, certificates):
    outcome = "5 of 8 claims proved, 1 unguarded, 1 undecided, 1 refuted; 7 of 8 negative controls refuted"
    assert headline(certificates) == outcome
    assert outcome in page.one("head").one("title").text
    assert page.one(class_="outcome").one(class_="badge")["class"] == "badge refuted"


def test_a_certificate_without_controls_is_not_proved(certificates):
    bare = Certificate(**{**vars(certificates[0]), "negative_controls": ()})
    assert status_of(bare) is Status.UNGUARDED
    assert row(read(html_page([bare], profile=QUICK)), "A.proved").one("td", class_="controls").text == "0 of 0"


def test_counts_by_rigor(page):
    rows = {
        line.one("th").children[0]: [cell.text for cell in line.all("td")]
        for line in page.one(id="summary").all("tr")[1:]
    }
    assert rows["ball"] == ["3", "1", "1", "1", "6"]
    assert rows["float"] == rows["symbolic"] == ["1", "–", "–", "–", "1"]
    assert rows["all"] == ["5", "1", "1", "1", "8"]


def test_text_is_escaped(text, page):
    assert "<script>alert" not in text
    assert "1 &lt; 2 &amp; &lt;script&gt;alert(1)&lt;/script&gt;" in text
    assert "a lemma with <angles>" in row(page, "A.proved").text
    assert "R&D" in row(page, "A.proved").text
    assert r"\unknown{<&>}" in row(page, "C.undecided").one(class_="formula").text  # LaTeX that cannot be drawn


def test_balls_radii_and_digits(page):
    proved = row(page, "A.proved")
    assert proved.one("td", class_="digits").text == "39"
    assert re.fullmatch(r"1\.1.×.10⁻⁴⁰", proved.one("td", class_="radius").text)
    assert proved.all("td", class_="ball")[0].text == "0.5"
    assert "= 0 within 10⁻³⁰" in proved.text
    assert row(page, "A.exact").one("td", class_="digits").text == "exact"
    assert row(page, "B.inequality").one("td", class_="digits").text == "–"
    assert row(page, "B.symbolic").one("td", class_="digits").text == "exact"
    assert "≤ 10⁻¹³" in row(page, "B.measured").text


def test_every_check_that_is_not_proved_is_among_those_shown():
    def many(proof):
        for k in range(500):
            proof.holds(f"case {k}", k not in (250, 499))

    shown = row(read(html_page([certificate(claim("A.many", many))], profile=QUICK)), "A.many")
    assert len(shown.all("td", class_="is")) == 100
    assert "case 250" in shown.text
    assert "case 499" in shown.text
    assert "Checks (100 of 500, the rest proved)" in shown.text


def test_ids_are_unique_and_references_meet_them(page):
    ids = [element["id"] for element in page.all() if "id" in element.attributes]
    assert len(set(ids)) == len(ids)
    for element in page.all():
        references = element.attributes.get("aria-labelledby", "").split()
        references += element.attributes.get("aria-describedby", "").split()
        references += [element["href"][1:]] if "href" in element.attributes else []
        assert set(references) <= set(ids)


def test_figures_have_a_title_and_a_description(page):
    figures = page.all("svg", role="img")
    assert len(figures) == 4  # three of the theory, and the bars of topic A
    for svg in figures:
        assert svg.one("title").text.strip()
        assert svg.one("desc").text.strip()
    assert all(svg.attributes.get("aria-hidden") == "true" for svg in page.all("svg") if svg not in figures)


def test_table_keeps_its_roles_when_it_is_laid_out_as_a_list(page):
    table = page.one("table", class_="claims")
    assert table["role"] == "table"
    for name, role in (("tbody", "rowgroup"), ("tr", "row")):
        for element in table.all(name, role=role):
            assert element["role"] == role
    assert {th["scope"] for th in page.all("th")} == {"row", "col"}


def test_without_script_everything_is_there(page):
    assert "hidden" in page.one("form").attributes
    assert all("hidden" not in one.attributes for one in page.all("tbody"))
    assert [option["value"] for option in page.all("select")[1].all("option")] == [
        "", "proved", "unguarded", "undecided", "refuted",
    ]  # fmt: skip


def test_the_same_certificates_give_the_same_page(certificates, text):
    assert html_page(certificates, profile=QUICK) == text


def test_the_file_is_written_whole(certificates, text, tmp_path):
    path = tmp_path / "report.html"
    assert write_html(certificates, path, profile=QUICK) == path
    assert path.read_text("utf-8") == text
    with pytest.raises(ValueError, match="certificates is empty; expected one certificate or more"):
        write_html([], path, profile=QUICK)
    assert path.read_text("utf-8") == text
    assert [one.name for one in tmp_path.iterdir()] == ["report.html"]


def palettes(style):
    """The colours of the light and the dark page."""
    light, dark = re.findall(r":root \{(.*?)\}", style, re.DOTALL)
    chosen = dict(re.findall(r"--([\w-]+): (#\w{6})", light))
    return [chosen, chosen | dict(re.findall(r"--([\w-]+): (#\w{6})", dark))]


def contrast(a, b):
    """WCAG 2: (L1 + 0.05) / (L2 + 0.05)."""

    def luminance(colour):
        channels = [int(colour[k : k + 2], 16) / 255 for k in (1, 3, 5)]
        linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in channels]
        return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]

    high, low = sorted((luminance(a), luminance(b)), reverse=True)
    return (high + 0.05) / (low + 0.05)


def test_contrast(page):
    for colours in palettes(page.one("style").text):
        for back in ("page", "panel"):
            for front in ("text", "quiet", "link", "s1", "s2", "s3", "proved"):
                assert contrast(colours[front], colours[back]) >= 4.5, (front, back)
        for kind in Status:
            assert contrast(colours[kind], colours[f"{kind}-back"]) >= 4.5, kind
        greens = [colours[f"{kind}-back"] for kind in Status]
        assert all(a != b for a, b in combinations(greens, 2))
