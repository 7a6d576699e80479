"""Exchange weights: the layouts of PyTorch and of Keras, as NumPy arrays, and safetensors files.

    state = to_torch(net, input_shape=(28, 28, 1))       # module.load_state_dict({k: torch.tensor(v) ...})
    from_torch(net, module.state_dict(), input_shape=(28, 28, 1))
    model.set_weights(to_keras(net))
    from_keras(net, model.get_weights())
    save_safetensors("G.safetensors", state)             # pip install 'minigan[interop]'
    from_torch(net, load_safetensors("G.safetensors"), input_shape=(28, 28, 1))

Neither framework is imported.  Only weights are transferred; strides, padding, eps and momentum must be set in the
other model.
"""

from minigan.interop.files import load_safetensors, save_safetensors
from minigan.interop.keras import from_keras, to_keras
from minigan.interop.torch import from_torch, to_torch

__all__ = ["from_keras", "from_torch", "load_safetensors", "save_safetensors", "to_keras", "to_torch"]
