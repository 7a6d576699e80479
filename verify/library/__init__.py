"""The library's layers, objectives and steps as functions whose gradients are checked."""
