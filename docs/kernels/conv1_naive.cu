#include "minigan.cuh"

// y_npqo = sum_ijc x~_n,(sp+i),(sq+j),c W_ijco.  A thread computes one output; neighbouring threads differ in o.
extern "C" __global__ void __launch_bounds__(256)
    correlate(const float* __restrict__ x, const float* __restrict__ W, float* __restrict__ y, int N, int H, int L,
              int C, int h, int w, int O, int taps, int stride, int before) {
  const int t = blockIdx.x * blockDim.x + threadIdx.x;
  if (t >= N * h * w * O) return;
  const int o = t % O, q = t / O % w, p = t / O / w % h, n = t / O / w / h;
  float sum = 0.f;
  for (int i = 0; i < taps; i++) {
    const int row = stride * p + i - before;
    if (row < 0 || row >= H) continue;
    for (int j = 0; j < taps; j++) {
      const int column = stride * q + j - before;
      if (column < 0 || column >= L) continue;
      const float* pixel = x + ((n * H + row) * L + column) * C;
      const float* weights = W + (i * taps + j) * C * O + o;
      for (int c = 0; c < C; c++) sum += pixel[c] * weights[c * O];
    }
  }
  y[t] = sum;
}
