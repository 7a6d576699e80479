"""Networks and games in PyTorch."""
