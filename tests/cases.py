"""One list of layers and backends for all tests."""

import numpy as np
from hypothesis import strategies as st

import minigan as mg

BACKENDS = ("reference", "cpu")
OBJECTIVES = (
    mg.Minimax(),
    mg.Minimax(factor=0.5),
    mg.NonSaturating(),
    mg.NonSaturating(factor=0.5, pooled=True),
    mg.SoftmaxTwoClass(),
    mg.SoftmaxTwoClass(factor=1.0, pooled=True),
)

# name -> (layer, input shape without N).  Sizes differ on every axis, so that a swapped axis shows.
LAYERS = {
    "dense": (mg.Dense(3, 5), (3,)),
    "dense 1-O": (mg.Dense(1, 4), (1,)),
    "dense I-1": (mg.Dense(4, 1), (4,)),
    "dense no bias": (mg.Dense(3, 2, bias=False), (3,)),
    "maxout": (mg.Maxout(3, 4, pieces=5), (3,)),
    "batch norm": (mg.BatchNorm(3), (3,)),
    "batch norm 4-D": (mg.BatchNorm(3), (2, 4, 3)),
    "batch norm keras": (mg.BatchNorm.keras(3, momentum=0.8), (2, 3)),
    "dropout": (mg.Dropout(0.3), (7,)),
    "relu": (mg.ReLU(), (5,)),
    "leaky relu": (mg.LeakyReLU(0.2), (2, 5)),
    "tanh": (mg.Tanh(), (5,)),
    "sigmoid": (mg.Sigmoid(), (5,)),
    "softplus": (mg.Softplus(), (5,)),
    "softmax": (mg.Softmax(), (2, 5)),
    "flatten": (mg.Flatten(), (2, 3)),
    "reshape": (mg.Reshape((3, 2)), (6,)),
}


@st.composite
def layers(draw):
    """A layer with hypothesis-drawn sizes, and its input shape."""
    size = st.integers(1, 6)
    lead = tuple(draw(st.lists(size, max_size=2)))
    n, m = draw(size), draw(size)
    elementwise = [
        mg.ReLU(),
        mg.LeakyReLU(draw(st.sampled_from([0.0, 0.01, 0.2]))),
        mg.Tanh(),
        mg.Sigmoid(),
        mg.Softplus(),
    ]
    choices = [
        (mg.Dense(n, m, bias=draw(st.booleans())), (n,)),
        (mg.Maxout(n, m, pieces=draw(size)), (n,)),
        (mg.BatchNorm(n, eps=draw(st.sampled_from([1e-5, 1e-3, 0.1]))), (*lead, n)),
        (mg.BatchNorm.keras(n), (*lead, n)),
        (mg.Dropout(draw(st.sampled_from([0.0, 0.2, 0.5, 0.9]))), (*lead, n)),
        (draw(st.sampled_from(elementwise)), (*lead, n)),
        (mg.Softmax(), (*lead, n)),
        (mg.Flatten(), (*lead, n)),
        (mg.Reshape((m, n)), (n * m,)),
    ]
    return draw(st.sampled_from(choices))


def network(layer, *, dtype="float64", ops="reference", seed=0):
    """A network of one layer whose parameters and statistics are all away from their initial values."""
    chain = layer if isinstance(layer, list) else [layer]
    rng = np.random.default_rng(seed)
    net = mg.Network(chain, rng=rng, dtype="float64", ops=ops)
    net.theta = net.theta + 0.5 * rng.standard_normal(net.theta.shape)
    for name, value in net.state.items():
        value[...] = (
            rng.uniform(-0.5, 0.5, value.shape) if name.endswith("mean") else rng.uniform(0.5, 1.5, value.shape)
        )
    return net if dtype == "float64" else net.astype(dtype)


def forward(net, x, *, train=True, seed=1):
    """A forward pass whose dropout masks depend on `seed` only; running statistics stay as they are."""
    return net.forward(x, train=train, rng=np.random.default_rng(seed), update_state=False)


def dense_gan(*, hidden=5, noise=3, data=4, outputs=1, dtype="float64", ops="reference", seed=0):
    """G and D with batch norm, dropout and smooth and kinked activations."""
    G = [mg.Dense(noise, hidden), mg.BatchNorm(hidden), mg.LeakyReLU(0.2), mg.Dense(hidden, data), mg.Tanh()]
    D = [
        mg.Dense(data, hidden),
        mg.BatchNorm(hidden),
        mg.ReLU(),
        mg.Dropout(0.3),
        mg.Maxout(hidden, hidden, pieces=3),
        mg.Softplus(),
        mg.Dense(hidden, outputs),
    ]
    return network(G, dtype=dtype, ops=ops, seed=seed), network(D, dtype=dtype, ops=ops, seed=seed + 1)


def outputs_of(objective):
    """How many outputs D needs for an objective."""
    return 2 if isinstance(objective, mg.SoftmaxTwoClass) else 1
