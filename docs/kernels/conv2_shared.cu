#include "minigan.cuh"
#include "patch.cuh"

// A block computes 32 x 32 outputs.  It stages 32 columns of the patches and 32 rows of the weights at a time in shared
// memory, where 32 threads read each value.
extern "C" __global__ void __launch_bounds__(1024)
    correlate(const float* __restrict__ x, const float* __restrict__ W, float* __restrict__ y, int N, int H, int L,
              int C, int h, int w, int O, int taps, int stride, int before) {
  __shared__ float a[32][32], b[32][32];
  const Shape shape{H, L, C, h, w, taps, stride, before};
  const int rows = N * h * w, depth = taps * taps * C;
  const int across = threadIdx.x % 32, down = threadIdx.x / 32;
  const int m = blockIdx.x * 32 + down, o = blockIdx.y * 32 + across;
  const Pixel pixel = pixel_of(shape, m);
  float sum = 0.f;
  for (int k = 0; k < depth; k += 32) {
    a[down][across] = m < rows && k + across < depth ? patch(x, shape, pixel, k + across) : 0.f;
    b[down][across] = k + down < depth && o < O ? W[(k + down) * O + o] : 0.f;
    __syncthreads();
#pragma unroll
    for (int e = 0; e < 32; e++) sum += a[down][e] * b[e][across];
    __syncthreads();
  }
  if (m < rows && o < O) y[m * O + o] = sum;
}
