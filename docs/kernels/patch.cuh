#pragma once

// The matrix of patches, A_mk = x~_n,(sp+i),(sq+j),c with m = (n, p, q) and k = (i, j, c), is never written to memory:
// its entries are read from the images x (N, H, L, C).    x~: x padded with zeros

struct Shape {
  int H, L, C, h, w, taps, stride, before;  // (h, w) outputs, taps x taps kernel, `before` zeros before the first pixel
};

struct Pixel {
  int n, top, left;  // the image, and the patch's first row and column in it
};

__device__ __forceinline__ Pixel pixel_of(Shape s, int m) {
  return {m / (s.h * s.w), m / s.w % s.h * s.stride - s.before, m % s.w * s.stride - s.before};
}

// Find the index of entry k of a patch, and whether it is in the image.  Entries k + 1, k + 2, k + 3 follow it in
// memory if C and k are multiples of 4.
__device__ __forceinline__ bool in_patch(Shape s, Pixel pixel, int k, int& at) {
  const int c = k % s.C, j = k / s.C % s.taps, i = k / s.C / s.taps;
  const int row = pixel.top + i, column = pixel.left + j;
  at = ((pixel.n * s.H + row) * s.L + column) * s.C + c;
  return row >= 0 && row < s.H && column >= 0 && column < s.L;
}

__device__ __forceinline__ float patch(const float* x, Shape s, Pixel pixel, int k) {
  int at;
  return in_patch(s, pixel, k, at) ? x[at] : 0.f;
}

// Entries k ... k + 3, or zeros if they are outside the image or not wanted.
__device__ __forceinline__ float4 patch4(const float* x, Shape s, Pixel pixel, int k, bool wanted) {
  int at;
  const bool inside = in_patch(s, pixel, k, at);
  return load_16(x + at, wanted && inside);
}
