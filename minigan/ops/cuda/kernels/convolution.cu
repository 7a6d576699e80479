#include "minigan.cuh"
#include "tiles.cuh"
#include "operands.cuh"

// The three correlations by implicit GEMM: matrix products over patches that are never written to memory.
//
//   correlate          y_npqo = b_o + sum_ijc x~_n,(sp+di),(sq+dj),c W_ijco
//   correlate_adjoint  x_nYXc = b_c + sum_ijo y_npqo W_ijco over the (i, p), (j, q) with s p + d i = Y + top, ...
//   correlate_weights  dW_ijco = sum_npq x~_n,(sp+di),(sq+dj),c y_npqo
//
// x (N, H, L, C), where L is the width, since W stands for the weights   W (kh, kw, C, O)   y (N, h, w, O)   b or null
// A block computes one tile.  The tiles of a row are neighbours in the grid because they read the same patches.

struct Tile {
  int row, column;

  __device__ __forceinline__ explicit Tile(int columns) {
    const int across = (columns + TILE - 1) / TILE;
    row = blockIdx.x / across * TILE, column = blockIdx.x % across * TILE;
  }
};

// Add the bias to a thread's results and write them row by row, in pairs of columns.
struct Writer {
  const Sums& sums;
  const int first, columns;
  float bias[PAIRS][2];

  __device__ __forceinline__ Writer(const Sums& sums, const float* b, int first, int columns)
      : sums(sums), first(first), columns(columns) {
#pragma unroll
    for (int j = 0; j < PAIRS; j++)
#pragma unroll
      for (int e = 0; e < 2; e++) {
        const int column = first + column_of(j) + e;
        bias[j][e] = b && column < columns ? b[column] : 0.f;
      }
  }
  __device__ __forceinline__ void write(int i, float* row) const {
#pragma unroll
    for (int j = 0; j < PAIRS; j++) {
      const int column = first + column_of(j);
      const float* pair = sums.of[i / 2][j] + i % 2 * 2;
      const float2 v = make_float2(pair[0] + bias[j][0], pair[1] + bias[j][1]);
      if (columns % 2 == 0) {
        if (column < columns) *reinterpret_cast<float2*>(row + column) = v;
      } else {
        if (column < columns) row[column] = v.x;
        if (column + 1 < columns) row[column + 1] = v.y;
      }
    }
  }
};

extern "C" __global__ void __launch_bounds__(256, 2)
    correlate(const float* __restrict__ x, const float* __restrict__ W, const float* __restrict__ b,
              float* __restrict__ y, int images, int H, int L, int C, int h, int w, int O, int kh, int kw, int sh,
              int sw, int dh, int dw, int top, int left) {
  const int rows = images * h * w, depth = kh * kw * C;
  const Tile tile(O);
  PixelRows A({x, H, L, C}, Axis::forward(kh, sh, dh, top), Axis::forward(kw, sw, dw, left), tile.row, rows, h, w);
  TapRows B(A, W, O, tile.column);
  Sums sums;
  product(A, B, depth, sums);
  const Writer writer(sums, b, tile.column, O);
#pragma unroll
  for (int i = 0; i < ROWS; i++) {
    const int m = tile.row + row_of(i);
    if (m < rows) writer.write(i, y + m * O);
  }
}

// blockIdx.z: a phase of the stride's grid, the large pixels (Y, X) = phase + s (u, v).  All pixels of a phase have the
// same taps, so that a phase is a small correlation of stride 1, without products with zeros.
extern "C" __global__ void __launch_bounds__(256, 2)
    correlate_adjoint(const float* __restrict__ y, const float* __restrict__ W, const float* __restrict__ b,
                      float* __restrict__ x, int images, int H, int L, int C, int h, int w, int O, int kh, int kw,
                      int sh, int sw, int dh, int dw, int top, int left) {
  const int Y = blockIdx.z / sw, X = blockIdx.z % sw;
  const int height = (H - Y + sh - 1) / sh, width = (L - X + sw - 1) / sw, rows = images * height * width;
  const Tile tile(C);
  if (height <= 0 || width <= 0 || tile.row >= rows) return;
  const Axis down = Axis::adjoint(kh, sh, dh, top, Y), over = Axis::adjoint(kw, sw, dw, left, X);
  PixelRows A({y, h, w, O}, down, over, tile.row, rows, height, width);
  TapColumns B(A, W, kw, C, tile.column);
  Sums sums;
  product(A, B, down.taps * over.taps * O, sums);
  const Writer writer(sums, b, tile.column, C);
#pragma unroll
  for (int i = 0; i < ROWS; i++) {
    const int m = tile.row + row_of(i);
    if (m >= rows) continue;
    const Digits pixel = Digits::of(m, width, height);
    float* row = x + ((pixel.high * H + Y + sh * pixel.middle) * L + X + sw * pixel.low) * C;
    writer.write(i, row);
  }
}

// blockIdx.z: a part of the pixels (n, p, q), `each` of them.  Its sum is written to parts[blockIdx.z] (kh kw C, O).
extern "C" __global__ void __launch_bounds__(256, 2)
    correlate_weights(const float* __restrict__ x, const float* __restrict__ y, float* __restrict__ parts, int each,
                      int images, int H, int L, int C, int h, int w, int O, int kh, int kw, int sh, int sw, int dh,
                      int dw, int top, int left) {
  const int rows = kh * kw * C, first = blockIdx.z * each, last = min(first + each, images * h * w);
  const Tile tile(O);
  PixelColumns A({x, H, L, C}, Axis::forward(kh, sh, dh, top), Axis::forward(kw, sw, dw, left), tile.row, first, last,
                 h, w);
  PixelValues B(y, O, tile.column, first, last);
  Sums sums;
  product(A, B, last - first, sums);
  const Writer writer(sums, nullptr, tile.column, O);
#pragma unroll
  for (int i = 0; i < ROWS; i++) {
    const int r = tile.row + row_of(i);
    if (r >= rows) continue;
    const Digits k = tap_of_row(r, kh, kw, C);
    float* row = parts + (blockIdx.z * rows + (k.high * kw + k.middle) * C + k.low) * O;
    writer.write(i, row);
  }
}

// dW = the sum of the parts, added in order, so that every run gives the same bits.
extern "C" __global__ void __launch_bounds__(256)
    add_parts(const float* __restrict__ parts, float* __restrict__ dW, int count, int size) {
  for (int t = blockIdx.x * blockDim.x + threadIdx.x; t < size; t += gridDim.x * blockDim.x) {
    float sum = parts[t];
    for (int part = 1; part < count; part++) sum += parts[part * size + t];
    dW[t] = sum;
  }
}
