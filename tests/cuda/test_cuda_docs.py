"""The example of docs/cuda.md runs, and the files that the page names exist."""

import re
import textwrap
from pathlib import Path

import numpy as np
from emulated import NEEDS_HOST_COMPILER

import minigan

PAGE = Path(minigan.__file__).parent.parent / "docs" / "cuda.md"


def blocks():
    """Return the indented blocks of the page's last section."""
    section = PAGE.read_text().rpartition("\n## ")[2]
    return [textwrap.dedent(block) for block in re.findall(r"(?:^(?: {4}.*)?\n)+", section, re.M) if block.strip()]


@NEEDS_HOST_COMPILER
def test_the_example_of_a_new_kernel(tmp_path):
    kernel, code = blocks()
    (tmp_path / "scale.cu").write_text(kernel)
    names = {"host": np.random.default_rng(0).standard_normal(5000).astype(np.float32)}
    exec(code.replace("FOLDER", str(tmp_path)), names)  # noqa: S102
    np.testing.assert_array_equal(names["y"].get(), 2 * names["host"])


def test_the_modules_and_files_that_it_names_exist():
    root = Path(minigan.__file__).parent.parent
    table = PAGE.read_text().partition("## Without a GPU")[0]
    named = re.findall(r"`([\w/]+\.py|[\w/]+/)`", table)
    assert len(named) > 15
    for name in named:
        assert (root / "minigan/ops/cuda" / name).exists() or (root / name).exists(), name
    modules = {path.name for path in (root / "minigan/ops/cuda").glob("*.py")}
    assert modules <= {Path(name).name for name in named}
