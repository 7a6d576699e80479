"""Data files with other common names or another compression are recognised by their content."""

import gzip

import pytest
from test_data import small_mnist  # noqa: F401

from minigan import data


@pytest.mark.parametrize("pack", [lambda raw: raw, lambda raw: gzip.compress(raw, 1, mtime=7)])
@pytest.mark.parametrize("name", ["train-{}-idx{}-ubyte.gz", "train-{}-idx{}-ubyte", "train-{}.idx{}-ubyte"])
@pytest.mark.parametrize("below", [".", "mnist", "MNIST/raw", "raw"])
def test_the_content_decides(tmp_path, small_mnist, pack, name, below):  # noqa: F811
    folder = tmp_path / below
    folder.mkdir(parents=True, exist_ok=True)
    for (_, _, content), what in zip(small_mnist, (("images", 3), ("labels", 1)), strict=True):
        (folder / name.format(*what)).write_bytes(pack(content))
    assert len(data.load("mnist", data_dir=tmp_path)) == 2
