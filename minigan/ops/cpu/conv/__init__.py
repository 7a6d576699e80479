"""Convolutions on the CPU: direct sums by im2col, or Winograd transforms, as the plan says."""
