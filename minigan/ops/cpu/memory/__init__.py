"""Reuse of the memory of large arrays, and each thread's workspaces."""
