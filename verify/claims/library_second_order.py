r"""Claims: the library's second derivatives by hand, the pushforward of every layer, and gradient penalties.

A pushforward returns y and y_dot = J x_dot, and the pullback of both.  For L = <dy, y> + <dy_dot, J x_dot>

    dL/d(dy), dL/d(dy_dot)              must be y and y_dot
    dL/dx, dL/dx_dot, dL/dtheta         must be what the pullback returns

L itself is computed by `forward` and its pullback, as <dy, y> + <x_dot, J^T dy_dot>.
"""

from collections.abc import Iterator
from functools import partial

from minigan.layers.base import Layer
from verify.claims.library_balls import FORWARD_MODE, TINY
from verify.claims.library_gradients import BACKENDS, Fault, kebab, planted, unchanged
from verify.engine.proof import Proof
from verify.engine.registry import Source, claim
from verify.library.differentiable import Differentiable, check_direction, check_enclosed, check_tensors, relative
from verify.library.second_order import PENALTIES, of_penalty, of_pushforward
from verify.library.subjects import LAYERS

LATEX = r"\dot y = J \dot x,\quad \bar x = J^{\mathsf T}\bar y + \partial_x\langle\bar{\dot y}, J\dot x\rangle,"
LATEX += r"\quad \bar{\dot x} = J^{\mathsf T}\bar{\dot y}"
LATEX_PENALTY = (
    r"\nabla_\theta \sum_n \varphi(\nabla_x D(x_n)) = \nabla_\theta \sum_n D'(x_n)\,\varphi'(\nabla_x D(x_n))"
)


def modes(layer: Layer) -> list[bool]:
    """Return the modes, True in training, in which a layer has a pushforward: those in which it mixes no examples."""
    return [train for train in (True, False) if not layer.mixes_examples(train=train)]


def pushforwards(
    proof: Proof, kind: str, repeats: int, backends: tuple[str, ...]
) -> Iterator[tuple[str, Differentiable]]:
    """Yield both functions of a layer's pushforward, in training (without batch norm) and at inference."""
    for name, (layer, shape) in LAYERS[kind].items():
        for ops in backends:
            for train in modes(layer):
                for k in range(repeats):
                    label = f"{name}, {ops}, {'train' if train else 'infer'}, {k}"
                    of_inputs, of_cotangents = of_pushforward(layer, shape, proof.rng, train=train, ops=ops)
                    yield f"{label}, pullback", of_inputs
                    yield f"{label}, outputs", of_cotangents


def faulty(f: Differentiable, fault: Fault, tensor: str) -> Differentiable:
    """Return f with the fault, if it has the tensor."""
    return fault(f) if tensor in f.tensors else f


def check_layer(proof: Proof, kind: str, fault: Fault = unchanged, tensor: str = "") -> None:
    """Check every tensor and a direction by the complex step."""
    worst = []
    for name, right in pushforwards(proof, kind, proof.scale(quick=1, full=4, deep=16), BACKENDS):
        f = faulty(right, fault, tensor)
        worst.append(check_tensors(proof, name, f))
        check_direction(proof, name, f, proof.rng.standard_normal(len(f.point)))
    proof.note("largest |d| / max |g|", f"{max(worst):.2g}")


def enclose_layer(proof: Proof, kind: str, fault: Fault = unchanged, tensor: str = "") -> None:
    """Enclose every entry of every tensor."""
    proof.lemma(FORWARD_MODE)
    functions = pushforwards(proof, kind, proof.scale(quick=1, full=2, deep=8), ("cpu",))
    worst = [check_enclosed(proof, name, faulty(f, fault, tensor)) for name, f in functions]
    proof.note("rounding in float64, in max |g|", f"{max(worst):.2g}")


def check_penalty(proof: Proof, name: str, fault: Fault = unchanged) -> None:
    """Check dP/dtheta by the complex step, on both backends."""
    worst = []
    for ops in BACKENDS:
        for k in range(proof.scale(quick=1, full=4, deep=16)):
            f = fault(of_penalty(PENALTIES[name], proof.rng, ops=ops))
            worst.append(check_tensors(proof, f"{ops}, {k}", f))
            check_direction(proof, f"{ops}, {k}", f, proof.rng.standard_normal(len(f.point)))
    proof.note("largest |d| / max |g|", f"{max(worst):.2g}")


def enclose_penalty(proof: Proof, name: str, fault: Fault = unchanged) -> None:
    """Enclose every entry of dP/dtheta."""
    proof.lemma(FORWARD_MODE)
    for k in range(proof.scale(quick=1, full=2, deep=8)):
        check_enclosed(proof, str(k), fault(of_penalty(PENALTIES[name], proof.rng)))


def _register() -> None:
    for kind, subjects in LAYERS.items():
        layer = next(iter(subjects.values()))[0]
        if not modes(layer):
            continue
        directions = [] if kind == "Embedding" else ["y_dot", "x_dot"]  # E[k] does not depend on x
        tensors = [*directions, *(f"0.{name}" for name in layer.parameters())]
        for topic, check, size, rigor, points in (
            ("second-order", check_layer, 1e-6, "float", "random float64 points; at kinks nothing is claimed"),
            ("second-order-balls", enclose_layer, TINY, "ball", "at the random float64 points that were drawn"),
        ):
            written = "1e-6" if rigor == "float" else "2^-40"
            wrong = relative(1 + size)
            claim(
                f"Lib.{topic}.{kebab(kind)}",
                f"The pushforward of {kind} is J x_dot, and its pullback is the derivative of both."
                if rigor == "float"
                else f"Every number of the pushforward of {kind} and of its pullback is enclosed.",
                latex=LATEX,
                source=Source("minigan", f"layers.{kind}"),
                rigor=rigor,
                idea="Forward over reverse against the first-order pullback: <dy_dot, J x_dot> = <x_dot, J^T dy_dot>.",
                controls={
                    f"d{t} times 1 + {written}": partial(check, kind=kind, fault=planted(t, wrong), tensor=t)
                    for t in tensors
                },
                assumptions=(points, *(("at inference only",) if modes(layer) == [False] else ())),
            )(partial(check, kind=kind))
    for name in PENALTIES:
        for topic, run, size, rigor in (
            ("penalty", check_penalty, 1e-6, "float"),
            ("penalty-balls", enclose_penalty, TINY, "ball"),
        ):
            claim(
                f"Lib.{topic}.{name}",
                f"The parameter gradient of the penalty {name!r} is the derivative of the penalty."
                if rigor == "float"
                else f"Every entry of the parameter gradient of the penalty {name!r} is enclosed.",
                latex=LATEX_PENALTY,
                source=Source("minigan", "gan.penalties"),
                rigor=rigor,
                idea="One tangent pass along phi'(grad_x D), one pullback; compared with P itself, by grad_x D.",
                controls={
                    f"d{t} times 1 + {'1e-6' if rigor == 'float' else '2^-40'}": partial(
                        run, name=name, fault=planted(t, relative(1 + size))
                    )
                    for t in ("0.W", "0.b", "6.W")
                },
                assumptions=("at random float64 parameters and batches; at kinks nothing is claimed",),
            )(partial(run, name=name))


_register()
