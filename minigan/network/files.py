"""Networks in files."""

from pathlib import Path
from typing import Self

import numpy as np

from minigan import _checks
from minigan._files import PathLike
from minigan.network.archive import read_network, write_network
from minigan.network.parameters import ParametricChain
from minigan.ops.protocol import Ops


class StoredChain(ParametricChain):
    """`save` and `load` of a `minigan.Network`."""

    def save(self, path: PathLike, *, overwrite: bool = False) -> Path:
        """Write the layers, the parameters and the running statistics to a file, which `load` reads.

        The file is an .npz archive without pickle, and it is written atomically.  It does not contain the state of an
        optimizer: checkpoints do (`minigan.training.train`).

        Parameters
        ----------
        path : path
            The file; ``.npz`` is not added.
        overwrite : bool
            Whether to replace an existing file; False by default.

        Returns
        -------
        Path
            The file.

        Raises
        ------
        FileExistsError
            If the file exists and `overwrite` is False.
        ValueError
            If a layer cannot be rebuilt from its `to_config`: an own class without `minigan.layers.register_layer`.
        TypeError
            If the dtype is object.
        OSError
            If the file cannot be written.

        """
        _checks.require_flags(overwrite=overwrite)
        arrays = {"parameters": self.parameters(), "state": self.state}
        return write_network(path, type(self).__name__, self.layers, self.dtype, arrays, overwrite=overwrite)

    @classmethod
    def load(cls, path: PathLike, *, ops: str | Ops = "cpu") -> Self:
        """Return the network that `save` wrote, with the same dtype, parameters and running statistics, bit for bit.

        Reading takes no more memory than a few times the size of the file, whatever its content claims, and executes
        nothing of it.

        Parameters
        ----------
        path : path
            The file.
        ops : {"cpu", "reference", "cuda"} or Ops
            The backend, as for `Network`; the file does not determine it.

        Returns
        -------
        Network
            The network, of the class that `load` is called on.

        Raises
        ------
        OSError
            If the file cannot be read.
        ValueError
            If it is damaged, or the network is of another class; the message names the file.
        TypeError
            If the backend does not support the network's dtype.

        Examples
        --------
        >>> import tempfile
        >>> from minigan import Network
        >>> from minigan.layers import Dense, ReLU
        >>> net = Network([Dense(2, 8), ReLU(), Dense(8, 1)], rng=np.random.default_rng(0))
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     again = Network.load(net.save(f"{folder}/net.npz"))
        >>> again.layers == net.layers, bool((again.theta == net.theta).all())
        (True, True)

        """
        saved = read_network(path)
        if saved.kind != cls.__name__:
            raise ValueError(f"{path}: a network of class {saved.kind}; expected {saved.kind}.load(path)")
        net = cls(saved.layers, rng=np.random.default_rng(0), dtype=saved.dtype, ops=ops)
        for targets, arrays in ((net.parameters(), saved.parameters), (net.state, saved.state)):
            for name, array in arrays.items():
                targets[name][...] = net.ops.xp.asarray(array.astype(net.dtype))
        return net
