"""Run files that are JSON but have wrong contents give a one-line error."""

import pytest
from command import run

CONTENTS = {"nested": "[" * 100_000, "digits": "1" * 5000, "list": "[1, 2]", "null": "null", "text": '"a"'}


@pytest.mark.parametrize("content", CONTENTS.values(), ids=CONTENTS)
@pytest.mark.parametrize("command", ["sample", "resume", "evaluate"])
def test_a_configuration_that_is_none(capsys, tmp_path, content, command):
    (tmp_path / "config.json").write_text(content)
    status, out, err = run(capsys, command, str(tmp_path))
    assert status == 1
    assert out == ""
    assert err.count("\n") == 1
    assert "config.json" in err
    for leaked in ("indices must be", "not subscriptable", "Traceback"):
        assert leaked not in err
