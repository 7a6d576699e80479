// Activations of one number, by the formulas of minigan/ops/reference.py.
#pragma once

// max(v, 0); NaN stays NaN.
__device__ __forceinline__ real relu_of(real v) { return v <= 0 ? real(0) : v; }

__device__ __forceinline__ real exp_minus_abs(real v) { return exp(v > 0 ? -v : v); }

// 1 / (1 + e^-v), given e = e^-|v|: it does not overflow and has full relative accuracy.
__device__ __forceinline__ real sigmoid_of(real v, real e) { return (v > 0 ? real(1) : e) / (1 + e); }

// log(1 + e^v), given e = e^-|v|
__device__ __forceinline__ real softplus_of(real v, real e) { return (v > 0 ? v : real(0)) + log1p(e); }
