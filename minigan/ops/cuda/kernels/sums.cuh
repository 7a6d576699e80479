// The sum of one number from each thread of a block.
#pragma once

// Return to thread 0 the sum of the numbers of the block's N threads, added as a tree in a fixed order.    shared (N,)
template <int N>
__device__ __forceinline__ double sum_of_block(double mine, double* shared) {
  const int t = threadIdx.x;
  shared[t] = mine;
  for (int half = N / 2; half > 0; half /= 2) {
    __syncthreads();
    if (t < half) shared[t] = mine += shared[t + half];
  }
  return mine;
}
