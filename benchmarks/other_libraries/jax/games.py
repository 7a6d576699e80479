"""The recipes' games in JAX: an iteration is one compiled function from the state of the game to the next state.

    game_state <- step(game_state, inputs)

`game_state` holds, for each network, p (parameters), s (running statistics) and o (the optimizer's moments).  `inputs`
are those of one iteration: real examples x, noise z, the sources of the dropout masks, and scheduled rates.  Batches
and noise are drawn by NumPy from minigan's streams.  The updates of one iteration (20 in some games) are unrolled, so
that XLA optimizes them together.  `game_state` is donated: its memory is reused for the next state.
"""

from collections.abc import Callable
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from benchmarks.cases.games import Case, build, real_batches
from benchmarks.other_libraries.jax.twin import Tree, dropout_masks, function, optimizer, tree
from minigan.gan import eval_fakes, eval_mode, train_mode_tracking
from minigan.recipes import Recipe
from minigan.training import Experiment

Step = Callable[[Tree, Tree], Tree]


class Game:
    """A recipe's game in JAX; `play` runs one iteration.

    Parameters
    ----------
    case
        The recipe.
    small
        Whether to use the case's small settings.
    dtype
        "float32" or "float64".
    settings
        Hyper-parameters that replace the case's.
    checked
        Whether to use minigan's dropout masks, for the comparison; timed games draw their own with `jax.random`.

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
        schedule, self.noise_sizes, self.passes = _schedule(case.recipe, self.config, self.gan.fake_mode is eval_fakes)
        with jax.enable_x64(dtype == "float64"):
            self.key = jax.random.key(0)
            self.game_state = {name: self._initial_state(name) for name in ("G", "D")}
            self.step: Step = jax.jit(partial(schedule, Updates(self)), donate_argnums=0)

    def _initial_state(self, name: str) -> Tree:
        """Return the p, s and o of a network before the first iteration."""
        p = tree(self.nets[name].parameters())
        return {"p": p, "s": tree(self.nets[name].state), "o": self.optimizers[name].init(p)}

    def play(self) -> None:
        """Run one iteration and wait for its result."""
        self.iteration += 1
        with jax.enable_x64(self.dtype == np.float64):
            self.game_state = jax.block_until_ready(self.step(self.game_state, self._draw()))

    def _draw(self) -> Tree:
        """Draw the inputs of an iteration."""
        z = [self.recipe.prior(self.config, n, self.streams["noise"]).astype(self.dtype) for n in self.noise_sizes]
        rates = {
            name: [self.dtype.type(rate) for rate in one.rates(self.iteration)] for name, one in self.optimizers.items()
        }
        return {"x": self.real(), "z": z, "mask_sources": self._mask_sources(), "rates": rates}

    def _mask_sources(self) -> Any:
        """Return minigan's masks for each pass in training mode, or a key, which the compiled function splits."""
        if self.checked:
            rng = self.streams["dropout"]
            return [dropout_masks(self.nets[name], self.shapes[name], n, rng) for name, n in self.passes]
        return jax.random.fold_in(self.key, self.iteration)

    def difference(self, gan: Any) -> float:
        """Return the largest absolute difference from minigan's parameters and running statistics, those of `gan`."""
        worst = 0.0
        for name, net in (("G", gan.G), ("D", gan.D)):
            mine = {**self.game_state[name]["p"], **self.game_state[name]["s"]}
            for key, value in {**net.parameters(), **net.state}.items():
                worst = float(
                    np.maximum(worst, np.abs(np.asarray(mine[key]) - value).max())
                )  # unlike max(), it propagates NaN
        return worst


def _schedule(
    recipe: str, config: Any, inference: bool
) -> tuple[Callable[..., Tree], tuple[int, ...], list[tuple[str, int]]]:
    """Return the schedule, the sizes of the batches of noise, and (network, batch size) of each pass in training mode.

    `inference`: whether G computes the fakes for D in inference mode, which draws no dropout masks.
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


class Updates:
    """Pure functions that the schedules share: the updates of D and of G, with D frozen as the recipe says.

    They take a game's state and return a new one; an update differentiates with respect to one network's p.
    """

    def __init__(self, game: Game) -> None:
        self.G, self.D = function(game.gan.G), function(game.gan.D)
        self.optimizers, self.passes, self.frozen_d_mode = game.optimizers, len(game.passes), game.gan.frozen_d_mode
        self.fake_mode, self.config = game.gan.fake_mode, game.config

    def mask_sources(self, inputs: Tree) -> Any:
        """Return an iterator over the sources of dropout masks, one per pass in training mode."""
        sources = inputs["mask_sources"]
        return iter(sources if isinstance(sources, list) else jax.random.split(sources, self.passes))

    def fakes(self, game_state: Tree, z: jax.Array, masks: Any) -> tuple[jax.Array, Tree]:
        """Return G(z), in the recipe's mode for fakes, and the game's state after it."""
        G = game_state["G"]
        if self.fake_mode is eval_fakes:
            return self.G(G["p"], G["s"], z, None, train=False)[0], game_state
        x, state = self.G(G["p"], G["s"], z, next(masks))
        return x, {**game_state, "G": {**G, "s": state}}

    def optimizer_step(self, game_state: Tree, name: str, g: Tree, inputs: Tree) -> Tree:
        """Take one optimizer step with gradient g on one network."""
        net = game_state[name]
        p, o = self.optimizers[name].update(net["p"], g, net["o"], inputs["rates"][name])
        return {**game_state, name: {**net, "p": p, "o": o}}

    def update_D(self, game_state: Tree, x: jax.Array, labels: jax.Array, masks: Any, inputs: Tree) -> Tree:
        """Update D by the cost of one labelled batch."""

        def loss(p: Tree) -> tuple[jax.Array, Tree]:
            s, state = self.D(p, game_state["D"]["s"], x, masks)
            return cost(s, labels), state

        g, state = jax.grad(loss, has_aux=True)(game_state["D"]["p"])
        return self.optimizer_step({**game_state, "D": {**game_state["D"], "s": state}}, "D", g, inputs)

    def update_G(self, game_state: Tree, z: jax.Array, masks_G: Any, masks_D: Any, inputs: Tree) -> Tree:
        """Update G by its non-saturating cost (the label is "real"); D's parameters are constants."""
        G, D = game_state["G"], game_state["D"]

        def loss(p: Tree) -> tuple[jax.Array, tuple[Tree, Tree]]:
            x, state_G = self.G(p, G["s"], z, masks_G)
            s, state_D = self.D(D["p"], D["s"], x, masks_D, train=self.frozen_d_mode is not eval_mode)
            return cost(s, jnp.ones(len(z), s.dtype)), (state_G, state_D)

        g, (state_G, state_D) = jax.grad(loss, has_aux=True)(G["p"])
        state_D = state_D if self.frozen_d_mode is train_mode_tracking else D["s"]
        return self.optimizer_step({"G": {**G, "s": state_G}, "D": {**D, "s": state_D}}, "G", g, inputs)


def cost(s: jax.Array, labels: jax.Array) -> jax.Array:
    """Return the mean cross-entropy.    s (N, 1) logits, or (N, 2) with column 1 for "real"   labels (N,), 1 for "real"

    A scalar in the dtype of s.
    """
    if s.shape[1] == 1:
        real, fake = jax.nn.log_sigmoid(s[:, 0]), jax.nn.log_sigmoid(-s[:, 0])
    else:
        fake, real = jax.nn.log_softmax(s).T
    return -(labels * real + (1 - labels) * fake).mean()


# --- schedules: one iteration of each recipe, from game_state to the next --------------------------


def _split(updates: Updates, game_state: Tree, inputs: Tree) -> Tree:
    masks, x, (z,) = updates.mask_sources(inputs), inputs["x"], inputs["z"]
    (x_fake, game_state), ones = updates.fakes(game_state, z, masks), jnp.ones(len(z), z.dtype)
    game_state = updates.update_D(game_state, x, ones, next(masks), inputs)
    game_state = updates.update_D(game_state, x_fake, 0 * ones, next(masks), inputs)
    return updates.update_G(game_state, z, next(masks), next(masks), inputs)


def _alternating(updates: Updates, game_state: Tree, inputs: Tree) -> Tree:
    """Run D on real and on fake examples separately, with batch statistics of each; update by the sum of both costs."""
    masks, x, (z, z_G) = updates.mask_sources(inputs), inputs["x"], inputs["z"]
    x_fake, game_state = updates.fakes(game_state, z, masks)
    masks_real, masks_fake, ones = next(masks), next(masks), jnp.ones(len(z), z.dtype)

    def loss(p: Tree) -> tuple[jax.Array, Tree]:
        s_real, state = updates.D(p, game_state["D"]["s"], x, masks_real)
        s_fake, state = updates.D(p, state, x_fake, masks_fake)
        return cost(s_real, ones) + cost(s_fake, 0 * ones), state

    g, state = jax.grad(loss, has_aux=True)(game_state["D"]["p"])
    updated = {**game_state, "D": {**game_state["D"], "s": state}}
    return updates.update_G(updates.optimizer_step(updated, "D", g, inputs), z_G, next(masks), next(masks), inputs)


def _combined_batch(updates: Updates, game_state: Tree, x: jax.Array, z: jax.Array) -> tuple[jax.Array, jax.Array]:
    """Return real examples and fakes, computed in inference mode, as one batch, and its labels."""
    labels = jnp.concatenate([jnp.ones(len(x), z.dtype), jnp.zeros(len(z), z.dtype)])
    return jnp.concatenate([x, updates.fakes(game_state, z, iter(()))[0]]), labels


def _softmax(updates: Updates, game_state: Tree, inputs: Tree) -> Tree:
    masks, (z, z_G) = updates.mask_sources(inputs), inputs["z"]
    x, labels = _combined_batch(updates, game_state, inputs["x"], z)
    game_state = updates.update_D(game_state, x, labels, next(masks), inputs)
    return updates.update_G(game_state, z_G, next(masks), next(masks), inputs)


def _same_batch(updates: Updates, game_state: Tree, inputs: Tree) -> Tree:
    masks, (z,) = updates.mask_sources(inputs), inputs["z"]
    x, labels = _combined_batch(updates, game_state, inputs["x"], z)
    for _ in range(updates.config.d_updates):
        game_state = updates.update_D(game_state, x, labels, next(masks), inputs)
    for _ in range(updates.config.g_updates):
        game_state = updates.update_G(game_state, z, next(masks), next(masks), inputs)
    return game_state


def _simultaneous(updates: Updates, game_state: Tree, inputs: Tree) -> Tree:
    """Run G once, and D once on real and once on fake examples; both gradients use D's pullback at the fakes."""
    masks_G, masks_real, masks_fake = updates.mask_sources(inputs)
    (z,), G, D = inputs["z"], game_state["G"], game_state["D"]
    x_fake, back_G, state_G = jax.vjp(lambda p: updates.G(p, G["s"], z, masks_G), G["p"], has_aux=True)
    s_real, back_real, state = jax.vjp(lambda p: updates.D(p, D["s"], inputs["x"], masks_real), D["p"], has_aux=True)
    s_fake, back_fake, state_D = jax.vjp(lambda p, x: updates.D(p, state, x, masks_fake), D["p"], x_fake, has_aux=True)
    ds, ones = jax.grad(cost), jnp.ones(len(z), z.dtype)
    (g_real,), (g_fake, _) = back_real(ds(s_real, ones)), back_fake(ds(s_fake, 0 * ones))
    (g_G,) = back_G(back_fake(ds(s_fake, ones))[1])
    g_D = jax.tree.map(lambda a, b: (a + b) / 2, g_real, g_fake)
    updated = {"G": {**G, "s": state_G}, "D": {**D, "s": state_D}}
    return updates.optimizer_step(updates.optimizer_step(updated, "D", g_D, inputs), "G", g_G, inputs)
