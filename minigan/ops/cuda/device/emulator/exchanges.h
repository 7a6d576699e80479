// Warp functions (shuffles, votes, products of tensor cores) and asynchronous copies.
#pragma once
#include "fibers.h"

namespace emulator {

template <class T> inline T* slot(unsigned thread, int phase) { return reinterpret_cast<T*>(slots[thread][phase]); }

// Write v to this thread's slot, wait for the other lanes of the mask, and return which of the two slots to read.
template <class T> inline int publish(unsigned mask, const T& v, const char* file, int line) {
  static_assert(sizeof(T) <= sizeof slots[0][0], "too large for an exchange");
  int phase = running->phase;
  running->phase ^= 1;
  memcpy(slots[running->linear][phase], &v, sizeof(T));
  wait(IN_WARP, mask, file, line);
  return phase;
}

template <class T> inline T shuffle(unsigned mask, T v, int source, const char* file, int line) {
  int phase = publish(mask, v, file, line);
  T found;
  memcpy(&found, slots[(running->linear & ~31u) + (source & 31)][phase], sizeof(T));
  if (!(mask >> (source & 31) & 1)) memset(&found, 0xff, sizeof(T));  // undefined: that lane is not in the mask
  return found;
}

// Load four matrices of 8 rows of 4 words: lane 8 i + r has the address of row r of matrix i, and lane 4 g + t gets
// word t of row g of each matrix.  If the address is not a multiple of 16, the word is all ones.
inline void load_matrices(unsigned* d, const unsigned* row, const char* file, int line) {
  int phase = publish(~0u, row, file, line);
  for (unsigned i = 0; i < 4; i++) {
    unsigned lane = (running->linear & ~31u) + 8 * i + (running->linear & 31) / 4;
    const unsigned* from = *slot<const unsigned*>(lane, phase);
    d[i] = reinterpret_cast<uintptr_t>(from) % 16 ? ~0u : from[running->linear % 4];
  }
}

inline int lane() { return running->linear & 31; }
// The lane that a shuffle reads from, among `width` neighbours: this lane if the other one would be outside.
inline int lane_above(int d, int width) { return lane() % width + d < width ? lane() + d : lane(); }
inline int lane_below(int d, int width) { return lane() % width - d >= 0 ? lane() - d : lane(); }
inline int lane_xor(int d, int width) { return (lane() ^ d) / width <= lane() / width ? lane() ^ d : lane(); }
inline int lane_at(int i, int width) { return lane() / width * width + (i & (width - 1)); }

inline unsigned ballot(unsigned mask, bool v, const char* file, int line) {
  int phase = publish(mask, v, file, line);
  unsigned found = 0;
  for (int i = 0; i < 32; i++)
    if (mask >> i & 1) found |= unsigned(*slot<bool>((running->linear & ~31u) + i, phase)) << i;
  return found;
}

// --- tensor cores: the fragments of PTX's mma.m16n8k16 (bf16) and mma.m16n8k8 (tf32) --------------------------------

struct Fragments { uint32_t a[4], b[2]; };

inline float word_as_float(uint32_t word) { float x; memcpy(&x, &word, 4); return x; }
inline uint32_t float_as_word(float x) { uint32_t word; memcpy(&word, &x, 4); return word; }
inline float half_of(uint32_t word, int high) { return word_as_float(high ? word & 0xffff0000u : word << 16); }

template <class A, class B> inline void multiply(float* d, const uint32_t* a, const uint32_t* b, int K, A of_a, B of_b,
                                                 const char* file, int line) {
  Fragments fragments;
  memcpy(fragments.a, a, sizeof fragments.a), memcpy(fragments.b, b, sizeof fragments.b);
  int phase = publish(0xffffffffu, fragments, file, line), g = lane() / 4, t = lane() % 4;
  const unsigned warp = running->linear & ~31u;
  for (int i = 0; i < 4; i++) {
    int row = g + i / 2 * 8, column = 2 * t + i % 2;
    float sum = 0;
    for (int k = 0; k < K; k++) sum += of_a(warp, phase, row, k) * of_b(warp, phase, k, column);
    d[i] += sum;
  }
}

inline void mma_bf16(float* d, const uint32_t* a, const uint32_t* b, const char* file, int line) {
  auto of_a = [](unsigned warp, int phase, int row, int k) {
    return half_of(slot<Fragments>(warp + row % 8 * 4 + k % 8 / 2, phase)->a[row / 8 + k / 8 * 2], k & 1);
  };
  auto of_b = [](unsigned warp, int phase, int k, int column) {
    return half_of(slot<Fragments>(warp + column * 4 + k % 8 / 2, phase)->b[k / 8], k & 1);
  };
  multiply(d, a, b, 16, of_a, of_b, file, line);
}

inline void mma_tf32(float* d, const uint32_t* a, const uint32_t* b, const char* file, int line) {
  // The hardware reads only the upper 19 bits.
  auto of_a = [](unsigned warp, int phase, int row, int k) {
    return word_as_float(slot<Fragments>(warp + row % 8 * 4 + k % 4, phase)->a[row / 8 + k / 4 * 2] & 0xffffe000u);
  };
  auto of_b = [](unsigned warp, int phase, int k, int column) {
    return word_as_float(slot<Fragments>(warp + column * 4 + k % 4, phase)->b[k / 4] & 0xffffe000u);
  };
  multiply(d, a, b, 8, of_a, of_b, file, line);
}

// --- cp.async: the data are copied as late as possible, when the thread waits for them -------------------------------

inline void copy_async(void* to, const void* from, int bytes, bool valid) {
  if (reinterpret_cast<uintptr_t>(to) % bytes || (valid && reinterpret_cast<uintptr_t>(from) % bytes)) {
    fprintf(stderr, "cp.async of %d bytes: an address is misaligned; expected multiples of the size\n", bytes);
    abort();
  }
  if (running->copies.empty()) running->copies.emplace_back();
  running->copies.back().push_back({to, from, bytes, valid});
}

inline void commit_copies() {
  if (running->copies.empty()) running->copies.emplace_back();
  running->copies.emplace_back();
}

inline void wait_copies(size_t latest) {
  auto& groups = running->copies;
  while (groups.size() > latest + 1) {
    for (const Copy& c : groups.front()) c.valid ? (void)memcpy(c.to, c.from, c.bytes) : (void)memset(c.to, 0, c.bytes);
    groups.erase(groups.begin());
  }
}

}  // namespace emulator
