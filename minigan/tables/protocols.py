"""The published protocols of `minigan table`."""

from minigan._names import ConfigError, unknown
from minigan.tables.protocol import STANDARD_DEVIATION, Column, Ours, Protocol, Published

GAUSSIAN = Protocol(
    name="gaussian",
    about="N(0, 1) to N(4, 2^2): how far the generator's distribution is from the data's.",
    columns=(
        Column("mean", "mean (data: 4)", "summary.generator.mean", digits=3),
        Column("std", "std (data: 2)", "summary.generator.std", digits=3),
        Column("jsd", "JSD, nats", "summary.jsd", digits=5),
    ),
    rows=(
        Ours("ours", "ours", "gaussian"),
        Ours("notebook", "the notebook's 200 iterations", "gaussian", {"iterations": 200}),
    ),
    published=(
        Published(
            "exact solution",
            {"mean": "4", "std": "2", "jsd": "0"},
            "Goodfellow et al. 2014, Theorem 1, arXiv:1406.2661",
        ),
    ),
    seeds=20,
    spread=STANDARD_DEVIATION,
    notes=("The notebook publishes no figures of its run, only pictures.",),
)

PROTOCOLS: dict[str, Protocol] = {protocol.name: protocol for protocol in (GAUSSIAN,)}


def get_protocol(name: str) -> Protocol:
    """Return a protocol by name.

    Parameters
    ----------
    name : str
        A key of `PROTOCOLS`.

    Returns
    -------
    Protocol
        The protocol.

    Raises
    ------
    ConfigError
        If there is no protocol of that name; the message suggests the most similar name.

    """
    if name not in PROTOCOLS:
        raise ConfigError(unknown("table", name, PROTOCOLS))
    return PROTOCOLS[name]
