"""What every benchmark shares: timing in turns, processes of contestants, checks before the clock, results as JSON."""
