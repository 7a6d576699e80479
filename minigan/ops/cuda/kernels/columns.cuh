// The threads of a block over a matrix (M, C): 2^log_lanes threads side by side, each with WIDTH columns, and
// THREADS / 2^log_lanes threads per column.
//
// Block (x, y) processes the x-th group of columns in the y-th part of the rows.  A sum adds the threads of a column as
// a tree, always in the same order, so that every run gives the same bits.
#pragma once

struct Tile {
  int row, height;  // index of this thread among the `height` threads of its columns
  int column;       // the first of its WIDTH columns
  bool inside;      // whether the matrix has these columns
};

__device__ __forceinline__ Tile tile(int C, int log_lanes) {
  const int lanes = 1 << log_lanes, t = threadIdx.x;
  const int column = (blockIdx.x * lanes + (t & (lanes - 1))) * WIDTH;
  return Tile{t >> log_lanes, THREADS >> log_lanes, column, column < C};
}

// Add `mine` over the threads of each column; the thread with row 0 gets the sum.  All threads of the block must call.
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
  __syncthreads();  // the next sum may use the same shared memory
}
