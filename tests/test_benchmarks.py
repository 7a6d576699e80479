"""Benchmarks check before they time, and their table is the one in the docs."""

import json
import os
import sys

import numpy as np
import pytest

from benchmarks import __main__ as command
from benchmarks.cases.games import CASES, build
from benchmarks.cases.pieces import pieces
from benchmarks.core import checks, implementations, instructions, measure
from benchmarks.core.worker import Worker, round_robin
from benchmarks.cpu import gaussian, layers, scaling, steps
from benchmarks.report import page, plots
from benchmarks.report import steps as steps_section


@pytest.fixture(autouse=True)
def native(monkeypatch):
    """Remove variables that limit instructions: with them, the command would start a process without them."""
    for name in set(os.environ) - set(instructions.environment("native", os.environ)):
        monkeypatch.delenv(name)


def no_torch(monkeypatch):
    """Hide PyTorch and JAX, as if only minigan were installed."""
    installed = measure.installed

    def without(package):
        return package not in ("torch", "jax") and installed(package)

    for module in (measure, implementations, checks):
        monkeypatch.setattr(module, "installed", without)
    checks.check.cache_clear()


def quick(monkeypatch, tmp_path, name, cases=("gaussian",)):
    """A smoke run of one benchmark on a few recipes, without PyTorch; returns its result and the page."""
    no_torch(monkeypatch)
    for key in set(CASES) - set(cases):
        monkeypatch.delitem(CASES, key)
    status = command.main([name, "--quick", "--out", str(tmp_path)])
    page = (tmp_path / "benchmarks.md").read_text()
    return status, json.loads((tmp_path / f"{name}.json").read_text()), page


def test_the_page_is_generated_from_the_results():
    assert page.PAGE.read_text() == page.page(), "run python -m benchmarks.report.page"


def test_every_result_names_machine_versions_and_check():
    results = sorted(measure.RESULTS.glob("*.json"))
    assert results
    for path in results:
        result = json.loads(path.read_text())
        assert {"cpu", "cores", "memory_gib", "system", "python", "versions", "blas"} <= set(result["machine"])
        assert "check" in result
        assert result.get("settings") != "small", "a quick run is no result"


def test_every_plot_of_the_page_is_there():
    for name in page.read():
        assert name not in plots.PLOTS or (page.PLOT_FOLDER / f"{name}.png").exists()


def test_spread():
    assert measure.spread([3.0, 1.0, 2.0]) == {"median": 2.0, "min": 1.0, "max": 3.0, "all": [3.0, 1.0, 2.0]}


def test_ratio_is_within_a_round():
    assert measure.ratio([2.0, 30.0, 4.0], [1.0, 10.0, 1.0]) == 3.0


# --- smoke runs, without PyTorch ------------------------------------------------------------------


def test_steps(monkeypatch, tmp_path):
    status, result, page = quick(monkeypatch, tmp_path, "steps")
    found = result["cases"]["gaussian"]
    assert status == 0
    assert set(found["seconds"]) >= {"minigan"}
    assert found["absent"]["torch"] == "torch is not installed"
    assert found["absent"]["jax"] == "jax is not installed"
    assert set(result["not_compared"]) == {"numpy-ml"}
    assert found["ratio"] == {}
    assert result["check"]["gaussian"]["against_torch"] == "PyTorch is not installed"
    assert result["check"]["gaussian"]["against_jax"] == "JAX is not installed"
    assert max(result["check"]["gaussian"]["against_reference"].values()) <= implementations.ABSOLUTE_TOLERANCE
    assert "| torch | absent: torch is not installed |  |  |" in page
    assert "| gaussian | AVX2 | not measured |" in page
    assert "the numbers mean nothing" in page
    assert (tmp_path / "steps.png").exists()


def test_first(monkeypatch, tmp_path):
    pytest.importorskip("numba")
    status, result, page = quick(monkeypatch, tmp_path, "first")
    found = result["cases"]["gaussian"]
    seconds = {name: row["median"] for name, row in found["seconds"].items()}
    assert status == 0
    assert seconds["never compiled"] > seconds["stored kernels"] > 0
    assert seconds["never compiled"] >= found["first_iteration"]["never compiled"]["median"] > 0
    assert found["kernels"] > 3
    assert found["kernels_compiled_again"] == 0
    assert found["beyond_numpy"] == pytest.approx(seconds["never compiled"] - seconds["NumPy alone"], rel=1e-3)
    assert "## The first iteration" in page
    assert "| gaussian | AVX" in page


def test_memory(monkeypatch, tmp_path):
    status, result, page = quick(monkeypatch, tmp_path, "memory")
    assert status == 0
    assert 10 < result["cases"]["gaussian"]["mib"]["minigan"]["median"] < 4000
    assert "torch is not installed" in page


def test_imports(monkeypatch, tmp_path):
    status, result, page = quick(monkeypatch, tmp_path, "imports")
    assert status == 0
    assert set(result["seconds"]) == {"minigan", "numpy"}
    assert result["modules"]["minigan"] > result["modules"]["numpy"] > 10
    assert "| torch | absent: torch is not installed | |" in page


def test_layers(monkeypatch, tmp_path):
    status, result, page = quick(monkeypatch, tmp_path, "layers", cases=("mnist-softmax",))
    assert status == 0
    assert result["check"]["relative"] <= layers.RELATIVE_TOLERANCE
    kinds = {row["layers"] for row in result["pieces"]}
    assert kinds >= {"Conv2D", "ConvTranspose2D", "Dense", "BatchNorm, ReLU, Dropout", "LeakyReLU, Dropout"}
    assert all(rate["per_second"] > 0 for row in result["pieces"] for rate in row["rate"].values())
    assert "torch: torch is not installed" in page
    assert result["absent"]["numpy-ml"].startswith(("not installed", "installed, but"))


@pytest.mark.parametrize(
    ("code", "why"),
    [
        ("from collections import Hashable", "its import fails: cannot import name 'Hashable' from 'collections'"),
        ("", "these games are not written with it"),
    ],
)
def test_numpy_ml_is_absent_with_the_reason(monkeypatch, tmp_path, code, why):
    folder = tmp_path / "numpy_ml" / "neural_nets"
    folder.mkdir(parents=True)
    for path in (folder.parent / "__init__.py", folder / "__init__.py"):
        path.touch()
    (folder / "layers.py").write_text(code)
    for name in [name for name in sys.modules if name.partition(".")[0] == "numpy_ml"]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.syspath_prepend(tmp_path)
    assert implementations.without_numpy_ml() == f"installed, but {why}"
    for name in [name for name in sys.modules if name.partition(".")[0] == "numpy_ml"]:
        monkeypatch.delitem(sys.modules, name)


def test_scaling(monkeypatch, tmp_path):
    monkeypatch.setattr(scaling, "AXES", {"image": scaling.AXES["image"]})
    monkeypatch.setattr(scaling, "CHECKED_CASES", ())
    status, result, page = quick(monkeypatch, tmp_path, "scaling")
    assert status == 0
    assert list(result["axes"]["image"]["seconds"]) == ["minigan"]
    assert isinstance(result["axes"]["image"]["exponent"]["minigan"], float)
    assert "torch-channels-last: torch is not installed" in page


def test_without_pytorch_the_comparison_of_whole_runs_is_skipped(monkeypatch, capsys):
    no_torch(monkeypatch)
    assert command.main(["gaussian", "--quick"]) == 1
    assert "gaussian: skipped: PyTorch is not installed" in capsys.readouterr().err


def test_an_unknown_name_is_refused(capsys):
    with pytest.raises(SystemExit):
        command.main(["stepps"])
    assert "invalid choice: 'stepps'" in capsys.readouterr().err


def test_the_peak_is_the_process_s_own():
    big = np.ones(60_000_000)  # 458 MiB, resident in this process but not in the one that it starts
    found = measure.run("benchmarks.core.implementations", "minigan", ["--case", "gaussian", "--seconds", "0"])
    assert found["peak_mib"] < 400 < implementations.peak_mib()
    assert big[-1] == 1


# --- counts of operations and bytes ---------------------------------------------------------------


def test_the_work_of_a_convolution_is_that_of_the_direct_sums():
    by_key = {piece.key: piece for piece in pieces()}
    conv = by_key["mnist-dcgan G 3"]  # 28x28, 3x3, 128 to 128 channels, batch 32
    assert (conv.work, conv.unit) == (2 * 32 * 28 * 28 * 9 * 128 * 128, "flop")
    dense = by_key["mnist-dcgan G 0"]
    assert dense.work == 2 * 32 * 100 * 28 * 28 * 128
    between = by_key["mnist-dcgan G 4"]  # dropout, batch norm, ReLU: read once, written once
    assert (between.work, between.unit) == (2 * 4 * 32 * 28 * 28 * 128, "byte")


def test_a_wrong_engine_is_not_timed(monkeypatch):
    no_torch(monkeypatch)
    monkeypatch.setattr(checks, "difference", lambda minigan_run, other_run: 1e-8)
    with pytest.raises(SystemExit, match="gaussian: numpy and reference differ by 1e-08; expected at most 1e-09"):
        checks.check("gaussian", 1)


def test_an_implementation_that_takes_too_long_is_absent():
    with pytest.raises(measure.Unavailable, match="not done after 0.05 s"):
        measure.run("benchmarks.core.implementations", "minigan", ["--case", "gaussian"], timeout=0.05)


def test_equal_malloc_settings_are_for_all_implementations():
    assert measure.Options(malloc=True).environment().items() >= measure.MALLOC_ENVIRONMENT.items()
    assert not measure.MALLOC_ENVIRONMENT.keys() & measure.Options().environment().keys()
    assert measure.Options(threads=3).environment()["OPENBLAS_NUM_THREADS"] == "3"


def test_an_implementation_that_fails_says_why():
    with pytest.raises(RuntimeError, match="invalid choice: 'nowhere'"):
        Worker("benchmarks.core.implementations", "minigan", ["--case", "nowhere"], env={})


def test_implementations_take_turns():
    arguments = ["--case", "gaussian", "--small"]
    with (
        Worker("benchmarks.core.implementations", "minigan", arguments, env={"MINIGAN_THREADS": "1"}) as one,
        Worker("benchmarks.core.implementations", "minigan-numpy", arguments, env={}) as other,
    ):
        assert one.ready["first"] > 0
        found = list(round_robin({"one": one, "other": other}, rounds=3, seconds=0.01))
        assert [list(turn) for turn in found] == [["one", "other"]] * 3
        assert all(turn[name]["seconds"] > 0 and turn[name]["iterations"] >= 2 for turn in found for name in turn)
        one._process.kill()
        with pytest.raises(RuntimeError, match="--serve failed"):
            one.play(0.01)
    assert other._process.returncode is not None


def test_a_worker_that_says_something_else(tmp_path, monkeypatch):
    (tmp_path / "chatty.py").write_text("print('hello', flush=True)\nimport time\ntime.sleep(60)\n")
    (tmp_path / "half.py").write_text("print('{', end='', flush=True)\nimport time\ntime.sleep(60)\n")
    env = {"PYTHONPATH": str(tmp_path)}
    with pytest.raises(RuntimeError, match="said 'hello"):
        Worker("chatty", "minigan", [], env=env)
    with pytest.raises(measure.Unavailable, match=r"not done after 0\.5 s"):
        Worker("half", "minigan", [], env=env, timeout=0.5)


def test_a_worker_that_is_not_ready_in_time_is_absent():
    with pytest.raises(measure.Unavailable, match="not done after 0.05 s"):
        Worker("benchmarks.core.implementations", "minigan", ["--case", "gaussian"], env={}, timeout=0.05)


def test_ratios_to_the_fastest_and_to_the_usual_pytorch():
    seconds = {"minigan": [1.0, 2.0, 1.0], "torch": [9.0, 9.0, 9.0], "torch-channels-last-adam": [4.0, 4.0, 4.0],
               "torch-channels-last": [2.0, 6.0, 2.0], "torch-compile": [0.1, 0.1, 0.1]}  # fmt: skip
    found = steps.ratios("mnist-dcgan", seconds)
    assert (found["best_torch"], found["ratio"]) == ("torch-channels-last", {"minigan": 2.0})
    assert (found["usual_torch"], found["ratio_to_usual"]) == ("torch-channels-last-adam", {"minigan": 4.0})
    assert steps.ratios("gaussian", {"minigan": [1.0]})["ratio"] == {}


def test_ratios_to_jax_are_within_a_round():
    seconds = {"minigan": [1.0, 2.0, 1.0], "minigan-numpy": [2.0, 2.0, 2.0], "jax": [3.0, 8.0, 5.0]}
    found = steps.ratios("gaussian", seconds)
    assert found["ratio_to_jax"] == {"minigan": 4.0, "minigan-numpy": 2.5}
    assert steps.ratios("gaussian", {"minigan": [1.0]})["ratio_to_jax"] == {}


def one_set(numba, milliseconds):
    """A result of `steps` on one case, as far as its table needs it."""
    seconds = {"minigan": 1, "minigan-numpy": 2, "torch": 3, "torch-fused": 2.5, "jax": 4}
    times = {name: [factor * milliseconds / 1e3] * 3 for name, factor in seconds.items()}
    case = {"seconds": {name: measure.spread(values) for name, values in times.items()}}
    case.update(steps.ratios("gaussian", times))
    return {"cases": {"gaussian": case}, "instruction_set": {"observed": {"numba": numba}}}


def test_the_table_of_steps_has_both_instruction_sets():
    native, avx2 = one_set("AVX-512 (znver5)", 1.0), one_set("AVX2 (znver3)", 2.0)
    assert steps_section.table({"native": native, "avx2": avx2})[2:] == [
        "| gaussian | AVX-512 | 1 | 2 | 2.5 | 3 | 4 | 2.50 | 4.00 | 1.50 |",
        "| gaussian | AVX2 | 2 | 4 | 5 | 6 | 8 | 2.50 | 4.00 | 1.50 |",
    ]
    missing = steps_section.table({"avx2": avx2})
    assert missing[2].startswith("| gaussian | native | not measured |")
    assert [line.count("|") for line in missing] == [11] * 4


def test_the_checks_cover_the_narrow_networks_at_their_own_width():
    for width in (8, 4):
        case = CASES[f"dcgan64-width-{width}"]
        assert case.settings == {"batch_size": 16, "width": width}
        assert case.small["width"] == width
        assert not any("width" in piece.key for piece in pieces())


# --- with PyTorch ---------------------------------------------------------------------------------


@pytest.mark.torch
def test_the_check_passes_and_can_fail(monkeypatch):
    pytest.importorskip("torch", reason="PyTorch is not installed (make test-torch installs it)")
    assert gaussian.check(3) <= 1e-12
    theta = gaussian.Torch.theta
    monkeypatch.setattr(gaussian.Torch, "theta", lambda self: theta(self) * (1 + np.float64(1e-6)))
    with pytest.raises(SystemExit, match="Not timed: the implementations compute different results"):
        gaussian.check(3)


@pytest.mark.torch
@pytest.mark.parametrize("case", CASES)
def test_pytorch_plays_the_same_game(case):
    pytest.importorskip("torch", reason="PyTorch is not installed (make test-torch installs it)")
    found = checks.check(case)
    layouts = {"nchw", "channels_last"} if CASES[case].convolutional else {"dense"}
    assert set(found["against_torch"]) == layouts


@pytest.mark.torch
@pytest.mark.parametrize("fakes", ["training", "inference"])
def test_pytorch_makes_the_fakes_in_the_recipes_mode(fakes):
    pytest.importorskip("torch", reason="PyTorch is not installed (make test-torch installs it)")
    from benchmarks.other_libraries.torch.games import Game

    case, how = CASES["mnist-dcgan"], {"small": True, "dtype": "float64", "settings": {"fakes": fakes}}
    minigan_run, torch_run = build(case, **how)[2], Game(case, **how, checked=True)
    for _ in range(2):
        minigan_run.play()
        torch_run.play()
    assert torch_run.difference(minigan_run.gan) <= implementations.ABSOLUTE_TOLERANCE


@pytest.mark.torch
def test_another_game_is_seen(monkeypatch):
    pytest.importorskip("torch", reason="PyTorch is not installed (make test-torch installs it)")
    from benchmarks.other_libraries.torch.games import Game

    checks.check.cache_clear()
    monkeypatch.setattr(Game, "eval_fakes", lambda self, z: self.G(z).detach())  # batch statistics in G
    with pytest.raises(SystemExit, match="mnist-dense: minigan and PyTorch, dense differ"):
        checks.check("mnist-dense", 1)


@pytest.mark.torch
def test_steps_beside_pytorch(monkeypatch, tmp_path):
    pytest.importorskip("torch", reason="PyTorch is not installed (make test-torch installs it)")
    for key in set(CASES) - {"gaussian"}:
        monkeypatch.delitem(CASES, key)
    assert command.main(["steps", "--quick", "--out", str(tmp_path)]) == 0
    found = json.loads((tmp_path / "steps.json").read_text())["cases"]["gaussian"]
    assert found["best_torch"] == "torch-fused"
    assert found["ratio"]["minigan"] > 0


def test_a_check_does_not_pass_over_nan():
    """If a parameter of one run is NaN, the runs differ, and nothing is timed."""
    from benchmarks.core.checks import difference, require_agreement
    from minigan.recipes import RunOptions, get_recipe

    recipe = get_recipe("gaussian")
    minigan_run, other_run = (recipe.build(recipe.configure({}), RunOptions()) for _ in range(2))
    assert difference(minigan_run, other_run) == 0
    for gan in (minigan_run.gan, other_run.gan):
        kept = gan.G.theta.copy()
        gan.G.theta = kept * np.nan
        with pytest.raises(SystemExit, match="gaussian differ by nan; expected at most 1e-09\\. Not timed: the impl"):
            require_agreement("gaussian", difference(minigan_run, other_run))
        gan.G.theta = kept
