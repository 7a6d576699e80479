"""The recipes' games in idiomatic PyTorch: the same updates in the same order on the same batches.

D is frozen in G's step (`requires_grad_(False)`), and the fakes for D are computed without a graph.  In dcgan64 minigan
runs real and fake examples through D as one batch with statistics of each half; PyTorch has no such layer and runs D
twice.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch
from torch import nn
from torch.nn import functional as F

from benchmarks.cases.games import Case, build, real_batches
from benchmarks.other_libraries.torch.optimizers import optimizer
from benchmarks.other_libraries.torch.twin import Dropout, modules, state
from minigan.gan import eval_fakes, eval_mode, train_mode
from minigan.ops import Array
from minigan.recipes import Recipe
from minigan.training import Experiment

BCE = F.binary_cross_entropy_with_logits


class Game:
    """A recipe's game in PyTorch; `play` runs one iteration.

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
    channels_last
        Whether images lie in memory as NHWC.
    fused_adam
        Whether to use PyTorch's fused optimizers.
    compiled
        Whether to run the networks through `torch.compile`.
    checked
        Whether to use minigan's dropout masks and, if the recipe has it, its biased running variance, for the
        comparison.  Timed games use PyTorch's own dropout and unbiased variance, which cost the same.
    device
        The device of networks and batches.
    adam
        Further options of Adam, such as ``{"capturable": True}`` for a CUDA graph.

    """

    def __init__(
        self,
        case: Case,
        *,
        small: bool = False,
        dtype: str = "float32",
        settings: dict[str, Any] | None = None,
        channels_last: bool = False,
        fused_adam: bool = False,
        compiled: bool = False,
        checked: bool = False,
        device: str = "cpu",
        adam: dict[str, Any] | None = None,
    ) -> None:
        found: tuple[Recipe, Any, Experiment] = build(case, small=small, dtype=dtype, settings=settings)
        self.recipe, self.config, experiment = found
        self.numpy_dtype, self.channels_last, self.device = np.dtype(dtype), channels_last, device
        self.streams, gan = experiment.streams, experiment.gan
        self.gan = gan
        chains = self.recipe.architecture(self.config)
        self.shapes = chains.noise_shape, chains.data_shape
        self.networks = [
            modules(net, shape, channels_last=channels_last).to(device)
            for net, shape in zip((gan.G, gan.D), self.shapes, strict=True)
        ]
        if checked:
            for net, twin in zip((gan.G, gan.D), self.networks, strict=True):
                as_minigan(net, twin, self.streams["dropout"])
        self.G, self.D = (torch.compile(net) if compiled else net for net in self.networks)
        self.optimizer_G, self.optimizer_D = (
            optimizer(net, minigan_optimizer, fused=fused_adam, **(adam or {}))
            for net, minigan_optimizer in zip(self.networks, (gan.optimizer_G, gan.optimizer_D), strict=True)
        )
        self.norms = [m for m in self.networks[1].modules() if isinstance(m, nn.modules.batchnorm._BatchNorm)]
        self.momenta = [norm.momentum for norm in self.norms]
        self.draw = real_batches(case, self.config, self.streams, self.numpy_dtype)
        self.play = self.schedule(case.recipe)

    def schedule(self, recipe: str) -> Callable[[], None]:
        """Return the function that runs an iteration of a recipe."""
        return {
            "mnist-dcgan": self._split,
            "dcgan64": self._alternating,
            "mnist-softmax": self._softmax,
            "mnist-dense": self._same_batch,
            "gaussian": self._same_batch,
            "mnist-maxout": self._simultaneous,
        }[recipe]

    # --- shared by the games ---------------------------------------------------------------------

    def noise(self, n: int) -> torch.Tensor:
        """Return noise z (n, ...), drawn as minigan draws it."""
        z = self.recipe.prior(self.config, n, self.streams["noise"]).astype(self.numpy_dtype)
        return torch.from_numpy(z).to(self.device)

    def real(self) -> torch.Tensor:
        """Return a batch of real examples."""
        return self.tensor(self.draw())

    def tensor(self, x: Array) -> torch.Tensor:
        """Return x as a tensor: (N, H, W, C) becomes (N, C, H, W) in the networks' layout, other axes stay."""
        t = torch.from_numpy(x).to(self.device)
        if t.ndim < 4:
            return t
        t = t.permute(0, 3, 1, 2)
        return t if self.channels_last else t.contiguous()

    def fakes(self, z: torch.Tensor) -> torch.Tensor:
        """Return G(z) without a graph, in the recipe's mode for fakes."""
        if self.gan.fake_mode is eval_fakes:
            return self.eval_fakes(z)
        with torch.no_grad():
            return self.G(z)

    def eval_fakes(self, z: torch.Tensor) -> torch.Tensor:
        """Return G(z) in inference mode."""
        self.G.eval()
        with torch.no_grad():
            x = self.G(z)
        self.G.train()
        return x

    def update_D(self, cost: torch.Tensor) -> None:
        """Update D by the gradient of a cost."""
        self.optimizer_D.zero_grad()
        cost.backward()
        self.optimizer_D.step()

    @contextmanager
    def frozen(self) -> Iterator[None]:
        """Freeze D for G's update: no parameter gradients, and batch norm in the recipe's mode for a frozen D."""
        frozen_d_mode = self.gan.frozen_d_mode
        for p in self.networks[1].parameters():
            p.requires_grad_(False)
        if frozen_d_mode is eval_mode:
            self.D.eval()
        elif frozen_d_mode is train_mode:
            for norm in self.norms:
                norm.momentum = 0.0
        yield
        for p in self.networks[1].parameters():
            p.requires_grad_(True)
        if frozen_d_mode is eval_mode:
            self.D.train()
        elif frozen_d_mode is train_mode:
            for norm, momentum in zip(self.norms, self.momenta, strict=True):
                norm.momentum = momentum

    def update_G(self, z: torch.Tensor) -> None:
        """Update G by its non-saturating cost (the label is "real"); call it within `frozen`."""
        self.optimizer_G.zero_grad()
        s = self.D(self.G(z))
        cost = (
            BCE(s, torch.ones_like(s))
            if s.shape[1] == 1
            else F.cross_entropy(s, torch.ones(len(s), dtype=torch.long, device=s.device))
        )
        cost.backward()
        self.optimizer_G.step()

    # --- schedules --------------------------------------------------------------------------------

    def _split(self) -> None:
        z = self.noise(self.config.batch_size)
        x_fake = self.fakes(z)
        for x, label in ((self.real(), 1.0), (x_fake, 0.0)):
            s = self.D(x)
            self.update_D(BCE(s, torch.full_like(s, label)))
        with self.frozen():
            self.update_G(z)

    def _alternating(self) -> None:
        n = self.config.batch_size
        x_real = self.real()
        x_fake = self.fakes(self.noise(n))
        s_real, s_fake = self.D(x_real), self.D(x_fake)
        self.update_D(BCE(s_real, torch.ones_like(s_real)) + BCE(s_fake, torch.zeros_like(s_fake)))
        with self.frozen():
            self.update_G(self.noise(n))

    def _softmax(self) -> None:
        half = self.config.batch_size // 2
        x_real = self.real()
        s = self.D(torch.cat([x_real, self.fakes(self.noise(half))]))
        self.update_D(F.cross_entropy(s, torch.arange(2 * half, device=s.device).lt(half).long()))
        with self.frozen():
            self.update_G(self.noise(self.config.batch_size))

    def _same_batch(self) -> None:
        z = self.noise(self.config.batch_size)
        x_fake = self.fakes(z)
        x = torch.cat([self.real(), x_fake])
        labels = torch.cat([torch.ones_like(x[: len(z), :1]), torch.zeros_like(x_fake[:, :1])])
        for _ in range(self.config.d_updates):
            self.update_D(BCE(self.D(x), labels))
        with self.frozen():
            for _ in range(self.config.g_updates):
                self.update_G(z)

    def _simultaneous(self) -> None:
        x_fake = self.G(self.noise(self.config.batch_size))
        s_real, s_fake = self.D(self.real()), self.D(x_fake)
        ones = torch.ones_like(s_fake)
        d_cost = (BCE(s_real, ones) + BCE(s_fake, torch.zeros_like(s_fake))) / 2
        G, D = (list(net.parameters()) for net in self.networks)
        g_G = torch.autograd.grad(BCE(s_fake, ones), G, retain_graph=True)
        g_D = torch.autograd.grad(d_cost, D)
        for parameters, grads, optimizer_ in ((D, g_D, self.optimizer_D), (G, g_G, self.optimizer_G)):
            for p, grad in zip(parameters, grads, strict=True):
                p.grad = grad
            optimizer_.step()

    def difference(self, gan: Any) -> float:
        """Return the largest absolute difference from minigan's parameters and running statistics, those of `gan`."""
        worst = 0.0
        for net, twin, shape in zip((gan.G, gan.D), self.networks, self.shapes, strict=True):
            torch_state = twin.state_dict()
            for key, value in state(net, shape, self.channels_last).items():
                if not key.endswith("num_batches_tracked"):
                    worst = float(
                        np.maximum(worst, np.abs(torch_state[key].cpu().numpy() - value).max())
                    )  # np.maximum propagates NaN
        return worst


def as_minigan(net: Any, twin: nn.Sequential, rng: np.random.Generator) -> None:
    """Change a converted network to use minigan's dropout masks and, if the layer does, the biased running variance.

    Parameters
    ----------
    net
        The minigan network.
    twin
        The modules that `benchmarks.other_libraries.torch.twin.modules` returned for it.
    rng
        The stream of minigan's dropout keys.

    """
    for layer, module in zip(net.layers, twin, strict=True):
        if isinstance(module, Dropout):
            module.rng = rng
        elif isinstance(module, nn.modules.batchnorm._BatchNorm) and not layer.unbiased:
            saved: list[torch.Tensor] = []  # the running variance before the pass

            def save(norm: Any, _args: Any, saved: list[torch.Tensor] = saved) -> None:
                saved[:] = [norm.running_var.clone()]

            def correct(norm: Any, args: Any, _y: Any, saved: list[torch.Tensor] = saved) -> None:
                if norm.training:
                    m, old = norm.momentum, saved[0] * (1 - norm.momentum)
                    M = args[0].numel() // norm.num_features
                    if m:
                        norm.running_var.data.copy_(old + (norm.running_var - old) * (M - 1) / M)

            module.register_forward_pre_hook(save)
            module.register_forward_hook(correct)
