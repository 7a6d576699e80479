"""Reuse of the memory of large arrays."""
