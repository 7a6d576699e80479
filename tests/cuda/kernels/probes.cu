// Small kernels that use each feature of the emulator.
#include "minigan.cuh"

#define THREADS 256

// sums[b] = the sum of x over the block's part, by shuffles and shared memory.
extern "C" __global__ void __launch_bounds__(THREADS) block_sums(const real* __restrict__ x, real* sums, int n) {
  __shared__ real part[THREADS / 32];
  int lane = threadIdx.x % 32, warp = threadIdx.x / 32, warps = blockDim.x / 32;
  real sum = 0;
  for (long long i = thread_of_grid(); i < n; i += threads_of_grid()) sum += x[i];
  for (int d = 16; d > 0; d /= 2) {
    sum += __shfl_down_sync(0xffffffffu, sum, d);
  }
  if (lane == 0) part[warp] = sum;
  __syncthreads();
  if (warp == 0) {
    sum = lane < warps ? part[lane] : 0;
    for (int d = 16; d > 0; d /= 2) sum += __shfl_xor_sync(0xffffffffu, sum, d);
    if (lane == 0) sums[blockIdx.x] = sum;
  }
}

// y = x with each block's part reversed, by dynamic shared memory.
extern "C" __global__ void __launch_bounds__(THREADS) reversed_parts(const real* __restrict__ x, real* y, int n) {
  DYNAMIC_SHARED(real, part);
  int i = blockIdx.x * blockDim.x + threadIdx.x;
  if (i < n) part[threadIdx.x] = x[i];
  __syncthreads();
  int last = min(n - (int)(blockIdx.x * blockDim.x), (int)blockDim.x) - 1;
  if (i < n) y[i] = part[last - (int)threadIdx.x];
}

// y (10, 32): the result of each warp function in each lane.
extern "C" __global__ void __launch_bounds__(32) warp_words(const int* x, int* y) {
  int lane = threadIdx.x, v = x[lane];
  y[0 * 32 + lane] = __shfl_sync(0xffffffffu, v, 5);
  y[1 * 32 + lane] = __shfl_up_sync(0xffffffffu, v, 3);
  y[2 * 32 + lane] = __shfl_down_sync(0xffffffffu, v, 3);
  y[3 * 32 + lane] = __shfl_xor_sync(0xffffffffu, v, 7);
  y[4 * 32 + lane] = __shfl_down_sync(0xffffffffu, v, 2, 8);
  y[5 * 32 + lane] = __shfl_up_sync(0xffffffffu, v, 2, 8);
  y[6 * 32 + lane] = __shfl_sync(0xffffffffu, v, 9, 8);
  y[7 * 32 + lane] = (int)__ballot_sync(0xffffffffu, v % 3 == 0);
  y[8 * 32 + lane] = __any_sync(0xffffffffu, v == 11) + 2 * __all_sync(0xffffffffu, v >= 0);
  int half = lane < 16 ? __shfl_xor_sync(0x0000ffffu, v, 1) : __shfl_xor_sync(0xffff0000u, v, 2);
  __syncwarp();
  y[9 * 32 + lane] = half;
}

// (16, 8) = a (16, 16) b (16, 8), rounded to bf16, and to tf32 in two halves of the reduction.
extern "C" __global__ void __launch_bounds__(32)
products(const float* a, const float* b, float* of_bf16, float* of_tf32) {
  int lane = threadIdx.x, g = lane / 4, t = lane % 4;
  float c[4] = {0, 0, 0, 0}, d[4] = {0, 0, 0, 0};
  unsigned A[4], B[2];
  for (int i = 0; i < 4; i++) {
    const float* at = a + (g + i % 2 * 8) * 16 + 2 * t + i / 2 * 8;
    A[i] = pack_bf16(at[0], at[1]);
  }
  for (int i = 0; i < 2; i++) {
    const float* at = b + (2 * t + 8 * i) * 8 + g;
    B[i] = pack_bf16(at[0], at[8]);
  }
  MMA_BF16(c, A, B);
  for (int k = 0; k < 16; k += 8) {
    for (int i = 0; i < 4; i++) A[i] = to_tf32(a[(g + i % 2 * 8) * 16 + k + t + i / 2 * 4]);
    for (int i = 0; i < 2; i++) B[i] = to_tf32(b[(k + t + 4 * i) * 8 + g]);
    MMA_TF32(d, A, B);
  }
  for (int i = 0; i < 4; i++) {
    int at = (g + i / 2 * 8) * 8 + 2 * t + i % 2;
    of_bf16[at] = c[i], of_tf32[at] = d[i];
  }
}

// y (32, 4): what each lane loads of four matrices of 8 rows of 4 words, whose rows are reversed in shared memory.
extern "C" __global__ void __launch_bounds__(32) matrices(const unsigned* x, unsigned* y) {
  __shared__ __align__(16) unsigned rows[32][4];
  for (int i = 0; i < 4; i++) rows[31 - threadIdx.x][i] = x[threadIdx.x * 4 + i];
  __syncwarp();
  unsigned got[4];
  LOAD_MATRICES(got, rows[31 - threadIdx.x]);
  for (int i = 0; i < 4; i++) y[threadIdx.x * 4 + i] = got[i];
}

// y = x by asynchronous copies to shared memory, plus zeros by copies that are not valid.
extern "C" __global__ void __launch_bounds__(THREADS) through_copies(const float* x, float* y, int n) {
  __shared__ __align__(16) float part[2][4 * THREADS];
  int i = 4 * (blockIdx.x * blockDim.x + threadIdx.x);
  for (int k = 0; k < 2; k++) {
    cp_async_16(&part[k][4 * threadIdx.x], x + (i + 3 < n ? i : 0), i + 3 < n && k == 0);
    cp_async_commit();
  }
  cp_async_wait<1>();
  for (int j = 0; j < 4 && i + j < n; j++) y[i + j] = part[0][4 * threadIdx.x + j];
  cp_async_wait<0>();
  for (int j = 0; j < 4 && i + j < n; j++) y[i + j] += part[1][4 * threadIdx.x + j];
}

// The upper words of the products: high of a b, 32 bits each, and higher of c d, 64 bits each.
extern "C" __global__ void __launch_bounds__(THREADS)
high_words(const unsigned* a, const unsigned* b, unsigned* high, const unsigned long long* c,
           const unsigned long long* d, unsigned long long* higher, int n) {
  int i = blockIdx.x * blockDim.x + threadIdx.x;
  if (i >= n) return;
  high[i] = __umulhi(a[i], b[i]);
  higher[i] = __umul64hi(c[i], d[i]);
}

// y = the arguments, one of each type.
extern "C" __global__ void __launch_bounds__(1)
numbers(double* y, float a, double b, int c, unsigned d, long long e, unsigned long long f, real g, unsigned char h) {
  y[0] = a, y[1] = b, y[2] = c, y[3] = d, y[4] = e, y[5] = f, y[6] = g, y[7] = h;
}

// The indices of block and thread, each in three dimensions.
extern "C" __global__ void __launch_bounds__(THREADS) places(int* y) {
  int block = (blockIdx.z * gridDim.y + blockIdx.y) * gridDim.x + blockIdx.x;
  int thread = (threadIdx.z * blockDim.y + threadIdx.y) * blockDim.x + threadIdx.x;
  y[block * (blockDim.x * blockDim.y * blockDim.z) + thread] = 1000 * block + thread;
}
