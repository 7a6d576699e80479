"""The recipes' games in JAX: an iteration is one compiled function from the state of the game to the next state.

    world <- step(world, drawn)

`world` holds, for each network, p (parameters), s (running statistics) and o (the optimizer's moments).  `drawn` holds
the iteration's inputs: real examples x, noise z, the source of dropout masks, and scheduled rates.  Batches and
noise come from minigan's streams, drawn with NumPy; the updates of one iteration (20 in some games) are unrolled, so
that XLA optimizes them together.  `world` is donated: its memory is reused for the next state.
"""

from collections.abc import Callable
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from benchmarks.cases.games import Case, build, real_batches
from benchmarks.rivals.jax.twin import Tree, function, masks, optimizer, tree
from minigan.gan import eval_fakes, eval_mode, train_mode_tracking
from minigan.recipes import Recipe
from minigan.training import Experiment

Step = Callable[[Tree, Tree], Tree]


class Game:
    """One iteration of a recipe in JAX is `play()`.

    checked   minigan's dropout masks, for the comparison; timed games draw their own with `jax.random`
    """

    def __init__(
        self,
        case: Case,
        *,
        small: bool = False,
        dtype: str = "float32",
        settings: dict[str, Any] | None = None,
        checked: bool = False,
    ) -> None:
        found: tuple[Recipe, Any, Experiment] = build(case, small=small, dtype=dtype, settings=settings)
        self.recipe, self.config, experiment = found
        self.dtype, self.checked, self.iteration = np.dtype(dtype), checked, 0
        self.streams, self.gan = experiment.streams, experiment.gan
        chains = self.recipe.architecture(self.config)
        self.shapes = {"G": chains.noise_shape, "D": chains.data_shape}
        self.nets = {"G": self.gan.G, "D": self.gan.D}
        self.optimizers = {"G": optimizer(self.gan.optimizer_G), "D": optimizer(self.gan.optimizer_D)}
        self.real = real_batches(case, self.config, self.streams, self.dtype)
        order, self.noises, self.passes = _rules(case.recipe, self.config, self.gan.fake_mode is eval_fakes)
        with jax.enable_x64(dtype == "float64"):
            self.key = jax.random.key(0)
            self.world = {name: self._player(name) for name in ("G", "D")}
            self.step: Step = jax.jit(partial(order, Rules(self)), donate_argnums=0)

    def _player(self, name: str) -> Tree:
        p = tree(self.nets[name].parameters())
        return {"p": p, "s": tree(self.nets[name].state), "o": self.optimizers[name].init(p)}

    def play(self) -> None:
        """Run one iteration and wait for its result."""
        self.iteration += 1
        with jax.enable_x64(self.dtype == np.float64):
            self.world = jax.block_until_ready(self.step(self.world, self._draw()))

    def _draw(self) -> Tree:
        z = [self.recipe.prior(self.config, n, self.streams["noise"]).astype(self.dtype) for n in self.noises]
        rates = {
            name: [self.dtype.type(rate) for rate in one.rates(self.iteration)] for name, one in self.optimizers.items()
        }
        return {"x": self.real(), "z": z, "drops": self._drops(), "rates": rates}

    def _drops(self) -> Any:
        """Return the source of dropout masks for each pass in training mode: a key, or minigan's masks.

        All passes' keys are split from one within the compiled function.
        """
        if self.checked:
            rng = self.streams["dropout"]
            return [masks(self.nets[name], self.shapes[name], n, rng) for name, n in self.passes]
        return jax.random.fold_in(self.key, self.iteration)

    def difference(self, gan: Any) -> float:
        """Return the largest absolute difference from minigan's parameters and running statistics."""
        worst = 0.0
        for name, net in (("G", gan.G), ("D", gan.D)):
            there = {**self.world[name]["p"], **self.world[name]["s"]}
            for key, value in {**net.parameters(), **net.state}.items():
                worst = float(np.maximum(worst, np.abs(np.asarray(there[key]) - value).max()))  # NaN stays
        return worst


def _rules(
    recipe: str, config: Any, inference: bool
) -> tuple[Callable[..., Tree], tuple[int, ...], list[tuple[str, int]]]:
    """Return the schedule, the sizes of the batches of noise, and the passes in training mode in their order.

    `inference`: whether G makes the fakes for D in inference mode, which draws nothing for dropout.
    """
    n = config.batch_size
    fakes = [] if inference else [("G", n)]
    if recipe in ("mnist-dense", "gaussian"):
        return _same_batch, (n,), [("D", 2 * n)] * config.d_updates + [("G", n), ("D", n)] * config.g_updates
    return {
        "mnist-dcgan": (_split, (n,), [*fakes, ("D", n), ("D", n), ("G", n), ("D", n)]),
        "dcgan64": (_alternating, (n, n), [*fakes, ("D", n), ("D", n), ("G", n), ("D", n)]),
        "mnist-softmax": (_softmax, (n // 2, n), [("D", n), ("G", n), ("D", n)]),
        "mnist-maxout": (_simultaneous, (n,), [("G", n), ("D", n), ("D", n)]),
    }[recipe]


class Rules:
    """Pure functions shared by the games: networks, updates, and the frozen D in the recipe's mode.

    They take a `world` and return a new one; they differentiate with respect to one network's p.
    """

    def __init__(self, game: Game) -> None:
        self.G, self.D = function(game.gan.G), function(game.gan.D)
        self.optimizers, self.passes, self.frozen_d_mode = game.optimizers, len(game.passes), game.gan.frozen_d_mode
        self.fake_mode, self.config = game.gan.fake_mode, game.config

    def drops(self, drawn: Tree) -> Any:
        """Return an iterator over the sources of dropout masks, one per pass."""
        drops = drawn["drops"]
        return iter(drops if isinstance(drops, list) else jax.random.split(drops, self.passes))

    def fakes(self, world: Tree, z: jax.Array, drops: Any) -> tuple[jax.Array, Tree]:
        """Return G(z), in the mode in which the recipe makes the fakes for D, and the world after it."""
        G = world["G"]
        if self.fake_mode is eval_fakes:
            return self.G(G["p"], G["s"], z, None, train=False)[0], world
        x, state = self.G(G["p"], G["s"], z, next(drops))
        return x, {**world, "G": {**G, "s": state}}

    def descend(self, world: Tree, name: str, g: Tree, drawn: Tree) -> Tree:
        """Take one optimizer step with gradient g on one network."""
        player = world[name]
        p, o = self.optimizers[name].update(player["p"], g, player["o"], drawn["rates"][name])
        return {**world, name: {**player, "p": p, "o": o}}

    def update_D(self, world: Tree, x: jax.Array, labels: jax.Array, drops: Any, drawn: Tree) -> Tree:
        """Update D by the cost of one labelled batch."""

        def loss(p: Tree) -> tuple[jax.Array, Tree]:
            s, state = self.D(p, world["D"]["s"], x, drops)
            return cost(s, labels), state

        g, state = jax.grad(loss, has_aux=True)(world["D"]["p"])
        return self.descend({**world, "D": {**world["D"], "s": state}}, "D", g, drawn)

    def update_G(self, world: Tree, z: jax.Array, drops_G: Any, drops_D: Any, drawn: Tree) -> Tree:
        """Update G by its non-saturating cost (the label is "real"); D's parameters are constants."""
        G, D = world["G"], world["D"]

        def loss(p: Tree) -> tuple[jax.Array, tuple[Tree, Tree]]:
            x, state_G = self.G(p, G["s"], z, drops_G)
            s, state_D = self.D(D["p"], D["s"], x, drops_D, train=self.frozen_d_mode is not eval_mode)
            return cost(s, jnp.ones(len(z), s.dtype)), (state_G, state_D)

        g, (state_G, state_D) = jax.grad(loss, has_aux=True)(G["p"])
        kept = state_D if self.frozen_d_mode is train_mode_tracking else D["s"]
        return self.descend({"G": {**G, "s": state_G}, "D": {**D, "s": kept}}, "G", g, drawn)


def cost(s: jax.Array, labels: jax.Array) -> jax.Array:
    """Return the mean cross-entropy.    s (N, 1) logits, or (N, 2) with column 1 for "real"   labels (N,), 1: real"""
    if s.shape[1] == 1:
        real, fake = jax.nn.log_sigmoid(s[:, 0]), jax.nn.log_sigmoid(-s[:, 0])
    else:
        fake, real = jax.nn.log_softmax(s).T
    return -(labels * real + (1 - labels) * fake).mean()


# --- schedules ------------------------------------------------------------------------------------


def _split(rules: Rules, world: Tree, drawn: Tree) -> Tree:
    drops, x, (z,) = rules.drops(drawn), drawn["x"], drawn["z"]
    (x_fake, world), ones = rules.fakes(world, z, drops), jnp.ones(len(z), z.dtype)
    world = rules.update_D(world, x, ones, next(drops), drawn)
    world = rules.update_D(world, x_fake, 0 * ones, next(drops), drawn)
    return rules.update_G(world, z, next(drops), next(drops), drawn)


def _alternating(rules: Rules, world: Tree, drawn: Tree) -> Tree:
    """Run D on real and on fake examples in turn, with batch statistics of each; update by the sum of both costs."""
    drops, x, (z, z_G) = rules.drops(drawn), drawn["x"], drawn["z"]
    x_fake, world = rules.fakes(world, z, drops)
    drops_real, drops_fake, ones = next(drops), next(drops), jnp.ones(len(z), z.dtype)

    def loss(p: Tree) -> tuple[jax.Array, Tree]:
        s_real, state = rules.D(p, world["D"]["s"], x, drops_real)
        s_fake, state = rules.D(p, state, x_fake, drops_fake)
        return cost(s_real, ones) + cost(s_fake, 0 * ones), state

    g, state = jax.grad(loss, has_aux=True)(world["D"]["p"])
    moved = {**world, "D": {**world["D"], "s": state}}
    return rules.update_G(rules.descend(moved, "D", g, drawn), z_G, next(drops), next(drops), drawn)


def _joined(rules: Rules, world: Tree, x: jax.Array, z: jax.Array) -> tuple[jax.Array, jax.Array]:
    """Return real examples and fakes, which G makes in inference mode, as one batch, and its labels."""
    labels = jnp.concatenate([jnp.ones(len(x), z.dtype), jnp.zeros(len(z), z.dtype)])
    return jnp.concatenate([x, rules.fakes(world, z, iter(()))[0]]), labels


def _softmax(rules: Rules, world: Tree, drawn: Tree) -> Tree:
    drops, (z, z_G) = rules.drops(drawn), drawn["z"]
    x, labels = _joined(rules, world, drawn["x"], z)
    world = rules.update_D(world, x, labels, next(drops), drawn)
    return rules.update_G(world, z_G, next(drops), next(drops), drawn)


def _same_batch(rules: Rules, world: Tree, drawn: Tree) -> Tree:
    drops, (z,) = rules.drops(drawn), drawn["z"]
    x, labels = _joined(rules, world, drawn["x"], z)
    for _ in range(rules.config.d_updates):
        world = rules.update_D(world, x, labels, next(drops), drawn)
    for _ in range(rules.config.g_updates):
        world = rules.update_G(world, z, next(drops), next(drops), drawn)
    return world


def _simultaneous(rules: Rules, world: Tree, drawn: Tree) -> Tree:
    """Run G once, and D once on real and once on fake examples; D's pullback at the fakes serves both players."""
    drops_G, drops_real, drops_fake = rules.drops(drawn)
    (z,), G, D = drawn["z"], world["G"], world["D"]
    x_fake, back_G, state_G = jax.vjp(lambda p: rules.G(p, G["s"], z, drops_G), G["p"], has_aux=True)
    s_real, back_real, state = jax.vjp(lambda p: rules.D(p, D["s"], drawn["x"], drops_real), D["p"], has_aux=True)
    s_fake, back_fake, state_D = jax.vjp(lambda p, x: rules.D(p, state, x, drops_fake), D["p"], x_fake, has_aux=True)
    ds, ones = jax.grad(cost), jnp.ones(len(z), z.dtype)
    (g_real,), (g_fake, _) = back_real(ds(s_real, ones)), back_fake(ds(s_fake, 0 * ones))
    (g_G,) = back_G(back_fake(ds(s_fake, ones))[1])
    g_D = jax.tree.map(lambda a, b: (a + b) / 2, g_real, g_fake)
    moved = {"G": {**G, "s": state_G}, "D": {**D, "s": state_D}}
    return rules.descend(rules.descend(moved, "D", g_D, drawn), "G", g_G, drawn)
