"""Memory for large arrays that is used again, and workspaces of a thread."""
