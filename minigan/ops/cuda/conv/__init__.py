"""Correlations, their adjoints and their weight gradients on a CUDA device."""
