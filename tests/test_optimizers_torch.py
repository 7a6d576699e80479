"""PyTorch as an oracle for weight decay, clipping by the norm and groups of parameters, in float64."""

import numpy as np
import pytest
from cases import ON_EACH_BACKEND
from hypothesis import given, settings
from hypothesis import strategies as st

import minigan as mg
from minigan.ops import to_host

torch = pytest.importorskip("torch", reason="PyTorch is not installed (make test-torch installs it)")

pytestmark = pytest.mark.torch
torch.set_num_threads(1)  # tensors of a few numbers: threads would only wait for each other

LAYERS = [mg.Dense(3, 4), mg.Tanh(), mg.Dense(4, 2)]
STEPS = 60


def lr_of(t):
    return 0.05 * 0.5 ** (t / 20)


def rmsprop_after_decay(groups):
    """PyTorch's RMSprop adds its weight decay to the gradient: decouple it by hand."""
    optimizer = torch.optim.RMSprop([{**group, "weight_decay": 0.0} for group in groups], alpha=0.9, eps=1e-8)
    decays, step = [group["weight_decay"] for group in groups], optimizer.step

    def decay_and_step():
        with torch.no_grad():
            for group, weight_decay in zip(optimizer.param_groups, decays, strict=True):
                for p in group["params"]:
                    p.mul_(1 - group["lr"] * weight_decay)
        step()

    optimizer.step = decay_and_step
    return optimizer


PAIRS = {
    "adamw": (mg.Adam, lambda groups: torch.optim.AdamW(groups, betas=(0.9, 0.999), eps=1e-8)),
    "sgd": (mg.SGD, torch.optim.SGD),
    "rmsprop": (mg.RMSProp, rmsprop_after_decay),
}


@ON_EACH_BACKEND
@pytest.mark.parametrize("name", PAIRS)
@settings(max_examples=15)
@given(
    seed=st.integers(0, 2**32 - 1),
    weight_decay=st.sampled_from([0.0, 1e-2, 1.0]),
    clip_norm=st.sampled_from([None, 0.1, 4.0]),
    bias_decay=st.sampled_from([0.0, 0.5]),
    bias_lr=st.sampled_from([None, 0.0, 0.02]),
)
def test_steps_with_decay_clipping_and_groups(name, ops, seed, weight_decay, clip_norm, bias_decay, bias_lr):
    """Biases are a group of their own.  SGD's decay is coupled in PyTorch, which is the same without momentum."""
    ours, theirs = PAIRS[name]
    net = mg.Network(LAYERS, rng=np.random.default_rng(0), dtype="float64", ops=ops)
    group = {"weight_decay": bias_decay} | ({} if bias_lr is None else {"lr": bias_lr})
    optimizer = ours(net, lr=lr_of, weight_decay=weight_decay, clip_norm=clip_norm, groups={"*.b": group})
    twins = {key: torch.nn.Parameter(torch.tensor(to_host(value))) for key, value in net.parameters().items()}
    weights, biases = ([p for key, p in twins.items() if key.endswith(end)] for end in (".W", ".b"))
    twin = theirs([
        {"params": weights, "lr": lr_of(1), "weight_decay": weight_decay},
        {"params": biases, "lr": lr_of(1), "weight_decay": bias_decay},
    ])  # fmt: skip
    rng = np.random.default_rng(seed)
    for t in range(1, STEPS + 1):
        g = rng.standard_normal(net.theta.size) * rng.choice([0.01, 1.0, 10.0])
        for key, value in net.views(g).items():
            twins[key].grad = torch.tensor(value)
        if clip_norm is not None:
            norm = torch.linalg.vector_norm(torch.tensor(g)).item()
            # clip_grad_norm_ divides by norm + 1e-6; its bound is chosen so that the factor is min(1, c / norm)
            bound = clip_norm * (norm + 1e-6) / norm if norm > clip_norm else 2 * (norm + 1e-6)
            torch.nn.utils.clip_grad_norm_(twins.values(), bound)
        for one, rate in zip(twin.param_groups, (None, bias_lr), strict=True):
            one["lr"] = lr_of(t) if rate is None else rate
        twin.step()
        optimizer.step(g)
    for key, value in net.parameters().items():
        want = twins[key].detach().numpy()
        np.testing.assert_allclose(to_host(value), want, rtol=1e-11, atol=1e-12 * max(1.0, np.abs(want).max()))


@ON_EACH_BACKEND
@given(st.lists(st.floats(-1e6, 1e6), min_size=1, max_size=30), st.floats(1e-3, 1e3))
def test_clipping_by_the_norm(ops, numbers, c):
    g, there = np.array(numbers), torch.nn.Parameter(torch.zeros(len(numbers), dtype=torch.float64))
    there.grad = torch.tensor(g)
    norm = torch.nn.utils.clip_grad_norm_([there], c).item()
    net = mg.Network([mg.Dense(1, 1)], rng=np.random.default_rng(0), ops=ops)
    found = to_host(net.ops.clip_norm(g, c))
    # PyTorch's factor is c / (norm + 1e-6)
    np.testing.assert_allclose(found, there.grad.numpy(), rtol=2e-6 / max(norm, c) + 1e-12, atol=1e-12)
