#pragma once

// The matrix of patches, A_mk = x~_n,(sp+i),(sq+j),c with m = (n, p, q) and k = (i, j, c), is written nowhere: its
// entries are looked up in the images x (N, H, L, C).    x~: x with its padding of zeros

struct Shape {
  int H, L, C, h, w, taps, stride, before;  // (h, w) outputs, taps x taps of the kernel, zeros before the first pixel
};

struct Pixel {
  int n, top, left;  // of the patch, in the image
};

__device__ __forceinline__ Pixel pixel_of(Shape s, int m) {
  return {m / (s.h * s.w), m / s.w % s.h * s.stride - s.before, m % s.w * s.stride - s.before};
}

// Where entry k of the patch lies, if in the image; k + 1, k + 2, k + 3 lie behind it if C is a multiple of 4.
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

// Entries k ... k + 3, or zeros.
__device__ __forceinline__ float4 patch4(const float* x, Shape s, Pixel pixel, int k, bool wanted) {
  int at;
  const bool inside = in_patch(s, pixel, k, at);
  return load_16(x + at, wanted && inside);
}
