"""A game of named players trains, resumes and reports divergence, whatever the names are."""

import copy
import inspect
import io
import json
import math
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import cyclegan
import numpy as np
import pytest
from cases import dense_gan
from cyclegan import CENTRES, NAMES, build, centre
from test_resume import files

import minigan as mg
from minigan.training import Experiment, ProgressBar, RunError, random_streams, read_arrays, read_json, resume, train
from minigan.training.callbacks import log_line
from minigan.training.checkpoint import Checkpoints

FOUR = {f"{name}.npz" for name in NAMES}


def bytes_of(game):
    return [
        array.tobytes()
        for player in game.players.values()
        for array in (player.network.theta, player.network.state_vector, *player.optimizer.state.values())
    ]


def test_the_example_is_short():
    assert len(inspect.getsource(cyclegan.CycleGAN).splitlines()) < 40


def test_the_page_shows_the_example():
    page = (Path(__file__).parent.parent / "docs/games.md").read_text()
    shown = next(block for block in re.findall(r"```python\n(.*?)```", page, re.S) if "class CycleGAN" in block)
    assert shown.strip() in inspect.getsource(cyclegan)


def test_the_page_runs():
    page = (Path(__file__).parent.parent / "docs/games.md").read_text()
    names = {}
    for block in re.findall(r"```python\n(.*?)```", page, re.S):
        exec(block, names)  # noqa: S102
    assert names["summary"]["status"] == "completed"


def test_points_move_to_the_other_domain_and_come_back():
    experiment = build()
    assert math.dist(centre(experiment, "G_AB"), CENTRES["B"]) > 1.5
    summary = train(experiment)
    assert summary["status"] == "completed"
    assert math.dist(centre(experiment, "G_AB"), CENTRES["B"]) < 0.3
    assert math.dist(centre(experiment, "G_BA"), CENTRES["A"]) < 0.3
    assert summary["losses"].keys() == {"d_loss", "g_loss", "cycle_loss"}
    assert summary["losses"]["cycle_loss"] < 0.05
    first = build()
    assert first.game.metrics(first.play())["cycle_loss"] > 1


class TestARun:
    def test_its_folder(self, in_tmp):
        experiment = build()
        summary = train(experiment, iterations=3, folder="run")
        assert {path.name for path in Path("run").iterdir()} == FOUR | {"config.json", "metrics.jsonl", "summary.json"}
        assert summary["parameters"] == {"G_AB": 82, "G_BA": 82, "D_A": 65, "D_B": 65}
        assert read_json("run/config.json")["networks"]["D_A"] == experiment.game.network("D_A").to_config()
        np.testing.assert_array_equal(
            read_arrays("run/D_B.npz")["0.W"], experiment.game.network("D_B").parameters()["0.W"]
        )
        lines = Path("run/metrics.jsonl").read_text().splitlines()
        assert list(json.loads(lines[-1])) == ["iteration", "d_loss", "g_loss", "cycle_loss"]

    @pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="no SIGKILL on this system")
    def test_after_sigkill_it_ends_as_the_one_that_was_not_killed(self, in_tmp):
        whole, again = build(iterations=1500), build(iterations=1500)
        train(whole, folder="whole")
        code = (
            f"import sys; sys.path.insert(0, {str(Path(__file__).parent)!r})\n"
            "from cyclegan import build\nfrom minigan.training import train\n"
            "train(build(iterations=1500), folder='run', checkpoint_every=7)"
        )
        process = subprocess.Popen([sys.executable, "-c", code], stderr=subprocess.PIPE, text=True)
        end = time.monotonic() + 120
        while not (Path("run/metrics.jsonl").exists() and Path("run/metrics.jsonl").read_bytes().count(b"\n") > 20):
            assert process.poll() is None, process.stderr.read()
            assert time.monotonic() < end
        process.kill()
        process.communicate()
        assert process.returncode == -9
        done = Checkpoints("run").numbers()[0]
        assert 14 <= done < 1500
        summary = resume(again, "run")
        assert summary["resumed"][0]["iteration"] == done
        assert bytes_of(again.game) == bytes_of(whole.game)
        assert files("run") == files("whole")

    def test_a_checkpoint_of_a_gan_has_the_names_it_always_had(self, in_tmp):
        G, D = dense_gan()
        streams = random_streams(0)
        gan = mg.GAN(G, D, mg.Adam(G), mg.SGD(D, lr=0.1), mg.NonSaturating(), rng=streams["dropout"])
        x, z = np.ones((6, 4)), np.ones((6, 3))
        play = lambda: mg.alternating(gan, lambda: x, lambda: z)  # noqa: E731
        train(Experiment("pair", gan, play, 1, streams), folder="run", checkpoint_every=1)
        tree = Checkpoints("run").read()[1]
        assert set(tree) == {
            "identity", "iteration", "G", "D", "optimizer_G", "optimizer_D", "streams", "sources", "callbacks",
            "before", "clock", "resumed", "every",
        }  # fmt: skip
        assert (set(tree["G"]), set(tree["optimizer_G"])) == ({"theta", "state"}, {"t", "state"})
        assert (set(tree["optimizer_G"]["state"]), set(tree["optimizer_D"]["state"])) == ({"m", "v"}, {"u"})
        assert {path.name for path in Path("run").glob("*.npz")} == {"generator.npz", "discriminator.npz"}
        assert set(read_json("run/summary.json")["losses"]) == {"d_loss", "g_loss"}

    def test_another_games_checkpoint_is_refused(self, in_tmp):
        train(build(), iterations=2, folder="run", checkpoint_every=1)
        other = build()
        del other.game.players["D_B"]
        with pytest.raises(RunError, match="a checkpoint of another run: it differs in networks"):
            resume(other, "run", iterations=4)


class TestDivergence:
    @pytest.mark.parametrize("name", NAMES)
    def test_names_the_player_and_takes_all_back(self, name, in_tmp):
        experiment, same = build(), build()
        train(same, iterations=2)
        play, count = experiment.play, iter(range(1, 10))

        def poisoned():
            seen = play()
            if next(count) == 3:
                experiment.game.network(name).theta[5] = np.inf
            return seen

        experiment.play = poisoned
        summary = train(experiment, folder="run")
        assert (summary["status"], summary["iterations"]) == ("diverged", 2)
        assert summary["divergence"]["quantity"] == f"a parameter of {name}"
        for each in NAMES:
            np.testing.assert_array_equal(experiment.game.network(each).theta, same.game.network(each).theta)

    def test_a_metric_of_the_game(self):
        experiment = build()
        experiment.play = lambda: {"cycle_loss": math.nan}
        assert "cycle_loss is nan at iteration 1" in train(experiment)["error"]


class TestWhatIsShown:
    def test_any_metrics_have_a_line(self):
        assert log_line(3, {"cycle_loss": 0.5, "jsd": 1 / 3}) == "3 [cycle_loss: 0.5, jsd: 0.333333]"
        assert log_line(3, {"d_loss": 1.0, "g_loss": 2.0}) == "3 [d_loss: 1, g_loss: 2]"

    @pytest.mark.parametrize("terminal", [False, True])
    def test_the_progress_bar_shows_them(self, terminal):
        stream = io.StringIO()
        stream.isatty = lambda: terminal
        assert train(build(), iterations=2, callbacks=[ProgressBar(stream)])["status"] == "completed"
        assert re.search(r"cycle_loss:? \d", stream.getvalue())


class TestRefused:
    def test_players_that_are_none(self):
        G, D, other = network("cpu"), network("cpu"), network("reference")
        adam = mg.Adam(G)
        for players, message in (
            ({}, "players is empty; expected one or more, by name"),
            ({"G": (G, adam)}, r"players\['G'\] is .*; expected Player\(network, optimizer\)"),
            ({"a/b": mg.Player(G, adam)}, "a player is named 'a/b'; expected a Python identifier"),
            ({"G": mg.Player(G, adam), "F": mg.Player(G, adam)}, "players 'G' and 'F' have one network"),
            (
                {"G": mg.Player(G, adam), "R": mg.Player(other, mg.Adam(other))},
                "different backends: G on 'cpu', R on 'reference'; expected one backend",
            ),
        ):
            with pytest.raises((ValueError, TypeError), match=message):
                mg.Game(players)
        with pytest.raises(ValueError, match=r"the Adam belongs to another network; expected Adam\(net"):
            mg.Player(D, adam)

    @pytest.mark.parametrize(
        ("names", "message"),
        [
            (("streams",), "a player is named 'streams', which checkpoints use for something else"),
            (("D", "optimizer_D"), "a player is named 'optimizer_D', which checkpoints use"),
            (("G", "g"), "the players G, g share a file name"),
        ],
    )
    def test_names_that_files_cannot_tell_apart(self, names, message, in_tmp):
        networks = [network("cpu") for _ in names]
        game = mg.Game({name: mg.Player(net, mg.Adam(net)) for name, net in zip(names, networks, strict=True)})
        with pytest.raises(ValueError, match=message):
            train(Experiment("named", game, game.play, 1, random_streams(0)), folder="run")
        assert not Path("run").exists()

    def test_a_game_without_an_iteration(self):
        game = build().game
        with pytest.raises(NotImplementedError, match="Game does not define iteration"):
            mg.Game(game.players, draws={}).play()

    def test_a_gan_without_a_schedule(self):
        G, D = dense_gan()
        gan = mg.GAN(G, D, mg.Adam(G), mg.Adam(D), mg.NonSaturating())
        with pytest.raises(ValueError, match="the GAN has no schedule; expected GAN"):
            gan.play()

    def test_the_gan_of_another_game(self):
        with pytest.raises(AttributeError, match="the game of 'cyclegan' is a CycleGAN; expected a GAN"):
            build().gan  # noqa: B018


def network(ops):
    return mg.Network([mg.Dense(2, 1)], rng=np.random.default_rng(0), ops=ops)


def test_a_gan_with_a_schedule_plays_itself():
    x, z = np.ones((6, 4)), np.ones((6, 3))
    games = []
    for own in (True, False):
        G, D = dense_gan()
        draws = {"real": lambda: x, "noise": lambda: z}
        gan = mg.GAN(
            G, D, mg.Adam(G), mg.Adam(D), mg.NonSaturating(), rng=np.random.default_rng(0),
            **({"draws": draws, "schedule": mg.alternating} if own else {}),
        )  # fmt: skip
        gan.metrics(gan.play() if own else mg.alternating(gan, draws["real"], draws["noise"]))
        games.append(gan)
    assert bytes_of(games[0]) == bytes_of(games[1])


def test_a_deep_copy_plays_on_its_own():
    game = build().game
    twin, before = copy.deepcopy(game), bytes_of(game)
    assert all(player.optimizer.net is player.network for player in twin.players.values())
    twin.play()
    assert bytes_of(game) == before
    assert bytes_of(twin) != before


class LeastSquares:
    """J_D = mean (s_real - 1)^2 + mean s_fake^2,  J_G = mean (s_fake - 1)^2   (Mao et al. 2017)."""

    def discriminator(self, s_real, s_fake, *, ops=None):
        real, ds_real = self.one_side(s_real, real=True)
        fake, ds_fake = self.one_side(s_fake, real=False)
        return real + fake, ds_real, ds_fake

    def one_side(self, s, *, real, ops=None):
        error = s - int(real)
        return (error * error).sum() / len(s), 2 * error / len(s)

    def generator(self, s_fake, *, ops=None):
        return self.one_side(s_fake, real=True)

    def probability(self, s, *, ops=None):
        return s.reshape(-1).clip(0, 1)


@pytest.mark.parametrize("schedule", [mg.alternating, mg.simultaneous])
def test_an_objective_of_ones_own(schedule):
    """N(0, 1) to N(4, 1/4): the mean of G's samples approaches 4."""
    streams = random_streams(0)
    G = mg.Network([mg.Dense(1, 1)], rng=streams["weights_G"])
    D = mg.Network([mg.Dense(1, 16), mg.LeakyReLU(0.2), mg.Dense(16, 1)], rng=streams["weights_D"])
    draws = {
        "real": lambda: streams["data"].normal(4, 0.5, (64, 1)),
        "noise": lambda: streams["noise"].standard_normal((64, 1)),
    }
    adams = (mg.Adam(net, lr=0.01, beta1=0.5) for net in (G, D))
    gan = mg.GAN(G, D, *adams, LeastSquares(), draws=draws, schedule=schedule)
    summary = train(Experiment("least squares", gan, gan.play, 800, streams))
    assert summary["status"] == "completed"
    assert float(G.parameters()["0.b"][0]) == pytest.approx(4, abs=0.2)
    assert 0 <= summary["metrics"]["d_fake"] <= 1
