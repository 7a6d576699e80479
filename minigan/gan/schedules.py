"""Update schedules: the order in which an iteration updates D and G.

A schedule is ``schedule(gan, real, noise, **counts)``: `real` and `noise` return the next batch, and it returns the
results of the last step of D and of the last step of G.  Decorate a custom one with `minigan.game.capturable`, so that
CUDA may capture it as a graph.
"""

from minigan._batch import Batch, examples_in, take
from minigan._checks import logit_gradient, require_generator
from minigan.game import Draw, Rng, capturable
from minigan.gan.labels import example_gradient, network_input, with_labels
from minigan.gan.modes import combined, separate, train_fakes, train_mode
from minigan.gan.pair import GAN, StepResults
from minigan.gan.steps import StepResult
from minigan.layers import BatchNorm, Layer
from minigan.layers.base import compute_gradient
from minigan.losses import RelativisticPairing, generator_cost


@capturable
def alternating(gan: GAN, real: Draw, noise: Draw, *, k: int = 1) -> StepResults:
    """Algorithm 1: update D k times on new real data and new noise, then G once on new noise.

    If G's cost compares fakes with real examples (`GAN.needs_real`), G's step gets new real data too.

    Parameters
    ----------
    gan : GAN
        The networks, optimizers and objective.
    real, noise : callable
        Return the next batch of real examples (N, ...) and of noise (M, I), or tuples with labels.
    k : int
        The number of updates of D; 1 as in the experiments of the 2014 paper.

    Returns
    -------
    (StepResult, StepResult)
        The results of the last step of D and of the last step of G.

    Raises
    ------
    ValueError
        If a count is less than 1.

    """
    _require_updates(k=k)
    for _ in range(k):
        seen_D = gan.update_D(real(), gan.fake(noise()))
    return seen_D, gan.update_G(noise(), real()) if gan.needs_real else gan.update_G(noise())


@capturable
def same_batch(gan: GAN, real: Draw, noise: Draw, *, d_updates: int = 10, g_updates: int = 10) -> StepResults:
    """Draw one batch, update D several times on it, then G several times on the same noise.

    If G's cost compares fakes with real examples (`GAN.needs_real`), these are the batch's.

    Parameters
    ----------
    gan : GAN
        The networks, optimizers and objective.
    real, noise : callable
        Return the next batch of real examples (N, ...) and of noise (M, I), or tuples with labels.
    d_updates, g_updates : int
        The numbers of updates of D and of G, each 10 by default.

    Returns
    -------
    (StepResult, StepResult)
        The results of the last step of D and of the last step of G.

    Raises
    ------
    ValueError
        If a count is less than 1.

    """
    _require_updates(d_updates=d_updates, g_updates=g_updates)
    z = noise()
    x_fake = gan.fake(z)
    x_real = real()
    for _ in range(d_updates):
        seen_D = gan.update_D(x_real, x_fake)
    for _ in range(g_updates):
        seen_G = gan.update_G(z, x_real)
    return seen_D, seen_G


@capturable
def split_batch(gan: GAN, real: Draw, noise: Draw) -> StepResults:
    """Update D on a batch of real examples, then D on a batch of fakes, then G on the noise of those fakes.

    The cost of D in the result is the mean of both, as tutorials average Keras's two ``train_on_batch`` calls; each
    update descends its own cost, not half of it.

    Parameters
    ----------
    gan : GAN
        The networks, optimizers and objective.
    real, noise : callable
        Return the next batch of real examples (N, ...) and of noise (M, I), or tuples with labels.

    Returns
    -------
    (StepResult, StepResult)
        The results of the last step of D and of the last step of G.

    Raises
    ------
    ValueError
        If the objective compares real examples with fakes, or there are gradient penalties, each of which belongs to
        one update on both; nothing has been drawn then.

    """
    if gan.penalties:
        raise ValueError(
            "penalties belong to an update of D on real examples and fakes; split_batch updates D on one kind at a "
            "time: use alternating, same_batch or simultaneous"
        )
    if gan.needs_real:
        kind = type(gan.objective).__name__
        raise ValueError(
            f"objective is {kind}, which compares real examples with fakes; split_batch updates D on one kind at a "
            "time: use alternating, same_batch or simultaneous"
        )
    z = noise()
    x_fake = gan.fake(z)
    cost_real, s_real = gan.update_D_one_side(real(), real=True)
    cost_fake, s_fake = gan.update_D_one_side(x_fake, real=False)
    return StepResult((cost_real + cost_fake) / 2, s_real, s_fake), gan.update_G(z)


@capturable
def simultaneous(gan: GAN, real: Draw, noise: Draw) -> StepResults:
    """Compute both gradients at the same parameters and on one batch, then update both (the code of the 2014 paper).

    Both players share one pass of G and one pass of D on its samples: D's pullback runs twice, with parameter gradients
    for D and frozen for G.  D's running statistics are updated once.

    Parameters
    ----------
    gan : GAN
        The networks, optimizers and objective.
    real, noise : callable
        Return the next batch of real examples (N, ...) and of noise (M, I), or tuples with labels.

    Returns
    -------
    (StepResult, StepResult)
        The results of the last step of D and of the last step of G.

    Raises
    ------
    ValueError
        If the GAN's `d_batching`, `fake_mode` or `frozen_d_mode` is not the default one, as there is one pass.

    """
    _require_one_pass(gan)
    G, D, objective = gan.G, gan.D, gan.objective
    z = noise()
    x_fake, back_G = G.forward(network_input(G, z), train=True, rng=gan.rng)
    d_input = with_labels(x_fake, z)
    x_real = real()
    s_real, back_real = D.forward(network_input(D, x_real), train=True, rng=gan.rng)
    s_fake, back_fake = D.forward(network_input(D, d_input), train=True, rng=gan.rng)
    value_D, ds_real, ds_fake = objective.discriminator(s_real, s_fake, ops=D.ops)
    value_G, ds_for_G = generator_cost(objective, s_fake, s_real, ops=D.ops)
    ds_real = logit_gradient("ds_real", ds_real, s_real, objective)
    ds_fake, ds_for_G = (logit_gradient("ds_fake", ds, s_fake, objective) for ds in (ds_fake, ds_for_G))
    (g_D, overwrite_D), (g_G, overwrite_G) = D.new_gradient(), G.new_gradient()
    compute_gradient(back_real, ds_real, g_D, overwrite=overwrite_D)
    back_fake(ds_fake, g_D, need_dx=False)
    for penalty in gan.due_penalties:
        value_D = value_D + penalty.add_gradient(D, x_real, d_input, g_D, rng=gan.rng)
    compute_gradient(back_G, example_gradient(D, back_fake(ds_for_G), d_input), g_G, overwrite=overwrite_G)
    gan.optimizer_D.step(g_D)
    gan.optimizer_G.step(g_G)
    return StepResult(value_D, s_real, s_fake), StepResult(value_G, s_real if gan.needs_real else None, s_fake)


def pretrain(gan: GAN, x_real: Batch, x_fake: Batch, *, batch_size: int, epochs: int = 1, rng: Rng) -> list[float]:
    """Train D alone on a fixed set of real and fake examples in shuffled batches.

    The shuffle decides how many examples of each kind are in a batch: use an objective with ``mean_over_all=True``.
    Batches that D cannot be trained on are skipped: those without real or without fake examples (one batch in 2^31, for
    32 examples), and those with a single example of a kind if batch norm computes statistics of each kind
    (``d_batching`` is not `combined`).

    Parameters
    ----------
    gan : GAN
        The game whose D is trained; G does not change.
    x_real, x_fake : array (N, ...), (M, ...), or tuples of such arrays
        The examples and, in a tuple, their labels; at least one of each kind, or two with statistics of each kind.
    batch_size : int
        The number of examples in a batch, of both kinds together; at least 2, or 4 with statistics of each kind.  The
        last batch of an epoch may be smaller.
    epochs : int
        The number of passes over all examples.
    rng : numpy.random.Generator
        The random stream that shuffles the examples before each epoch.

    Returns
    -------
    list of float
        J_D of each batch, before its update.

    Raises
    ------
    ValueError, TypeError
        If a count, the examples or a random stream is invalid (`ShapeError` if the examples do not fit D).  In these
        cases, nothing has been drawn or changed.

    """
    _require_updates(batch_size=batch_size, epochs=epochs)
    if isinstance(gan.objective, RelativisticPairing):
        raise ValueError(
            "objective is RelativisticPairing, which needs as many real examples as fakes; expected an objective that "
            "takes shuffled batches, such as RelativisticAverage"
        )
    least, why = 1, "a batch must hold real and fake"
    if gan.d_batching is not combined and _has_batch_norm(gan.D.chain):
        least, why = 2, "batch norm needs 2 or more examples of each kind"
    if batch_size < 2 * least:
        raise ValueError(f"batch_size must be >= {2 * least}, got {batch_size}: {why}")
    n, n_fake = examples_in("x_real", x_real), examples_in("x_fake", x_fake)
    if min(n, n_fake) < least:
        raise ValueError(f"x_real has {n} examples and x_fake {n_fake}; expected {least} or more of each: {why}")
    if rng is None:
        raise TypeError("rng must be a numpy.random.Generator (np.random.default_rng(seed)), got None")
    require_generator("rng", rng)
    if gan.rng is None and gan.D.chain.n_keys:
        raise ValueError("D draws random numbers in training and needs GAN(..., rng=np.random.Generator), got rng=None")
    for x in (x_real, x_fake):
        gan.D(network_input(gan.D, take(x, slice(0, 1))))  # raises ShapeError if the examples do not fit D
    values = []
    for _ in range(epochs):
        order = rng.permutation(n + n_fake)
        for start in range(0, len(order), batch_size):
            batch = order[start : start + batch_size]
            is_real = batch < n
            if least <= is_real.sum() <= len(batch) - least:
                real, fake = batch[is_real], batch[~is_real] - n
                result = gan.update_D(take(x_real, real), take(x_fake, fake))
                values.append(float(result.loss))
    return values


def _has_batch_norm(layer: Layer) -> bool:
    return isinstance(layer, BatchNorm) or any(map(_has_batch_norm, layer.sublayers().values()))


def _require_updates(**counts: int) -> None:
    for name, count in counts.items():
        if count < 1:
            raise ValueError(f"{name} must be >= 1, got {count!r}")


def _require_one_pass(gan: GAN) -> None:
    for name, expected in (("d_batching", separate), ("fake_mode", train_fakes), ("frozen_d_mode", train_mode)):
        given = getattr(gan, name)
        if given is not expected:
            text = getattr(given, "__name__", repr(given))
            raise ValueError(f"{name} is {text}; expected {expected.__name__}: simultaneous runs each network once")
