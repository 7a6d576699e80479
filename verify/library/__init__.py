"""The library's own layers and steps as subjects of claims."""
