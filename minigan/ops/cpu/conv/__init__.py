"""Convolutions on the CPU: direct sums over im2col, or Winograd's algorithms, whichever the cost model chooses."""
