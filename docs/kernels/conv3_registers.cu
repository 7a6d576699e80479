#include "minigan.cuh"
#include "patch.cuh"

// A block computes 128 x 128 outputs and a thread 8 x 8 of them: from 8 + 8 values in shared memory it computes 64
// products.  Its rows and columns are 16 apart, so that neighbouring threads read neighbouring words.
extern "C" __global__ void __launch_bounds__(256)
    correlate(const float* __restrict__ x, const float* __restrict__ W, float* __restrict__ y, int N, int H, int L,
              int C, int h, int w, int O, int taps, int stride, int before) {
  __shared__ float a[8][128 + 4], b[8][128];
  const Shape shape{H, L, C, h, w, taps, stride, before};
  const int rows = N * h * w, depth = taps * taps * C;
  const int first_row = blockIdx.x * 128, first_column = blockIdx.y * 128;
  const int across = threadIdx.x % 16, down = threadIdx.x / 16;
  // this thread loads entry e of four patches, and four rows of one column of the weights
  const int e = threadIdx.x % 8, row = threadIdx.x / 8, column = threadIdx.x % 128, o = first_column + column;
  Pixel pixel[4];
  for (int r = 0; r < 4; r++) pixel[r] = pixel_of(shape, first_row + row + 32 * r);
  float sum[8][8] = {};
  for (int k = 0; k < depth; k += 8) {
#pragma unroll
    for (int r = 0; r < 4; r++) {
      const bool inside = first_row + row + 32 * r < rows && k + e < depth;
      a[e][row + 32 * r] = inside ? patch(x, shape, pixel[r], k + e) : 0.f;
    }
#pragma unroll
    for (int r = threadIdx.x / 128; r < 8; r += 2) b[r][column] = k + r < depth && o < O ? W[(k + r) * O + o] : 0.f;
    __syncthreads();
#pragma unroll
    for (int d = 0; d < 8; d++) {
      float left[8], right[8];
#pragma unroll
      for (int i = 0; i < 8; i++) left[i] = a[d][down + 16 * i], right[i] = b[d][across + 16 * i];
#pragma unroll
      for (int i = 0; i < 8; i++)
#pragma unroll
        for (int j = 0; j < 8; j++) sum[i][j] += left[i] * right[j];
    }
    __syncthreads();
  }
#pragma unroll
  for (int i = 0; i < 8; i++)
#pragma unroll
    for (int j = 0; j < 8; j++) {
      const int m = first_row + down + 16 * i, n = first_column + across + 16 * j;
      if (m < rows && n < O) y[m * O + n] = sum[i][j];
    }
}
