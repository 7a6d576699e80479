"""Numbers that enclose the truth: balls, decisions about them, derivatives by dual numbers."""
