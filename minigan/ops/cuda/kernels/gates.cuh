// Activation and dropout of one number: y = mask f(x), f(x) = x where x > 0, else slope x, or 0 (relu).
#pragma once

struct Gate {
  int relu;                  // else a leaky ReLU; slope 1 changes nothing
  real slope;
  int drops;
  unsigned threshold;        // the least hash that is kept
  unsigned low, high;        // the two words of the key
  real kept;                 // 1 / (1 - rate)
};

// Where there are `keys`, which a captured graph has, `key` is the number of one: each replay finds other keys there.
__device__ __forceinline__ Gate make_gate(int relu, real slope, int drops, unsigned threshold, unsigned long long key,
                                          real kept, const unsigned long long* keys) {
  if (drops && keys) key = keys[key];
  return Gate{relu, slope, drops, threshold, (unsigned)key, (unsigned)(key >> 32), kept};
}

// minigan.ops.reference.dropout_hash
__device__ __forceinline__ unsigned dropout_hash(unsigned i, unsigned low, unsigned high) {
  unsigned h = i * 0x9E3779B1u ^ low;
  h = (h ^ h >> 16) * 0x7FEB352Du ^ high;
  h = (h ^ h >> 15) * 0x846CA68Bu;
  h = (h ^ h >> 16) * 0x85EBCA6Bu;
  return h ^ h >> 13;
}

// mask_i v; i counts the array's numbers in C order, modulo 2^32.  A masked infinity is NaN: 0 times infinity.
__device__ __forceinline__ real drop(const Gate& g, real v, long long i) {
  return g.drops ? v * (dropout_hash((unsigned)i, g.low, g.high) >= g.threshold ? g.kept : real(0)) : v;
}

// f(v).  A ReLU has the slope 1: where v is neither positive nor masked, it is NaN.
__device__ __forceinline__ real activate(const Gate& g, real v) {
  const real y = v > 0 ? v : v * g.slope;
  return g.relu && v <= 0 ? real(0) : y;
}

// f'(v) d
__device__ __forceinline__ real activate_back(const Gate& g, real v, real d) {
  const real t = v > 0 ? d : d * g.slope;
  return g.relu && v <= 0 ? real(0) : t;
}
