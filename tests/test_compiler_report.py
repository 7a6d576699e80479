"""The compiler's report is cached beside a cubin; if it is damaged, the kernel is compiled again."""

from types import SimpleNamespace

import pytest

compiler = pytest.importorskip("minigan.ops.cuda.device.compiler")


@pytest.mark.parametrize(
    "content", ["", "[]", "null", '{"log": ""}', '{"resources": {"k": 3}, "log": ""}', "[" * 100_000]
)
def test_a_damaged_report(tmp_path, monkeypatch, content):
    monkeypatch.setenv("MINIGAN_CACHE", str(tmp_path))
    monkeypatch.setattr(compiler, "_nvrtc", lambda: (None, "12.0"))
    monkeypatch.setattr(compiler, "_compile", lambda *_: (b"cubin", "a log"))
    source = SimpleNamespace(name="none", text="")
    whole = compiler.compile_source(source, {})
    (report,) = tmp_path.rglob("*.json")
    report.write_text(content)
    assert compiler.compile_source(source, {}) == whole
    assert whole.log == "a log"
