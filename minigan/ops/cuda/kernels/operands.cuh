#pragma once

// The operands of the three correlations as matrices, whose entries are read from the images and the weights directly.
// Each `load` reads the next DEPTH values of the reduction.  Entries outside an image or a matrix are zero.

// A number in a mixed radix, which is incremented without division: (channel, tap across, tap down) or
// (column, row, image).
struct Digits {
  int low, middle, high;

  __device__ __forceinline__ static Digits of(int n, int radix, int next) {
    const int rest = n / radix;
    return {n - rest * radix, rest % next, rest / next};
  }
  __device__ __forceinline__ void add(Digits more, int radix, int next) {
    low += more.low, middle += more.middle, high += more.high;
    if (low >= radix) low -= radix, middle++;
    if (middle >= next) middle -= next, high++;
  }
};

// One axis: for pixel u of the result, tap t reads pixel scale u + offset + step t of the input; t is the kernel's tap
// first + every t.
struct Axis {
  int taps, scale, offset, step, first, every;

  // From large to small images: all taps.
  __device__ __forceinline__ static Axis forward(int k, int s, int d, int before) { return {k, s, -before, d, 0, 1}; }

  // From small to large images, for the large pixels Y = phase + s u.  Tap i connects Y and the small pixel p if
  // s p + d i = Y + before.  With g = gcd(s, d), these are no taps, or every (s / g)th tap from the first one on, and
  // p = u + (phase + before - d first) / s - (d / g) t.
  __device__ __forceinline__ static Axis adjoint(int k, int s, int d, int before, int phase) {
    int g = s;
    for (int rest = d; rest;) {
      const int next = g % rest;
      g = rest, rest = next;
    }
    const int every = s / g;
    int first = 0;
    while (first < every && (phase + before - d * first) % s != 0) first++;
    const int taps = first < every && first < k ? (k - first + every - 1) / every : 0;
    return {taps, 1, (phase + before - d * first) / s, -(d / g), first, every};
  }
};

// N images of H x L pixels with C channels.
struct Images {
  const float* of;
  int H, L, C;

  __device__ __forceinline__ bool inside(int row, int column) const {
    return (unsigned)row < (unsigned)H && (unsigned)column < (unsigned)L;
  }
};

// A_(nuv),k: the patches that belong to the pixels (n, u, v), u < height and v < width, of the result; k = (t, t', c).
//
// If the number of channels is a multiple of DEPTH, a stage is one tap and DEPTH channels, and all taps come before the
// next channels: consecutive taps read nearly the same pixels, which are still in the L1 cache.
struct PixelRows : Along {
  const Images x;
  const Axis down, over;
  const bool whole;
  const int radix;
  const Digits stage;
  Digits k;
  int top[PACKS], left[PACKS], start[PACKS];

  __device__ __forceinline__ PixelRows(Images x, Axis down, Axis over, int row, int rows, int height, int width)
      : x(x), down(down), over(over), whole(x.C % DEPTH == 0), radix(max(over.taps, 1)),
        stage(Digits::of(DEPTH, x.C, radix)), k(Digits::of(depth(), x.C, radix)) {
#pragma unroll
    for (int r = 0; r < PACKS; r++) {
      const int m = row + outer(r);
      const Digits pixel = Digits::of(m, width, height);
      const int first = down.scale * pixel.middle + down.offset;
      left[r] = over.scale * pixel.low + over.offset;
      start[r] = ((pixel.high * x.H + first) * x.L + left[r]) * x.C;
      top[r] = m < rows ? first : NOWHERE;
    }
  }
  __device__ __forceinline__ bool valid(Digits k) const { return k.high < down.taps; }

  // The smallest k of this stage.
  __device__ __forceinline__ int first() const { return (k.high * radix + k.middle) * x.C + k.low - depth(); }

  __device__ __forceinline__ void next() {
    if (whole) {
      k.add({0, 1, 0}, x.C, radix);
      if (k.high == down.taps) k.high = 0, k.low += DEPTH;
    } else {
      k.add(stage, x.C, radix);
    }
  }
  __device__ __forceinline__ void load() {
    if (PACKED) {
      const int below = down.step * k.high, beside = over.step * k.middle, at = (below * x.L + beside) * x.C + k.low;
#pragma unroll
      for (int r = 0; r < PACKS; r++)
        value[r] = load_pack(x.of + (start[r] + at), valid(k) && x.inside(top[r] + below, left[r] + beside));
    } else {
      Digits one = k;
#pragma unroll
      for (int e = 0; e < 4; e++, one.add({1, 0, 0}, x.C, radix)) {
        const int below = down.step * one.high, beside = over.step * one.middle;
        const int at = (below * x.L + beside) * x.C + one.low;
#pragma unroll
        for (int r = 0; r < PACKS; r++) {
          const bool inside = valid(one) && x.inside(top[r] + below, left[r] + beside);
          value[r].of[e] = inside ? x.of[start[r] + at] : 0.f;
        }
      }
    }
    next();
  }
};

// B_k,c = W_ijco with k = (t, t', o), where (i, j) is the kernel's tap that t and t' stand for.  Its position in the
// reduction is that of A, so it must be loaded before A, whose `load` moves on.
struct TapColumns : Along {
  const PixelRows& A;
  const float* const W;
  const int kw, C, channel;

  __device__ __forceinline__ TapColumns(const PixelRows& A, const float* W, int kw, int C, int column)
      : A(A), W(W), kw(kw), C(C), channel(column + outer(0)) {}

  __device__ __forceinline__ const float* row_of_tap(Digits k) const {
    const int i = A.down.first + A.down.every * k.high, j = A.over.first + A.over.every * k.middle;
    return W + (((i * kw + j) * C + channel) * A.x.C + k.low);
  }
  __device__ __forceinline__ void load() {
    if (PACKED) {
      const float* from = row_of_tap(A.k);
#pragma unroll
      for (int r = 0; r < PACKS; r++)
        value[r] = load_pack(from + r * PASS * A.x.C, A.valid(A.k) && channel + r * PASS < C);
    } else {
      Digits one = A.k;
#pragma unroll
      for (int e = 0; e < 4; e++, one.add({1, 0, 0}, A.x.C, A.radix)) {
        const float* from = row_of_tap(one);
#pragma unroll
        for (int r = 0; r < PACKS; r++)
          value[r].of[e] = A.valid(one) && channel + r * PASS < C ? from[r * PASS * A.x.C] : 0.f;
      }
    }
  }
};

// The tap and channel of row r of the weight gradient.  If the number of channels is a multiple of 32, the order of the
// rows is (c / 32, i, j, c % 32), so that a tile has several taps, which read nearly the same pixels; else (i, j, c).
__device__ __forceinline__ Digits tap_of_row(int r, int kh, int kw, int C) {
  const int chunk = C % 32 == 0 ? 32 : C;
  const Digits k = Digits::of(r, chunk, kw);
  const int round = k.high / kh;
  return {k.low + round * chunk, k.middle, round * chunk < C ? k.high % kh : kh};
}

// A_r,(npq): the patches that belong to the pixels m = (n, p, q) of the small images, first <= m < last, as columns.
struct PixelColumns : Across {
  const Images x;
  const Axis down, over;
  const int width, height, last;
  const Digits stage, k;
  Digits pixel[PACKS];
  int m;

  __device__ __forceinline__ PixelColumns(Images x, Axis down, Axis over, int column, int first, int last, int height,
                                          int width)
      : x(x), down(down), over(over), width(width), height(height), last(last),
        stage(Digits::of(DEPTH, width, height)), k(tap_of_row(column + outer(), down.taps, over.taps, x.C)),
        m(first) {
#pragma unroll
    for (int r = 0; r < PACKS; r++) pixel[r] = Digits::of(first + depth(r), width, height);
  }
  __device__ __forceinline__ const float* at(Digits k, Digits pixel, bool& valid) const {
    const int row = down.scale * pixel.middle + down.offset + down.step * k.high;
    const int column = over.scale * pixel.low + over.offset + over.step * k.middle;
    valid = valid && k.high < down.taps && x.inside(row, column);
    return x.of + (((pixel.high * x.H + row) * x.L + column) * x.C + k.low);
  }
  __device__ __forceinline__ void load() {
#pragma unroll
    for (int r = 0; r < PACKS; r++) {
      bool valid = m + depth(r) < last;
      if (PACKED) {
        const float* from = at(k, pixel[r], valid);
        value[r] = load_pack(from, valid);
      } else {
        Digits one = k;
#pragma unroll
        for (int e = 0; e < 4; e++, one.add({1, 0, 0}, x.C, over.taps)) {
          bool inside = valid;
          const float* from = at(one, pixel[r], inside);
          value[r].of[e] = inside ? *from : 0.f;
        }
      }
      pixel[r].add(stage, width, height);
    }
    m += DEPTH;
  }
};

// The rows of a matrix before row `last`, and its columns from `column` on.
struct MatrixRows : Across {
  const float* const matrix;
  const int columns, column, last;

  __device__ __forceinline__ MatrixRows(const float* matrix, int columns, int column, int last)
      : matrix(matrix), columns(columns), column(column + outer()), last(last) {}

  __device__ __forceinline__ void load(int first) {
#pragma unroll
    for (int r = 0; r < PACKS; r++) {
      const int row = first + depth(r);
      const float* from = matrix + (row * columns + column);
      if (PACKED) {
        value[r] = load_pack(from, row < last && column < columns);
      } else {
#pragma unroll
        for (int e = 0; e < 4; e++) value[r].of[e] = row < last && column + e < columns ? from[e] : 0.f;
      }
    }
  }
};

// B_ko = W_ijco: the rows for the next stage of A, which has all taps of the kernel.  It must be loaded before A.
struct TapRows : MatrixRows {
  const PixelRows& A;

  __device__ __forceinline__ TapRows(const PixelRows& A, const float* W, int O, int column)
      : MatrixRows(W, O, column, A.down.taps * A.over.taps * A.x.C), A(A) {}
  __device__ __forceinline__ void load() { MatrixRows::load(A.first()); }
};

// B_mo = y_npqo with m = (n, p, q), first <= m < last.
struct PixelValues : MatrixRows {
  int m;

  __device__ __forceinline__ PixelValues(const float* y, int O, int column, int first, int last)
      : MatrixRows(y, O, column, last), m(first) {}
  __device__ __forceinline__ void load() { MatrixRows::load(m), m += DEPTH; }
};
