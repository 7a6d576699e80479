r"""Claims: second derivatives through the library's backward passes.

Differentiating a backward pass gives H v, a column of the Hessian.  It is right if it is the second derivative of the
forward pass alone (u^T H v by nested duals), and the Hessian is symmetric: <u, H v> = <v, H u>.
"""

from collections.abc import Callable, Iterator
from functools import partial

import numpy as np
from flint import arb

from verify.arithmetic.dual import Dual, along, balls, each, row, slopes, variables
from verify.claims.library_gradients import planted, unchanged
from verify.engine.float_checks import check_error
from verify.engine.proof import Proof
from verify.engine.registry import Source, claim
from verify.library.differentiable import MAX_TENSOR_ERROR, Differentiable, hessian_product, relative, worst_difference
from verify.library.subjects import GAMES, LAYERS, game, of_layer

Fault = Callable[[Differentiable], Differentiable]


def differentiable_functions(proof: Proof) -> Iterator[tuple[str, Differentiable]]:
    """Yield every layer, and both steps of every game, at random points.

    Parameters
    ----------
    proof : Proof
        Its `rng` draws the points, parameters and cotangents.

    Yields
    ------
    tuple of str and Differentiable
        The name that the checks show, and the function: of (x, theta) for a layer, of theta_D or theta_G for a step.

    """
    for kind, subjects in LAYERS.items():
        for name, (layer, shape) in subjects.items():
            yield f"{kind} {name}", of_layer(layer, shape, proof.rng, train=True)
    for name in GAMES:
        played = game(name, proof.rng)
        yield f"{name}, discriminator step", played.discriminator()
        yield f"{name}, generator step", played.generator()


def with_error_in_first_tensor(f: Differentiable, factor: float | arb) -> Differentiable:
    """Return f with the gradient of its first tensor multiplied by `factor`.

    The first tensor is x for a layer; for a step it is the weights of the player's first layer with parameters.

    Parameters
    ----------
    f : Differentiable
        The function with the right gradient.
    factor : float or arb
        The factor, 1 + the relative error.

    Returns
    -------
    Differentiable
        The same function with the wrong gradient.

    """
    return planted(next(iter(f.tensors)), relative(factor))(f)


def check_products_in_floats(proof: Proof, fault: Fault = unchanged) -> None:
    """Check H v by the complex step through the backward pass against H v in balls, and <u, H v> = <v, H u>.

    Parameters
    ----------
    proof : Proof
        The record of the checks.
    fault : callable
        Applied to every function before its products are computed in floats, but not to the one in balls; by default
        it returns the function unchanged.

    """
    largest_error = largest_asymmetry = 0.0
    for name, right in differentiable_functions(proof):
        f = fault(right)
        u, v = proof.rng.standard_normal((2, len(f.point)))
        Hu, Hv = hessian_product(f, u), hessian_product(f, v)
        exact = np.array([float(x) for x in slopes(right.gradient(along(balls(f.point), balls(v)))).tolist()])
        size = float(np.linalg.norm(exact))
        if size == 0:  # linear: no second derivative
            proof.holds(f"{name}: H v = 0", not Hu.any() and not Hv.any())
            continue
        product_error = float(np.abs(Hv - exact).max() / np.abs(exact).max())
        asymmetry = abs(float(u @ Hv) - float(v @ Hu)) / (size * float(np.linalg.norm(u)))
        check_error(proof, f"{name}: H v", product_error, MAX_TENSOR_ERROR)
        check_error(proof, f"{name}: <u, H v> - <v, H u>", asymmetry, MAX_TENSOR_ERROR)
        largest_error, largest_asymmetry = max(largest_error, product_error), max(largest_asymmetry, asymmetry)
    proof.note("largest error of H v", f"{largest_error:.2g}")
    proof.note("largest asymmetry", f"{largest_asymmetry:.2g}")


claim(
    "Lib.hessian.complex-step",
    "Hessian-vector products computed by a complex step through the backward passes agree with the Hessian enclosed "
    "in balls, and are symmetric.",
    formerly=(
        "The complex step through the library's backward passes gives symmetric Hessian-vector products, those of the "
        "Hessian in balls.",
    ),
    latex=r"H v = \operatorname{Im} g(t + i h v) / h,\quad \langle u, H v\rangle = \langle v, H u\rangle",
    source=Source("minigan", "every layer; gan.discriminator_gradient, generator_gradient"),
    rigor="float",
    idea="The backward pass is analytic code too: a complex step through it differentiates it, without cancellation.",
    controls={
        "dL/dx (or the first weights) times 1 + 1e-6": partial(
            check_products_in_floats, fault=partial(with_error_in_first_tensor, factor=1 + 1e-6)
        )
    },
)(check_products_in_floats)


def check_hessian_in_balls(proof: Proof, fault: Fault = unchanged) -> None:
    """Check the Hessian H by duals through the backward pass: H = H^T, and u^T H v by nested duals forward.

    Parameters
    ----------
    proof : Proof
        The record of the checks.
    fault : callable
        Applied to every function first; by default it returns the function unchanged.

    """
    for name, right in differentiable_functions(proof):
        f = fault(right)
        P = len(f.point)
        H = [row(slope, P) for slope in slopes(f.gradient(variables(f.point))).tolist()]
        proof.zero(f"{name}: H - H^T", worst_difference([H[i][j] - H[j][i] for i in range(P) for j in range(i + 1)]))
        u, v = (balls(proof.rng.integers(-3, 4, P).astype(float)) for _ in range(2))
        inner = along(balls(f.point), v)  # t + v e1
        outer = along(inner, each(lambda x: Dual(x, arb(0)), u))  # + u e2
        nested = f.value(outer)  # the coefficient of e1 e2 is u^T H v
        forward = nested.slope.slope if isinstance(nested, Dual) and isinstance(nested.slope, Dual) else arb(0)
        product = sum((u[i] * H[i][j] * v[j] for i in range(P) for j in range(P)), arb(0))
        proof.zero(f"{name}: u^T H v, backward - forward", product - forward)


claim(
    "Lib.hessian.balls",
    "The derivative of every backward pass is the Hessian: symmetric, and the second derivative of the forward pass.",
    latex=r"\partial g_i / \partial t_j = \partial g_j / \partial t_i = \partial^2 L / \partial t_i \partial t_j",
    source=Source("minigan", "every layer; gan.discriminator_gradient, generator_gradient"),
    rigor="ball",
    idea="Dual numbers through the backward pass carry all rows of H; nested duals through the forward pass, u^T H v.",
    controls={
        "one tensor's gradient times 1 + 2^-40": partial(
            check_hessian_in_balls, fault=partial(with_error_in_first_tensor, factor=1 + 2.0**-40)
        )
    },
    assumptions=("at the random float64 points that were drawn",),
)(check_hessian_in_balls)
