"""The recipes and variants that are compared."""
