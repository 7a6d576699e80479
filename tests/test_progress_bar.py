"""The progress bar fits the width of the terminal, and all metrics of a GAN are shown at 80 columns."""

import io
import os
import re
import sys
from contextlib import suppress

import pytest

from minigan.recipes import get_recipe
from minigan.training import ProgressBar, train
from minigan.training.bar import MIN_CELLS, postfixes
from minigan.training.bar import draw as draw_bar

METRICS = {"d_loss": 0.693147, "g_loss": 0.7, "d_real": 0.5, "d_fake": 0.25, "accuracy": 1.0}


class Terminal(io.StringIO):
    def isatty(self):
        return True


@pytest.fixture
def drawn(monkeypatch):
    """A function that returns the lines shown by a terminal of a given width."""

    def draw(columns, name="gaussian", metrics=METRICS, iterations=29_999):
        import tqdm.std

        stream = Terminal()
        monkeypatch.setattr(tqdm.std, "_screen_shape_wrapper", lambda: lambda _fp: (columns, 25))
        bar = tqdm.std.tqdm(
            total=30_000, initial=20_000, file=stream, dynamic_ncols=True, desc=name, ascii=False, mininterval=0
        )
        bar.start_t -= 60
        draw_bar(bar, iterations, postfixes(metrics))
        bar.disable = True
        return [line for line in re.split(r"[\r\n]", stream.getvalue()) if line.strip()]

    return draw


def cells(line):
    return len(re.search(r"%\|([^|]*)\|", line)[1])


@pytest.mark.parametrize("name", ["gaussian", "mnist-softmax"])
@pytest.mark.parametrize("columns", [80, 79, 100, 120, 200])
def test_all_metrics_and_a_bar_are_shown(drawn, name, columns):
    line = drawn(columns, name)[-1]
    assert len(line) <= columns
    assert cells(line) >= MIN_CELLS
    for text in (name, "D(x) 0.5", "D(G(z)) 0.2", "acc 100"):
        assert text in line


def test_a_wide_terminal_shows_everything(drawn):
    line = drawn(200)[-1]
    for text in ("29999/30000", "D loss 0.693 G loss 0.700 D(x) 0.500 D(G(z)) 0.250 acc 100.0%", "it/s"):
        assert text in line


@pytest.mark.parametrize("columns", [40, 60, 70])
def test_a_narrow_terminal_shows_fewer_metrics(drawn, columns):
    line = drawn(columns)[-1]
    assert len(line) <= columns
    assert cells(line) >= MIN_CELLS


def test_metrics_of_another_game_are_left_out_from_the_last_on(drawn):
    metrics = {f"metric_{k}": 0.123456 for k in range(9)}
    line = drawn(80, metrics=metrics)[-1]
    assert len(line) <= 80
    assert cells(line) >= MIN_CELLS
    assert "metric_0 0.123" in line
    assert "metric_8" not in line


@pytest.mark.skipif(sys.platform == "win32", reason="needs a pseudo-terminal")
def test_training_in_a_terminal_of_80_columns():
    import fcntl
    import pty
    import struct
    import termios

    master, slave = pty.openpty()
    fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", 25, 80, 0, 0))
    recipe = get_recipe("gaussian")
    overrides = {"iterations": 5, "batch_size": 20, "d_updates": 1, "g_updates": 1}
    with open(slave, "w") as stream:
        train(recipe.build(recipe.configure(overrides)), callbacks=[ProgressBar(stream)])
    shown = b""
    with suppress(OSError):  # on Linux, reading past the end of a pseudo-terminal raises an error
        while part := os.read(master, 1 << 12):
            shown += part
    os.close(master)
    shown = shown.decode()
    last = [line for line in re.split(r"[\r\n]", shown) if "100%" in line][-1]
    assert len(last) <= 80
    assert cells(last) >= MIN_CELLS
    for text in ("D(x)", "D(G(z))", "acc"):
        assert text in last
