"""The benchmark of operations: every operation of an iteration is a row, with its work, time and limit."""

import json
import os
import subprocess
import sys
import time

import numpy as np
import pytest

from benchmarks import __main__ as command
from benchmarks.cases.games import CASES
from benchmarks.core import instructions, measure
from benchmarks.cpu import breakdown, ceilings, operations
from benchmarks.cpu.observe import LAYERS, Observer, Work, patch
from minigan.layers import Dense, Maxout, ReLU
from minigan.layers.chain import Fused
from minigan.ops import get_ops
from minigan.ops.geometry import Geometry


@pytest.fixture(autouse=True)
def native(monkeypatch):
    """Remove variables that limit instructions: with them, the command would start a process without them."""
    for name in set(os.environ) - set(instructions.environment("native", os.environ)):
        monkeypatch.delenv(name)


def test_breakdown(monkeypatch, tmp_path):
    cases = ("mnist-dcgan", "gaussian")
    for key in set(CASES) - set(cases):
        monkeypatch.delitem(CASES, key)
    shortened, all_rows, short = breakdown.shortened, [], []

    def remember(found):
        all_rows.append(found)
        short.append(shortened(found))
        return short[-1]

    monkeypatch.setattr(breakdown, "shortened", remember)
    assert command.main(["breakdown", "--quick", "--out", str(tmp_path)]) == 0
    result = json.loads((tmp_path / "breakdown.json").read_text())
    stored = [result[key][case] for case in cases for key in ("cases", "numpy_cases")]
    assert stored == short
    assert result["instruction_set"]["limit"] == "native"
    assert {"numba", "NumPy"} <= set(result["instruction_set"]["observed"])
    for found in all_rows:
        groups = found["groups"]
        assert set(groups) == set(breakdown.GROUPS)
        observed = sum(row["seconds"] for row in found["rows"])
        assert 0.3 * found["seconds"] < observed < 3 * found["seconds"]  # a smoke run on a busy machine
        assert groups[breakdown.REST]["seconds"] == pytest.approx(max(0, found["seconds"] - observed), abs=1e-9)
        assert all(row["seconds"] > 0 and row["calls"] > 0 for row in found["rows"])
        for name, group in groups.items():
            if name != breakdown.REST:
                rows = [row for row in found["rows"] if row["group"] == name]
                assert abs(sum(row["seconds"] for row in rows) - group["seconds"]) < 1e-9
                assert (group["limit"] > 0) == any(row["operations"] or row["bytes"] for row in rows)
    calls = {row["name"]: row["calls"] for row in all_rows[0]["rows"]}
    assert calls["real examples"] == calls["noise"] == 1
    gaussian = {row["name"] for row in all_rows[2]["rows"]}
    assert gaussian >= {"mean_softplus: 20x1", "40x1-10-1 backward, dW", "20x1-10-1 backward, dx"}
    text = (tmp_path / "benchmarks.md").read_text()
    assert "## Where the time goes" in text
    assert "- AVX2: not measured" in text
    assert "mnist-dcgan: operations</summary>" in text
    assert (tmp_path / "breakdown.png").exists()


def test_convolutions_count_the_algorithm_that_runs():
    cpu, geometry = get_ops("cpu"), Geometry((28, 28), (28, 28), (3, 3), (1, 1), (1, 1), ((1, 1), (1, 1)))
    x, W, y = (np.empty(shape, "float32") for shape in ((32, 28, 28, 128), (3, 3, 128, 64), (32, 28, 28, 64)))
    direct, winograd = 2.0 * 32 * 28 * 28 * 9 * 128 * 64, 2.0 * 16 * 32 * 14 * 14 * 128 * 64  # F(2, 3)
    assert operations.convolution("correlation")(cpu, x, W, geometry).operations == winograd
    assert operations.weight_gradient(cpu, x, y, geometry).operations == winograd
    exact = operations.convolution("correlation")(get_ops("cpu", accuracy="exact"), x, W, geometry)
    assert (exact.operations, exact.size) == (direct, 4.0 * (x.size + W.size + y.size))


def test_products_count_what_is_read_and_written():
    cpu, x, W, y = get_ops("cpu"), *(np.empty(shape, "float32") for shape in ((32, 100), (100, 7), (32, 7)))
    flop = 2.0 * 32 * 100 * 7
    expected = "x W + b: 32x100 times 100x7", flop, 4.0 * (3200 + 700 + 224)
    forward = operations.affine(cpu, x, W, np.empty(7, "float32"))
    assert (forward.name, forward.operations, forward.size) == expected
    assert operations.affine(cpu, y, W.T).name == "dy W^T: 32x7 times 7x100"
    gradient = operations.add_product(cpu, x, y, W)
    assert (gradient.operations, gradient.size) == (flop, 4.0 * (3200 + 224 + 1400))


def test_layers_in_one_call_count_their_dense_members():
    layer = Fused((Dense(10, 20), ReLU(), Maxout(20, 5, pieces=2)))
    x, y = np.empty((4, 10), "float32"), np.empty((4, 5), "float32")
    forward, backward = operations.layer_work(layer, x, y)
    weights, parameters = 10 * 20 + 20 * 10, 10 * 20 + 20 + 20 * 10 + 10
    assert forward == Work(
        operations.NETWORKS, "Dense, ReLU, Maxout: 4x10 to 4x5 forward", 2.0 * 4 * weights, 4.0 * (40 + 20 + parameters)
    )
    g = np.empty(parameters, "float32")
    assert backward(y, g).operations == 2.0 * 4 * 2 * weights
    assert backward(y, g, need_dx=False).operations == 2.0 * 4 * (2 * weights - 200)
    assert backward(y).operations == 2.0 * 4 * weights


def test_a_small_chain_counts_its_layers():
    pytest.importorskip("numba")
    from minigan.ops.cpu.mlp import MLP

    mlp = MLP([(1, 10, True, "ReLU", 0.0), (10, 1, True, "", 0.0)])
    theta, x, y = (np.empty(shape, "float32") for shape in (31, (50, 1), (50, 1)))
    found = operations.mlp_forward(mlp, theta, x)
    assert (found.name, found.operations, found.size) == ("50x1-10-1 forward", 2.0 * 50 * 20, 4.0 * (50 + 31 + 50))
    found = operations.mlp_backward(mlp, theta, x, y, np.empty(31, "float32"), need_dx=False)
    assert (found.name, found.operations) == ("50x1-10-1 backward, dW", 3 * 2.0 * 50 * 20)


def busy(seconds):
    end = time.perf_counter() + seconds
    while time.perf_counter() < end:
        pass


def test_an_operation_within_another_belongs_to_it():
    observer = Observer()
    inner = observer.operation(lambda: busy(2e-3), lambda: Work("a", "inner", 0.0, 0.0))

    def both():
        inner()
        busy(2e-3)

    outer = observer.operation(both, lambda: Work("a", "outer", 1.0, 2.0))
    outer()
    inner()
    assert {name: row.calls for (_, name), row in observer.rows.items()} == {"outer": 1, "inner": 1}
    assert 4e-3 <= observer.rows["a", "outer"].seconds < 20e-3


def test_an_operation_that_fails_is_counted_and_the_next_one_too():
    observer = Observer()

    def fail():
        raise RuntimeError("no")

    failing = observer.operation(fail, lambda: Work("a", "failing", 0.0, 0.0))
    for _ in range(2):
        with pytest.raises(RuntimeError):
            failing()
    assert observer.rows["a", "failing"].calls == 2


def test_a_layer_has_the_time_besides_its_operations(monkeypatch):
    now = [0.0]
    monkeypatch.setattr("benchmarks.cpu.observe.clock", lambda: now[0])

    def busy(seconds):
        now[0] += seconds

    observer = Observer()
    product = observer.operation(lambda: busy(8e-3), lambda: Work("products", "product", 1.0, 1.0))

    def inner(layer, p, x, ctx):
        product()
        busy(1e-3)
        return x, lambda dy, g, need_dx: product()

    def work(layer, x, y):
        return Work("one call", "layer", 7.0, 7.0), lambda dy, g, need_dx: Work("one call", "layer back", 7.0, 7.0)

    nested = observer.layer(inner, work)
    alone = observer.layer(lambda layer, p, x, ctx: (x, lambda dy, g, need_dx: busy(3e-3)), work)
    outer = observer.layer(lambda *a: (busy(1e-3), nested(*a))[1], lambda *_: (Work("", "outer", 0, 0), None))
    y, _ = outer(None, None, 3, None)
    rows = observer.rows
    assert y == 3
    assert rows["products", "product"].seconds == pytest.approx(8e-3)
    assert rows[LAYERS, "layer"].seconds == pytest.approx(1e-3)
    assert rows[LAYERS, "outer"].seconds == pytest.approx(1e-3)
    assert rows[LAYERS, "layer"].operations == 0
    alone(None, None, 3, None)[1](1, None, need_dx=True)
    assert rows["one call", "layer back"].operations == 7
    assert rows["one call", "layer back"].seconds == pytest.approx(3e-3)


def test_the_observation_changes_no_result():
    """The same seed, observed and not observed in processes of their own, gives the same parameters."""
    code = (
        "import sys\n"
        "from benchmarks.cases.games import CASES, build\n"
        "from benchmarks.cpu.operations import observe\n"
        "experiment = build(CASES['mnist-dense'], small=True, options={'threads': 2})[2]\n"
        "observer = observe(experiment) if 'observed' in sys.argv else None\n"
        "experiment.play(); experiment.play()\n"
        "print(experiment.gan.G.theta.tolist(), file=sys.stderr)\n"
        "print(observer.calls if observer else 0)\n"
    )

    def run(*arguments):
        return subprocess.run([sys.executable, "-c", code, *arguments], capture_output=True, text=True, check=True)

    plain, observed = run(), run("observed")
    assert int(observed.stdout) > 20
    assert observed.stderr == plain.stderr


def test_limits_use_the_faster_product_and_the_copy_of_that_size():
    limits = {"product": 100.0, "copy": 1.0, "copies": [[10, 8.0], [100, 4.0], [1000, 1.0]]}
    assert ceilings.limit_seconds(limits, 50.0, 0.0) == 0.5
    assert [ceilings.copy_rate(limits, size) for size in (1, 10, 11, 1000, 5000)] == [8.0, 8.0, 4.0, 1.0, 1.0]
    found = ceilings.machine_limits(2, quick=True)
    assert found["product"] == max(found["sgemm"], found["compiled"] or 0)
    rates = [rate for _, rate in found["copies"]]
    assert rates == sorted(rates, reverse=True)
    assert rates[-1] == found["copy"] > 0


def test_a_case_is_printed_as_a_table(capsys):
    row = {"group": operations.PRODUCTS, "name": "x W", "calls": 2.0, "seconds": 4e-3, "operations": 1e6, "bytes": 1.0}
    found = {"seconds": 5e-3, "rows": [row]}
    breakdown.add_limits(found, {"product": 1e9, "copy": 1e9, "copies": []})
    assert breakdown.table(found)[2:] == ["| x W | 2 | 4 | 2 | 50 % |", f"| {breakdown.REST} |  | 1 |  |  |"]


def test_the_process_prints_its_rows():
    found = measure.run("benchmarks.cpu.breakdown", "minigan", ["--case", "mnist-maxout", "--small", "--seconds", "0"])
    names = {row["name"].partition(":")[0] for row in found["rows"]}
    assert names >= {"momentum", "mean_softplus", "noise", "real examples"}
    assert found["iterations"] == breakdown.MIN_ITERATIONS


def test_where_the_time_of_python_goes():
    text = breakdown.profile("gaussian", compiled=False, threads=1, small=True, seconds=0.05)
    assert "steps.py" in text
    assert "(adam)" in text


def test_what_is_not_observed_is_passed_on():
    observer = Observer()
    operation = observer.operation(lambda x: x + 1, lambda x: Work("a", "operation", 0.0, 0.0))
    observer.on = False
    assert operation(1) == 2
    assert observer.calls == 0
    observer.on = True
    assert operation(1) == 2
    assert observer.calls == 1


def test_an_inherited_method_is_observed_once():
    class Base:
        def forward(self, p, x, ctx):
            return x, None

    class Derived(Base):
        pass

    observer = Observer()
    for kind in (Base, Derived):
        patch(kind, "forward", lambda f: observer.layer(f, lambda *_: (Work("a", "layer", 0.0, 0.0), None)))
    Derived().forward(None, 1, None)
    assert observer.calls == 1
