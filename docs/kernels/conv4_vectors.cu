#include "minigan.cuh"
#include "patch.cuh"

// As before, but with loads of 16 bytes and two buffers: while one is multiplied, the next values are loaded into
// registers, and one barrier per step is enough.  C and O are multiples of 4.
extern "C" __global__ void __launch_bounds__(256, 2)
    correlate(const float* __restrict__ x, const float* __restrict__ W, float* __restrict__ y, int N, int H, int L,
              int C, int h, int w, int O, int taps, int stride, int before) {
  __shared__ __align__(16) float a[2][8][128 + 4], b[2][8][128];
  const Shape shape{H, L, C, h, w, taps, stride, before};
  const int rows = N * h * w, depth = taps * taps * C;
  const int first_row = blockIdx.x * 128, first_column = blockIdx.y * 128;
  const int across = threadIdx.x % 16 * 4, down = threadIdx.x / 16 * 4;
  // this thread loads entries e ... e + 3 of one patch, and 4 neighbours in one row of the weights
  const int row = threadIdx.x / 2, e = threadIdx.x % 2 * 4, f = threadIdx.x / 32, column = threadIdx.x % 32 * 4;
  const Pixel pixel = pixel_of(shape, first_row + row);
  const bool row_inside = first_row + row < rows, column_inside = first_column + column < O;
  float4 from_x, from_W;
  auto load = [&](int k) {
    from_x = patch4(x, shape, pixel, k + e, row_inside && k + e < depth);
    from_W = load_16(W + (k + f) * O + first_column + column, column_inside && k + f < depth);
  };
  auto store = [&](int s) {
    a[s][e][row] = from_x.x, a[s][e + 1][row] = from_x.y, a[s][e + 2][row] = from_x.z, a[s][e + 3][row] = from_x.w;
    *reinterpret_cast<float4*>(&b[s][f][column]) = from_W;
  };
  float sum[8][8] = {};
  load(0), store(0);
  __syncthreads();
  for (int k = 0, s = 0; k < depth; k += 8, s ^= 1) {
    if (k + 8 < depth) load(k + 8);
#pragma unroll 2
    for (int d = 0; d < 8; d++) {  // rows down ... down + 3 and 64 below, columns likewise
      float left[8], right[8];
      *reinterpret_cast<float4*>(left) = *reinterpret_cast<const float4*>(&a[s][d][down]);
      *reinterpret_cast<float4*>(left + 4) = *reinterpret_cast<const float4*>(&a[s][d][down + 64]);
      *reinterpret_cast<float4*>(right) = *reinterpret_cast<const float4*>(&b[s][d][across]);
      *reinterpret_cast<float4*>(right + 4) = *reinterpret_cast<const float4*>(&b[s][d][across + 64]);
#pragma unroll
      for (int i = 0; i < 8; i++)
#pragma unroll
        for (int j = 0; j < 8; j++) sum[i][j] += left[i] * right[j];
    }
    if (k + 8 < depth) store(s ^ 1);
    __syncthreads();
  }
#pragma unroll
  for (int i = 0; i < 8; i++)
#pragma unroll
    for (int j = 0; j < 8; j += 4) {
      const int m = first_row + down + i % 4 + i / 4 * 64, n = first_column + across + j * 16;
      if (m < rows && n < O)
        *reinterpret_cast<float4*>(y + m * O + n) = make_float4(sum[i][j], sum[i][j + 1], sum[i][j + 2], sum[i][j + 3]);
    }
}
