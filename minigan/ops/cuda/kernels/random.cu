// Philox4x64-10 (Salmon, Moraes, Dror and Shaw 2011): the integers of numpy.random.Philox, and numbers made of them.
//
// Integer 4 b + j of a draw is word j of the block with the counter c + 1 + position + offset + b.  The position is in
// device memory, so that a graph, which repeats its launches with the same arguments, draws new numbers at each replay.
#include "minigan.cuh"

#define THREADS 256

typedef unsigned long long word;

struct Words {
  word of[4];
};

// The 256-bit counter (least significant word first) plus a number, with all carries.
__device__ __forceinline__ Words counter_after(word c0, word c1, word c2, word c3, word steps) {
  c0 += steps;
  const word carry = c0 < steps;
  c1 += carry;
  c2 += carry && c1 == 0;
  c3 += carry && c1 == 0 && c2 == 0;
  return Words{{c0, c1, c2, c3}};
}

__device__ __forceinline__ Words philox(Words c, word k0, word k1) {
#pragma unroll
  for (int round = 0; round < 10; round++) {
    const word high0 = __umul64hi(0xD2E7470EE14C6C93ull, c.of[0]), low0 = 0xD2E7470EE14C6C93ull * c.of[0];
    const word high1 = __umul64hi(0xCA5A826395121157ull, c.of[2]), low1 = 0xCA5A826395121157ull * c.of[2];
    c = Words{{high1 ^ c.of[1] ^ k0, low1, high0 ^ c.of[3] ^ k1, low0}};
    k0 += 0x9E3779B97F4A7C15ull;
    k1 += 0xBB67AE8584CAA73Bull;
  }
  return c;
}

// Uniform on [0, 1), in steps of 2^-53 and 2^-24, as NumPy's Generator computes them.
__device__ __forceinline__ double uniform_of(word w) { return double(w >> 11) * (1.0 / 9007199254740992.0); }
__device__ __forceinline__ float uniform_of(unsigned w) { return float(w >> 8) * (1.0f / 16777216.0f); }

// out = the integers.    out (n,)
extern "C" __global__ void __launch_bounds__(THREADS)
integers(unsigned long long* __restrict__ out, long long n, unsigned long long k0, unsigned long long k1,
         unsigned long long c0, unsigned long long c1, unsigned long long c2, unsigned long long c3,
         unsigned long long offset, const unsigned long long* __restrict__ position) {
  for (long long b = thread_of_grid(); 4 * b < n; b += threads_of_grid()) {
    const Words w = philox(counter_after(c0, c1, c2, c3, 1 + *position + offset + b), k0, k1);
#pragma unroll
    for (int j = 0; j < 4; j++)
      if (4 * b + j < n) out[4 * b + j] = w.of[j];
  }
}

// Uniform on [0, 1): a double from each integer, or a float from each half of one, the lower half first.    out (n,)
extern "C" __global__ void __launch_bounds__(THREADS)
uniforms(real* __restrict__ out, long long n, unsigned long long k0, unsigned long long k1, unsigned long long c0,
         unsigned long long c1, unsigned long long c2, unsigned long long c3, unsigned long long offset,
         const unsigned long long* __restrict__ position) {
  constexpr int EACH = 32 / sizeof(real);  // numbers per block of the stream
  for (long long b = thread_of_grid(); EACH * b < n; b += threads_of_grid()) {
    const Words w = philox(counter_after(c0, c1, c2, c3, 1 + *position + offset + b), k0, k1);
#pragma unroll
    for (int j = 0; j < EACH; j++) {
      if (EACH * b + j >= n) break;
      if (sizeof(real) == 8) out[EACH * b + j] = real(uniform_of(w.of[j % 4]));
      else out[EACH * b + j] = real(uniform_of(unsigned(w.of[j / 2 % 4] >> 32 * (j % 2))));
    }
  }
}

// Standard normal numbers (Box and Muller 1958), two from two integers, whose uniform numbers are u and v:
//     sqrt(-2 log(1 - u)) (cos 2 pi v, sin 2 pi v)
// A float is the rounded double.    out (n,)
extern "C" __global__ void __launch_bounds__(THREADS)
normals(real* __restrict__ out, long long n, unsigned long long k0, unsigned long long k1, unsigned long long c0,
        unsigned long long c1, unsigned long long c2, unsigned long long c3, unsigned long long offset,
        const unsigned long long* __restrict__ position) {
  for (long long b = thread_of_grid(); 4 * b < n; b += threads_of_grid()) {
    const Words w = philox(counter_after(c0, c1, c2, c3, 1 + *position + offset + b), k0, k1);
#pragma unroll
    for (int j = 0; j < 4; j += 2) {
      const double radius = sqrt(-2 * log(1 - uniform_of(w.of[j])));
      double sine, cosine;
      sincospi(2 * uniform_of(w.of[j + 1]), &sine, &cosine);
      if (4 * b + j < n) out[4 * b + j] = real(radius * cosine);
      if (4 * b + j + 1 < n) out[4 * b + j + 1] = real(radius * sine);
    }
  }
}

// Integers 0 ... count - 1: floor(w count 2^-64) for each integer w.  Their probabilities differ by at most 2^-64.
extern "C" __global__ void __launch_bounds__(THREADS)
indices(long long* __restrict__ out, long long n, long long count, unsigned long long k0, unsigned long long k1,
        unsigned long long c0, unsigned long long c1, unsigned long long c2, unsigned long long c3,
        unsigned long long offset, const unsigned long long* __restrict__ position) {
  for (long long b = thread_of_grid(); 4 * b < n; b += threads_of_grid()) {
    const Words w = philox(counter_after(c0, c1, c2, c3, 1 + *position + offset + b), k0, k1);
#pragma unroll
    for (int j = 0; j < 4; j++)
      if (4 * b + j < n) out[4 * b + j] = (long long)__umul64hi(w.of[j], (word)count);
  }
}

// position <- position + steps, by one thread.
extern "C" __global__ void __launch_bounds__(32) advance(unsigned long long* position, unsigned long long steps) {
  if (threadIdx.x == 0) *position += steps;
}
