"""Certificates of every status, and a parser that returns the elements of the page."""

from html.parser import HTMLParser

from flint import arb

from verify import GOODFELLOW, PROFILES, Claim, Source
from verify.engine.certify import certificate

VOID = {"br", "hr", "input", "meta", "wbr"}
QUICK = PROFILES["quick"]


def claim(claim_id, check, *, statement="a statement", latex="x = 0", rigor="ball", control=None):
    controls = {"a wrong one": control or (lambda proof: proof.holds("false", False))}
    return Claim(claim_id, statement, latex, Source(GOODFELLOW, "Theorem 1"), rigor, "an idea", check, controls)


def enclosed(proof):
    proof.enclose("half", arb(1) / 2)
    proof.zero("x", arb(0, "1e-40"))
    proof.lemma("a lemma with <angles>")
    proof.note("note", "R&D")
    proof.tail(arb("3e-41"))


def everything():
    """Return one certificate of each kind that the report must distinguish."""
    claims = [
        claim("A.proved", enclosed, latex=r"C(G) = -\log 4 + 2\,\mathrm{JSD}(p \,\|\, q)"),
        claim("A.exact", lambda proof: proof.zero("0", arb(0))),
        claim("B.inequality", lambda proof: proof.positive("1", arb(1)), statement="1 < 2 & <script>alert(1)</script>"),
        claim("B.measured", lambda proof: proof.at_most("error", 1.7e-15, "1e-13"), rigor="float"),
        claim("B.symbolic", lambda proof: proof.holds("identity", True), rigor="symbolic"),
        claim("C.refuted", lambda proof: proof.positive("-1", arb(-1))),
        claim("C.undecided", lambda proof: proof.positive("wide", arb(0, 1)), latex=r"\unknown{<&>}"),
        claim("C.unguarded", lambda proof: proof.holds("true", True), control=lambda proof: proof.holds("true", True)),
    ]
    return [certificate(one, QUICK) for one in claims]


class Element:
    def __init__(self, name, attributes, parent):
        self.name, self.attributes, self.parent = name, dict(attributes), parent
        self.children = []

    def __getitem__(self, key):
        return self.attributes[key]

    @property
    def text(self):
        return "".join(child if isinstance(child, str) else child.text for child in self.children)

    def all(self, name=None, /, **attributes):
        """Return all elements below, in order, with this name and these attributes (class_: one of the classes)."""
        found = []
        for child in self.children:
            if isinstance(child, Element):
                if child._is(name, attributes):
                    found.append(child)
                found += child.all(name, **attributes)
        return found

    def one(self, name=None, /, **attributes):
        (found,) = self.all(name, **attributes)
        return found

    def _is(self, name, attributes):
        for key, value in attributes.items():
            own = self.attributes.get(key.rstrip("_").replace("_", "-"))
            if own is None or (value not in own.split() if key == "class_" else own != value):
                return False
        return name is None or self.name == name


class Page(HTMLParser):
    """Return the tree of a page; an element that is closed in the wrong order, or not closed, is an error."""

    def __init__(self, text):
        super().__init__()
        self.root = self.here = Element("", {}, None)
        self.feed(text)
        self.close()
        assert self.here is self.root, f"<{self.here.name}> is not closed"

    def handle_starttag(self, name, attributes):
        element = Element(name, attributes, self.here)
        self.here.children.append(element)
        if name not in VOID:
            self.here = element

    def handle_endtag(self, name):
        assert self.here.name == name, f"</{name}> closes <{self.here.name}>"
        self.here = self.here.parent

    def handle_data(self, data):
        self.here.children.append(data)


def read(text):
    return Page(text).root
