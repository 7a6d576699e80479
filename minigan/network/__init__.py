"""Networks: `network.py` has the forward and the backward pass, and the other modules what `Network` inherits."""

from minigan.network.network import Network
from minigan.network.passes import StaleBackwardError

__all__ = ["Network", "StaleBackwardError"]
