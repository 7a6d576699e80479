#include "minigan.cuh"

// im2col and col2im for NHWC images: with the patches as the rows of a matrix, a convolution is a matrix product.
//
//   take_patches   im2col: P_(npq),(ijc) = x~_n,(sp+di),(sq+dj),c        x~: x padded with zeros
//   add_patches    col2im: x_nYXc = b_c + sum of P_(npq),(ijc) over the taps (i, j) and pixels (p, q) that read (Y, X)
//   fill_rows      y_mo = b_o
//
// N images of (H, L) pixels with C channels; (h, w) small pixels; (kh, kw) taps; s stride, d dilation.  Data move in
// packs of 16 bytes if the channels of a pixel are whole packs.

template <int V>
struct alignas(V * sizeof(real)) Some {
  real value[V];
};

// blockIdx.y: row p of image n.  A thread copies packs of the w patches of that row, which are contiguous in memory.
template <int V>
__device__ __forceinline__ void take(const real* x, real* rows, int images, int H, int L, int C, int h, int w, int kh,
                                     int kw, int sh, int sw, int dh, int dw, int top, int left) {
  const Some<V>* from = reinterpret_cast<const Some<V>*>(x);
  Some<V>* to = reinterpret_cast<Some<V>*>(rows);
  const unsigned packs = C / V, patch = kh * kw * packs, line = w * patch;
  for (int np = blockIdx.y; np < images * h; np += gridDim.y) {
    const int n = np / h, first = (np - n * h) * sh - top;
    for (unsigned t = blockIdx.x * blockDim.x + threadIdx.x; t < line; t += gridDim.x * blockDim.x) {
      const unsigned q = t / patch, k = t - q * patch, tap = k / packs, i = tap / kw;
      const int row = first + (int)i * dh, column = (int)q * sw - left + (int)(tap - i * kw) * dw;
      Some<V> some = {};
      if (row >= 0 && row < H && column >= 0 && column < L)
        some = from[(((long long)n * H + row) * L + column) * packs + (k - tap * packs)];
      to[(long long)np * line + t] = some;
    }
  }
}

extern "C" __global__ void __launch_bounds__(256)
    take_patches(const real* __restrict__ x, real* __restrict__ rows, int images, int H, int L, int C, int h, int w, int kh,
            int kw, int sh, int sw, int dh, int dw, int top, int left) {
  if (C % PACK == 0 && in_packs(x) && in_packs(rows))
    take<PACK>(x, rows, images, H, L, C, h, w, kh, kw, sh, sw, dh, dw, top, left);
  else
    take<1>(x, rows, images, H, L, C, h, w, kh, kw, sh, sw, dh, dw, top, left);
}

// blockIdx.y: row Y of image n.  A thread adds up one pack of x from the patches that contain it, in the order of the
// taps.  No two threads add to the same number, so that every run gives the same bits.
template <int V>
__device__ __forceinline__ void give(const real* rows, const real* b, real* x, int images, int H, int L, int C, int h,
                                     int w, int kh, int kw, int sh, int sw, int dh, int dw, int top, int left) {
  const Some<V>* from = reinterpret_cast<const Some<V>*>(rows);
  Some<V>* to = reinterpret_cast<Some<V>*>(x);
  const int packs = C / V, line = L * packs;
  for (int nY = blockIdx.y; nY < images * H; nY += gridDim.y) {
    const int n = nY / H, Y = nY - n * H + top;
    for (int t = blockIdx.x * blockDim.x + threadIdx.x; t < line; t += gridDim.x * blockDim.x) {
      const int X = t / packs + left, c = t % packs;
      Some<V> sum = {};
      for (int i = 0; i < kh; i++) {
        const int down = Y - dh * i, p = down / sh;
        if (down < 0 || p * sh != down || p >= h) continue;
        for (int j = 0; j < kw; j++) {
          const int across = X - dw * j, q = across / sw;
          if (across < 0 || q * sw != across || q >= w) continue;
          const Some<V> some = from[((((long long)n * h + p) * w + q) * kh * kw + i * kw + j) * packs + c];
#pragma unroll
          for (int v = 0; v < V; v++) sum.value[v] += some.value[v];
        }
      }
      if (b)
#pragma unroll
        for (int v = 0; v < V; v++) sum.value[v] += b[c * V + v];
      to[(long long)nY * line + t] = sum;
    }
  }
}

extern "C" __global__ void __launch_bounds__(256)
    add_patches(const real* __restrict__ rows, const real* __restrict__ b, real* __restrict__ x, int images, int H, int L,
           int C, int h, int w, int kh, int kw, int sh, int sw, int dh, int dw, int top, int left) {
  if (C % PACK == 0 && in_packs(x) && in_packs(rows))
    give<PACK>(rows, b, x, images, H, L, C, h, w, kh, kw, sh, sw, dh, dw, top, left);
  else
    give<1>(rows, b, x, images, H, L, C, h, w, kh, kw, sh, sw, dh, dw, top, left);
}

// Fill y with the bias, before a product is added to it.    y (rows, O), size = rows O
extern "C" __global__ void __launch_bounds__(256)
    fill_rows(const real* __restrict__ b, real* __restrict__ y, int size, int O) {
  for (unsigned t = blockIdx.x * blockDim.x + threadIdx.x; t < (unsigned)size; t += gridDim.x * blockDim.x)
    y[t] = b[t % O];
}
