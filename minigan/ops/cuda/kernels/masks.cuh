// Activation and dropout of one number: y = mask f(x), where f(x) = x if x > 0, else slope x, or 0 with relu.
#pragma once

struct Mask {
  int relu;                  // whether f is a ReLU, with slope 1; else f is a leaky ReLU, and with slope 1 f(x) = x
  real slope;
  int drops;                 // whether there is dropout
  unsigned threshold;        // the least hash with which a number is kept
  unsigned low, high;        // the lower and upper 32 bits of the key
  real keep_scale;           // 1 / (1 - rate)
};

// A captured graph has its keys in device memory, so that each replay can use other ones: `key` is an index into `keys`
// then.  Otherwise `keys` is null.
__device__ __forceinline__ Mask make_mask(int relu, real slope, int drops, unsigned threshold, unsigned long long key,
                                          real keep_scale, const unsigned long long* keys) {
  if (drops && keys) key = keys[key];
  return Mask{relu, slope, drops, threshold, (unsigned)key, (unsigned)(key >> 32), keep_scale};
}

// As minigan.ops.reference.dropout_hash.
__device__ __forceinline__ unsigned dropout_hash(unsigned i, unsigned low, unsigned high) {
  unsigned h = i * 0x9E3779B1u ^ low;
  h = (h ^ h >> 16) * 0x7FEB352Du ^ high;
  h = (h ^ h >> 15) * 0x846CA68Bu;
  h = (h ^ h >> 16) * 0x85EBCA6Bu;
  return h ^ h >> 13;
}

// mask_i v, where i is the index in C order, modulo 2^32.  An infinity that is dropped gives NaN: 0 times infinity.
__device__ __forceinline__ real drop(const Mask& mask, real v, long long i) {
  return mask.drops
             ? v * (dropout_hash((unsigned)i, mask.low, mask.high) >= mask.threshold ? mask.keep_scale : real(0))
             : v;
}

// f(v).  A ReLU has slope 1, so that a NaN stays NaN.
__device__ __forceinline__ real activate(const Mask& mask, real v) {
  const real y = v > 0 ? v : v * mask.slope;
  return mask.relu && v <= 0 ? real(0) : y;
}

// f'(v) d
__device__ __forceinline__ real activate_backward(const Mask& mask, real v, real d) {
  const real t = v > 0 ? d : d * mask.slope;
  return mask.relu && v <= 0 ? real(0) : t;
}
