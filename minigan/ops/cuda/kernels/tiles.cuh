#pragma once

// A block's tile, TILE x TILE, of a matrix product A B.  The operands are read from the images and weights directly and
// staged in shared memory, DEPTH values of the reduction at a time, in two buffers: while one is multiplied, the next
// values are loaded into registers.
//
// PRECISION  0: fp32, 1: tf32, 2: bf16.  The operands are rounded once, on the way to shared memory, to words of 32
// bits, which hold one value, or in bf16 two neighbours in the reduction.  Counted in words, the fragments of both
// tensor-core instructions have the same layout, so that the same code serves both.  Sums are fp32.
//
// PACKED  1: rows of the operands consist of packs of four values, aligned to 16 bytes; 0: they need not.

#ifndef TILE
#define TILE 128
#endif
#ifndef PRECISION
#define PRECISION 0
#endif
#ifndef PACKED
#define PACKED 1
#endif

constexpr int THREADS = TILE == 128 ? 256 : 128;
constexpr int WORDS = PRECISION == 1 ? 16 : 8;              // words of the reduction in a buffer
constexpr int DEPTH = PRECISION == 2 ? 2 * WORDS : WORDS;   // values of the reduction
constexpr int PACKS = TILE * DEPTH / 4 / THREADS;           // packs of 4 values of an operand that a thread stages
constexpr int WIDTH = TILE + (PRECISION == 0 ? 4 : 8);      // words in a row of buffer[word][outer]
constexpr int BUFFER = PRECISION == 0 ? WORDS * WIDTH : TILE * (WORDS + 4);  // words of an operand in a buffer
constexpr int ROWS = TILE / 16, PAIRS = 4;                  // rows, and pairs of columns, of a thread's results
constexpr int NOWHERE = -(1 << 29);                         // a row so far outside that no tap reads the image

__device__ __forceinline__ unsigned word_of(float x) {
#if PRECISION == 0
  return __float_as_uint(x);
#else
  return to_tf32(x);
#endif
}

struct Four {
  float of[4];
};

__device__ __forceinline__ Four load_pack(const float* p, bool valid) {
  const float4 v = load_16(p, valid);
  return {{v.x, v.y, v.z, v.w}};
}

// --- the layout of an operand in shared memory ---------------------------------------------------------
// Rows are 4 or 8 words longer than a power of two, so that the words that a warp reads or writes at once are in 32
// different banks.

// A pack has four neighbours along the reduction.  The layout is buffer[outer][word], but in fp32 buffer[word][outer],
// so that the rows (or columns) of a thread are neighbours too.
struct Along {
  static constexpr int STRIDE = WORDS + 4, COLUMNS = DEPTH / 4, PASS = THREADS / COLUMNS;
  Four value[PACKS];

  __device__ __forceinline__ static int depth() { return threadIdx.x % COLUMNS * 4; }
  __device__ __forceinline__ static int outer(int r) { return threadIdx.x / COLUMNS + r * PASS; }
  __device__ __forceinline__ static constexpr int place(int outer, int word) { return outer * STRIDE + word; }

  // Four matrices of 8 rows and 4 words are 16 rows and 8 words of A, or 16 columns and 8 words of B, in the order of
  // mma's fragments: the second matrix is 8 rows below the first in A, and 4 words to its right in B.
  __device__ __forceinline__ static int start_of_A(int outer) {
    const int lane = threadIdx.x % 32;
    return place(outer + lane % 16, lane / 16 * 4);
  }
  __device__ __forceinline__ static int start_of_B(int outer) {
    const int lane = threadIdx.x % 32;
    return place(outer + lane % 8 + lane / 16 * 8, lane / 8 % 2 * 4);
  }
  __device__ __forceinline__ static void four_of_A(unsigned* to, const unsigned* from) { LOAD_MATRICES(to, from); }
  __device__ __forceinline__ static void four_of_B(unsigned* to, const unsigned* from) { LOAD_MATRICES(to, from); }
  __device__ __forceinline__ void store(unsigned* buffer) const {
#pragma unroll
    for (int r = 0; r < PACKS; r++) {
      const float* v = value[r].of;
      unsigned* row = buffer + outer(r) * STRIDE;
#if PRECISION == 0
#pragma unroll
      for (int e = 0; e < 4; e++) buffer[(depth() + e) * WIDTH + outer(r)] = word_of(v[e]);
#elif PRECISION == 2
      *reinterpret_cast<uint2*>(row + depth() / 2) = make_uint2(pack_bf16(v[0], v[1]), pack_bf16(v[2], v[3]));
#else
      *reinterpret_cast<uint4*>(row + depth()) = make_uint4(word_of(v[0]), word_of(v[1]), word_of(v[2]), word_of(v[3]));
#endif
    }
  }
};

// A pack has four neighbours across the reduction.  The layout is buffer[word][outer].  In bf16 a thread has rows 2 k
// and 2 k + 1.
struct Across {
  static constexpr int COLUMNS = TILE / 4, PASS = THREADS / COLUMNS;
  Four value[PACKS];

  __device__ __forceinline__ static int outer() { return threadIdx.x % COLUMNS * 4; }
  __device__ __forceinline__ static int depth(int r) {
    const int row = threadIdx.x / COLUMNS;
    return PRECISION == 2 ? 2 * (row + r / 2 * PASS) + r % 2 : row + r * PASS;
  }
  __device__ __forceinline__ static constexpr int place(int outer, int word) { return word * WIDTH + outer; }

  // The same fragments, loaded word by word: lane 4 g + t has rows (or columns) g and g + 8, words t and t + 4.
  __device__ __forceinline__ static int start_of_A(int outer) {
    return place(outer + threadIdx.x % 32 / 4, threadIdx.x % 4);
  }
  __device__ __forceinline__ static int start_of_B(int outer) { return start_of_A(outer); }
  __device__ __forceinline__ static void four_of_A(unsigned* to, const unsigned* from) {
    to[0] = from[0], to[1] = from[place(8, 0)], to[2] = from[place(0, 4)], to[3] = from[place(8, 4)];
  }
  __device__ __forceinline__ static void four_of_B(unsigned* to, const unsigned* from) {
    to[0] = from[0], to[1] = from[place(0, 4)], to[2] = from[place(8, 0)], to[3] = from[place(8, 4)];
  }
  __device__ __forceinline__ void store(unsigned* buffer) const {
#if PRECISION == 2
#pragma unroll
    for (int r = 0; r < PACKS; r += 2) {
      const float *v = value[r].of, *w = value[r + 1].of;
      *reinterpret_cast<uint4*>(buffer + depth(r) / 2 * WIDTH + outer()) =
          make_uint4(pack_bf16(v[0], w[0]), pack_bf16(v[1], w[1]), pack_bf16(v[2], w[2]), pack_bf16(v[3], w[3]));
    }
#else
#pragma unroll
    for (int r = 0; r < PACKS; r++) {
      const float* v = value[r].of;
      *reinterpret_cast<uint4*>(buffer + depth(r) * WIDTH + outer()) =
          make_uint4(word_of(v[0]), word_of(v[1]), word_of(v[2]), word_of(v[3]));
    }
#endif
  }
};

// --- a thread's results ---------------------------------------------------------------------------------
// Row i, pair of columns j, column e of the pair: of[i / 2][j][i % 2 * 2 + e], the order of mma's accumulators.

struct Sums {
  float of[ROWS / 2][PAIRS][4];
};

#if PRECISION == 0
// Threads form 16 rows; a thread has four rows of each 64 rows, and four columns of each half of the tile.
constexpr int SIDE = THREADS / 16;
__device__ __forceinline__ int row_of(int i) { return threadIdx.x / SIDE * 4 + i / 4 * 64 + i % 4; }
__device__ __forceinline__ int column_of(int j) { return threadIdx.x % SIDE * 4 + j / 2 * (TILE / 2) + j % 2 * 2; }
__device__ __forceinline__ Four four_of(const unsigned* words) {
  const uint4 w = *reinterpret_cast<const uint4*>(words);
  return {{__uint_as_float(w.x), __uint_as_float(w.y), __uint_as_float(w.z), __uint_as_float(w.w)}};
}
#else
// Two warps divide the tile's rows; lane 4 g + t of a warp has rows g and g + 8 of each 16, and columns 2 t and 2 t + 1
// of each 8.
__device__ __forceinline__ int row_of(int i) {
  return threadIdx.x / 32 % 2 * (TILE / 2) + i / 2 * 16 + i % 2 * 8 + threadIdx.x % 32 / 4;
}
__device__ __forceinline__ int column_of(int j) { return threadIdx.x / 64 * (8 * PAIRS) + j * 8 + threadIdx.x % 4 * 2; }
#endif

template <class A, class B>
__device__ __forceinline__ void multiply(const unsigned* a, const unsigned* b, Sums& sums) {
#if PRECISION == 0
#pragma unroll 2
  for (int k = 0; k < WORDS; k++) {
    float left[ROWS], right[PAIRS][2];
#pragma unroll
    for (int i = 0; i < ROWS; i += 4) {
      const Four v = four_of(a + k * WIDTH + row_of(i));
#pragma unroll
      for (int e = 0; e < 4; e++) left[i + e] = v.of[e];
    }
#pragma unroll
    for (int j = 0; j < PAIRS; j += 2) {
      const Four v = four_of(b + k * WIDTH + column_of(j));
#pragma unroll
      for (int e = 0; e < 4; e++) right[j + e / 2][e % 2] = v.of[e];
    }
#pragma unroll
    for (int i = 0; i < ROWS; i++)
#pragma unroll
      for (int j = 0; j < PAIRS; j++)
#pragma unroll
        for (int e = 0; e < 2; e++)
          sums.of[i / 2][j][i % 2 * 2 + e] = fmaf(left[i], right[j][e], sums.of[i / 2][j][i % 2 * 2 + e]);
  }
#else
  // All other addresses are these two plus constants.
  a += A::start_of_A(threadIdx.x / 32 % 2 * (TILE / 2)), b += B::start_of_B(threadIdx.x / 64 * (8 * PAIRS));
#pragma unroll
  for (int k = 0; k < WORDS; k += 8) {
    unsigned right[PAIRS / 2][4];
#pragma unroll
    for (int j = 0; j < PAIRS; j += 2) B::four_of_B(right[j / 2], b + B::place(8 * j, k));
#pragma unroll
    for (int i = 0; i < ROWS; i += 2) {
      unsigned left[4];
      A::four_of_A(left, a + A::place(8 * i, k));
#pragma unroll
      for (int j = 0; j < PAIRS; j++) {
#if PRECISION == 1
        MMA_TF32(sums.of[i / 2][j], left, right[j / 2] + j % 2 * 2);
#else
        MMA_BF16(sums.of[i / 2][j], left, right[j / 2] + j % 2 * 2);
#endif
      }
    }
  }
#endif
}

// sums = the tile of A B over `depth` values of the reduction.  One barrier per stage is enough: the buffer that stage
// s writes was last read in stage s - 1, before the barrier.
template <class A, class B>
__device__ __forceinline__ void product(A& a, B& b, int depth, Sums& sums) {
  __shared__ __align__(16) unsigned buffers[2][2][BUFFER];
#pragma unroll
  for (int i = 0; i < ROWS / 2; i++)
#pragma unroll
    for (int j = 0; j < PAIRS; j++)
#pragma unroll
      for (int e = 0; e < 4; e++) sums.of[i][j][e] = 0.f;
  const int stages = (depth + DEPTH - 1) / DEPTH;
  if (stages == 0) return;
  b.load(), a.load();
  a.store(buffers[0][0]), b.store(buffers[0][1]);
  __syncthreads();
  for (int s = 0; s < stages; s++) {
    const bool more = s + 1 < stages;
    if (more) b.load(), a.load();
    multiply<A, B>(buffers[s % 2][0], buffers[s % 2][1], sums);
    if (more) a.store(buffers[(s + 1) % 2][0]), b.store(buffers[(s + 1) % 2][1]);
    __syncthreads();
  }
}
