"""CycleGAN (Zhu et al. 2017): the game of two generators and two discriminators between two unpaired domains.

G_AB maps A to B and G_BA maps B to A; D_A and D_B tell examples of their domain from mapped ones.  With the means over
the examples of a batch and the entries of an example,

    J_G = J_adv(D_B(G_AB(a))) + J_adv(D_A(G_BA(b)))
          + cycle (mean |G_BA(G_AB(a)) - a| + mean |G_AB(G_BA(b)) - b|)
          + identity (mean |G_AB(b) - b| + mean |G_BA(a) - a|)
    J_D = J_D(D_A(a), D_A(pool of G_BA(b))) + J_D(D_B(b), D_B(pool of G_AB(a)))

(eq. 1 to 3 and the identity term of section 5.2).  An iteration computes the gradients of all four players and then
updates them.  This is the order of the published code, which updates both generators first: the gradients of the
discriminators do not depend on that update, because they use the fakes that were computed before it.
"""

from collections.abc import Callable, Mapping
from typing import Any, ClassVar

from minigan._checks import logit_gradient
from minigan._names import unknown
from minigan.game import Draw, Game, Player, Rng, capturable
from minigan.gan.modes import separate, train_mode
from minigan.gan.pool import ImagePool
from minigan.losses import Objective, require_objective
from minigan.ops.protocol import Array, Ops
from minigan.ops.reference import real

NAMES = ("G_AB", "G_BA", "D_A", "D_B")
"""The players, in the order of a run's files."""
DIRECTIONS = (("A", "B"), ("B", "A"))


def l1(error: Array, weight: float, ops: Ops) -> tuple[Any, Array]:
    """Return weight mean |e| and its gradient, weight sign(e) / size.

    The derivative at e = 0 is taken as 0.

    Parameters
    ----------
    error : array (N, ...)
        e = y - x.
    weight : float
        The weight of the term.
    ops : Ops
        The backend of e.

    Returns
    -------
    value : scalar
        The term.
    de : array (N, ...)
        Its gradient with respect to e, and so to y.

    """
    part = real(error)
    sign = (part > 0).astype(error.dtype) - (part < 0).astype(error.dtype)
    scale = weight / error.size
    return scale * (sign * error).sum(), scale * sign


def l2(error: Array, weight: float, ops: Ops) -> tuple[Any, Array]:
    """Return weight mean e^2 and its gradient, 2 weight e / size; arguments and results are those of `l1`."""
    scale = weight / error.size
    return scale * (error * error).sum(), 2 * scale * error


DISTANCES: dict[str, Callable[[Array, float, Ops], tuple[Any, Array]]] = {"l1": l1, "l2": l2}


class CycleGAN(Game):
    """The game of G_AB, G_BA, D_A and D_B.

    Parameters
    ----------
    players : mapping of str to Player
        The players "G_AB", "G_BA", "D_A" and "D_B".  A generator returns arrays of the shape that it reads; a
        discriminator returns one logit for each example.
    objective : Objective
        The costs of the adversarial terms; least squares in the paper.
    a, b : callable
        Functions that return the next batch of each domain: arrays (N, ...) and (M, ...) of one shape without N.
    cycle, identity : float
        The weights of the cycle and of the identity term, >= 0; 10, and 5 for paintings, in the paper.  A term of
        weight 0 is not computed.
    distance : {"l1", "l2"}
        The distance of both terms: the mean absolute value, as in the paper (the default), or the mean square.
    pools : mapping of str to ImagePool, optional
        The pool of past fakes of each domain, "A" and "B"; by default D sees the newest fakes.
    rng : numpy.random.Generator, optional
        The random stream of dropout.

    Raises
    ------
    ValueError
        If the players have other names, a weight is negative, or the distance is unknown.
    TypeError
        If the objective lacks a method.

    Examples
    --------
    >>> import numpy as np, minigan as mg
    >>> rng = np.random.default_rng(0)
    >>> networks = {name: mg.Network([mg.Dense(2, 2 if name[0] == "G" else 1)], rng=rng) for name in NAMES}
    >>> players = {name: mg.Player(net, mg.Adam(net)) for name, net in networks.items()}
    >>> game = CycleGAN(players, mg.NonSaturating(), lambda: rng.random((8, 2)), lambda: -rng.random((8, 2)))
    >>> list(game.metrics(game.play()))
    ['d_loss', 'g_loss', 'cycle_loss', 'identity_loss']

    """

    losses: ClassVar[tuple[str, ...]] = ("d_loss", "g_loss", "cycle_loss", "identity_loss")

    def __init__(
        self,
        players: Mapping[str, Player],
        objective: Objective,
        a: Draw,
        b: Draw,
        *,
        cycle: float = 10.0,
        identity: float = 0.0,
        distance: str = "l1",
        pools: Mapping[str, ImagePool] | None = None,
        rng: Rng | None = None,
    ) -> None:
        if set(players) != set(NAMES):
            raise ValueError(f"players are {', '.join(players)}; expected {', '.join(NAMES)}")
        if distance not in DISTANCES:
            raise ValueError(unknown("distance", distance, DISTANCES))
        for name, weight in (("cycle", cycle), ("identity", identity)):
            if not weight >= 0:
                raise ValueError(f"{name} must be >= 0, got {weight!r}")
        require_objective(objective)
        self.pools = dict(pools or {})
        plans = {f"plan_{name}": self.pools[name].plan if name in self.pools else _no_plan for name in ("A", "B")}
        super().__init__({name: players[name] for name in NAMES}, draws={"a": a, "b": b, **plans}, rng=rng)
        self.objective, self.cycle, self.identity, self.distance = objective, cycle, identity, distance

    def play(self) -> dict[str, Any]:
        """Draw a batch of each domain, compute the gradients of all players, and update them.

        Returns
        -------
        dict
            "d_loss", "g_loss", "cycle_loss" and "identity_loss": the sums over both directions, with their weights.

        """
        results: dict[str, Any] = _iteration(self, **self.draws)
        return results

    def add_gradients(self, x: Mapping[str, Array], plans: Mapping[str, Any], g: Mapping[str, Array]) -> dict[str, Any]:
        """Add the gradients of all players to `g`, and put the fakes into the pools.

        Parameters
        ----------
        x : mapping of str to array
            The batches "A" and "B".
        plans : mapping of str to (array, array), or to an empty tuple
            The indices of the pools "A" and "B" (`ImagePool.plan`).
        g : mapping of str to array (P,)
            The gradient of each player, which is added to.

        Returns
        -------
        dict
            As `play` returns them.

        """
        seen: dict[str, Any] = dict.fromkeys(self.losses, 0.0)
        fakes = {}
        for here, there in DIRECTIONS:
            fakes[there] = self._add_generators(x[here], here, there, g, seen)
        for domain in ("A", "B"):
            shown = self.pools[domain].exchange(fakes[domain], plans[domain]) if domain in self.pools else fakes[domain]
            self._add_discriminator(domain, x[domain], shown, g, seen)
        return seen

    def _add_generators(self, x: Array, here: str, there: str, g: Mapping[str, Array], seen: dict[str, Any]) -> Array:
        """Add the gradients of the terms that begin with x: adversarial, cycle, and identity of the way back."""
        out, home, distance = f"G_{here}{there}", f"G_{there}{here}", DISTANCES[self.distance]
        x = self.network(out).array(x)
        fake, back_out = self.network(out).forward(x, train=True, rng=self.rng)
        s, back_D = train_mode(self.network(f"D_{there}"), fake, rng=self.rng)
        value, ds = self.objective.generator(s, ops=self.ops)
        seen["g_loss"] = seen["g_loss"] + value
        dfake = back_D(logit_gradient("ds_fake", ds, s, self.objective))  # no gradient for D: it is frozen
        if self.cycle:
            again, back_home = self.network(home).forward(fake, train=True, rng=self.rng)
            value, derror = distance(again - x, self.cycle, self.ops)
            seen["cycle_loss"] = seen["cycle_loss"] + value
            dfake = dfake + back_home(derror, g[home])
        back_out(dfake, g[out], need_dx=False)
        if self.identity:
            same, back_same = self.network(home).forward(x, train=True, rng=self.rng)
            value, derror = distance(same - x, self.identity, self.ops)
            seen["identity_loss"] = seen["identity_loss"] + value
            back_same(derror, g[home], need_dx=False)
        return fake

    def _add_discriminator(
        self, domain: str, x: Array, fake: Array, g: Mapping[str, Array], seen: dict[str, Any]
    ) -> None:
        name = f"D_{domain}"
        s_real, s_fake, backward = separate(self.network(name), x, fake, rng=self.rng)
        value, ds_real, ds_fake = self.objective.discriminator(s_real, s_fake, ops=self.ops)
        seen["d_loss"] = seen["d_loss"] + value
        backward(
            logit_gradient("ds_real", ds_real, s_real, self.objective),
            logit_gradient("ds_fake", ds_fake, s_fake, self.objective),
            g[name],
        )


@capturable
def _iteration(game: CycleGAN, a: Draw, b: Draw, plan_A: Draw, plan_B: Draw) -> dict[str, Any]:
    x = {"A": a(), "B": b()}
    plans = {"A": plan_A(), "B": plan_B()}
    g = game.gradients()
    seen = game.add_gradients(x, plans, g)
    game.update(g)
    return seen


def _no_plan() -> tuple[()]:
    """Return no indices, for a game without pools."""
    return ()
