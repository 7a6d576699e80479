"""The LaTeX commands that the report can convert, and their characters."""

IDENTIFIERS = {
    "alpha": "α", "beta": "β", "gamma": "γ", "delta": "δ", "epsilon": "ε", "varepsilon": "ε", "zeta": "ζ", "eta": "η",
    "theta": "θ", "vartheta": "ϑ", "iota": "ι", "kappa": "κ", "lambda": "λ", "mu": "μ", "nu": "ν", "xi": "ξ",
    "pi": "π", "rho": "ρ", "sigma": "σ", "tau": "τ", "upsilon": "υ", "phi": "φ", "varphi": "φ", "chi": "χ",
    "psi": "ψ", "omega": "ω", "Gamma": "Γ", "Delta": "Δ", "Theta": "Θ", "Lambda": "Λ", "Xi": "Ξ", "Pi": "Π",
    "Sigma": "Σ", "Upsilon": "Υ", "Phi": "Φ", "Psi": "Ψ", "Omega": "Ω", "infty": "∞", "ell": "ℓ", "emptyset": "∅",
    "varnothing": "∅", "ldots": "…", "dots": "…", "dotsc": "…", "cdots": "⋯", "dotsb": "⋯", "vdots": "⋮",
    "ddots": "⋱", "top": "⊤", "bot": "⊥", "Re": "Re", "Im": "Im", "hbar": "ℏ", "prime": "′", "square": "□",
}  # fmt: skip

FUNCTIONS = (
    "log", "exp", "ln", "sin", "cos", "tan", "arctan", "arcsin", "arccos", "sinh", "cosh", "tanh", "det", "tr", "dim",
    "ker", "erf", "erfc", "Pr", "deg", "arg", "gcd",
)  # fmt: skip

LIMITS = ("max", "min", "sup", "inf", "lim", "limsup", "liminf", "argmin", "argmax")  # scripts go below

LARGE = {"sum": "∑", "prod": "∏", "bigcup": "⋃", "bigcap": "⋂", "bigoplus": "⨁"}  # scripts go below and above

INTEGRALS = {"int": "∫", "iint": "∬", "oint": "∮"}

RELATIONS = {
    "=": "=", "<": "<", ">": ">", ":": ":", "le": "≤", "leq": "≤", "leqslant": "≤", "ge": "≥", "geq": "≥",
    "geqslant": "≥", "lt": "<", "gt": ">", "ne": "≠", "neq": "≠", "equiv": "≡", "approx": "≈", "sim": "∼",
    "simeq": "≃", "cong": "≅", "propto": "∝", "ll": "≪", "gg": "≫", "in": "∈", "notin": "∉", "ni": "∋",
    "subset": "⊂", "subseteq": "⊆", "subsetneq": "⊊", "nRightarrow": "⇏",
    "supset": "⊃", "supseteq": "⊇", "to": "→", "rightarrow": "→", "leftarrow": "←",
    "gets": "←", "longrightarrow": "⟶", "mapsto": "↦", "longmapsto": "⟼", "Rightarrow": "⇒", "implies": "⟹",
    "Longrightarrow": "⟹", "Leftarrow": "⇐", "impliedby": "⟸", "iff": "⟺", "Leftrightarrow": "⇔",
    "Longleftrightarrow": "⟺", "leftrightarrow": "↔", "mid": "∣", "parallel": "∥", "Vert": "∥", "perp": "⊥",
    "succ": "≻", "succeq": "⪰", "prec": "≺", "preceq": "⪯", "coloneqq": "≔", "triangleq": "≜", "nearrow": "↗",
    "searrow": "↘", "uparrow": "↑", "downarrow": "↓", "stackrel": "=", "vdash": "⊢", "models": "⊨",
}  # fmt: skip

BINARY = {
    "+": "+", "-": "−", "*": "∗", "cdot": "·", "times": "×", "pm": "±", "mp": "∓", "circ": "∘", "ast": "∗",
    "odot": "⊙", "otimes": "⊗", "oplus": "⊕", "cup": "∪", "cap": "∩", "setminus": "∖", "wedge": "∧", "land": "∧",
    "vee": "∨", "lor": "∨", "div": "÷", "bullet": "∙", "star": "⋆", "bmod": "mod",
}  # fmt: skip

PREFIX = {"partial": "∂", "nabla": "∇", "forall": "∀", "exists": "∃", "neg": "¬", "lnot": "¬"}

PLAIN = {"/": "/", "!": "!", "%": "%", "#": "#", "$": "$", "&": "&", "backslash": "∖", "'": "′"}  # drawn without space

PUNCTUATION = {",": ",", ";": ";", "colon": ":"}

OPEN = {"(": "(", "[": "[", "{": "{", "langle": "⟨", "lvert": "|", "lVert": "‖", "lfloor": "⌊", "lceil": "⌈"}

CLOSE = {")": ")", "]": "]", "}": "}", "rangle": "⟩", "rvert": "|", "rVert": "‖", "rfloor": "⌋", "rceil": "⌉"}

BARS = {"|": "|", "vert": "|", "\\|": "‖"}  # open or close: the place decides

SPACES = {",": 0.17, ":": 0.22, ">": 0.22, ";": 0.28, " ": 0.28, "!": 0.0, "quad": 1.0, "qquad": 2.0, "enspace": 0.5}

ACCENTS = {
    "bar": "¯", "overline": "¯", "hat": "^", "widehat": "^", "tilde": "~", "widetilde": "~", "vec": "→", "dot": "˙",
    "ddot": "¨",
}  # fmt: skip

IGNORED = frozenset(
    ("displaystyle", "textstyle", "limits", "nolimits", "bigl", "bigr", "Bigl", "Bigr", "big", "Big", "bigg", "biggl",
     "biggr", "middle", "hfill", "nonumber", "notag", "allowbreak")
)  # fmt: skip

UPRIGHT = frozenset(("mathrm", "operatorname", "operatorname*", "mathsf", "mathtt", "mathit"))

TEXT = frozenset(("text", "textrm", "textit", "textbf", "mbox", "texttt"))

DOUBLE = dict(zip("CHNPQRZ", "ℂℍℕℙℚℝℤ", strict=True))  # those that are not in one row with the others
SCRIPT = dict(zip("BEFHILMRego", "ℬℰℱℋℐℒℳℛℯℊℴ", strict=True))


def alphabet(style: str, letters: str) -> str:
    """Return letters in double-struck (`mathbb`), script (`mathcal`) or bold (`mathbf`).

    >>> alphabet("mathbb", "ER"), alphabet("mathcal", "NL"), alphabet("mathbf", "x1")
    ('𝔼ℝ', '𝒩ℒ', '𝐱𝟏')
    """
    upper, lower, digit, special = {
        "mathbb": (0x1D538, 0x1D552, 0x1D7D8, DOUBLE),
        "mathcal": (0x1D49C, 0x1D4B6, 0x30, SCRIPT),
        "mathbf": (0x1D400, 0x1D41A, 0x1D7CE, {}),
    }[style]

    def one(letter: str) -> str:
        if letter in special:
            return special[letter]
        for first, start in (("A", upper), ("a", lower), ("0", digit)):
            offset = ord(letter) - ord(first)
            if letter.isascii() and letter.isalnum() and 0 <= offset < (10 if first == "0" else 26):
                return chr(start + offset)
        return letter

    return "".join(map(one, letters))


ALPHABETS = {"mathbb": "mathbb", "mathcal": "mathcal", "mathscr": "mathcal", "mathbf": "mathbf", "boldsymbol": "mathbf",
             "bm": "mathbf"}  # fmt: skip
