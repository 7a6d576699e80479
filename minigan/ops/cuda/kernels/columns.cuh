// A block over a matrix (M, C): LANES threads side by side, each with WIDTH columns, and THREADS / LANES under each.
//
// Block (x, y) has the x-th columns and of the rows the y-th part.  Where a sum is taken, the threads of a column are
// added in a tree of one order, so that the result is the same in every run.
#pragma once

struct Tile {
  int row, height;  // this thread's place among the `height` of its columns
  int column;       // the first of its columns
  bool inside;      // whether the matrix has them
};

__device__ __forceinline__ Tile tile(int C, int log_lanes) {
  const int lanes = 1 << log_lanes, t = threadIdx.x;
  const int column = (blockIdx.x * lanes + (t & (lanes - 1))) * WIDTH;
  return Tile{t >> log_lanes, THREADS >> log_lanes, column, column < C};
}

// Add what the threads of each column have; the one with row 0 gets the sum.  All threads of the block must call.
__device__ __forceinline__ void add_column(Wide& mine, Wide* shared, const Tile& at) {
  const int lanes = THREADS / at.height;
  shared[threadIdx.x] = mine;
  for (int half = at.height >> 1; half > 0; half >>= 1) {
    __syncthreads();
    if (at.row < half) {
      const Wide other = shared[threadIdx.x + half * lanes];
#pragma unroll
      for (int k = 0; k < WIDTH; k++) mine.at[k] += other.at[k];
      shared[threadIdx.x] = mine;
    }
  }
  __syncthreads();  // the next sum may use the same memory
}
