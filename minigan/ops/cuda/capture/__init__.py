"""Whole iterations captured as CUDA graphs and replayed."""
