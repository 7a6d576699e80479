"""Ball arithmetic, three-valued decisions about balls, and derivatives by dual numbers."""
