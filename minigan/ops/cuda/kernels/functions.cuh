// Activations of one number, as minigan/ops/reference.py has them.
#pragma once

// 0 where v <= 0, else v: NaN stays NaN.
__device__ __forceinline__ real relu_of(real v) { return v <= 0 ? real(0) : v; }

__device__ __forceinline__ real exp_minus_abs(real v) { return exp(v > 0 ? -v : v); }

// 1 / (1 + e^-v), given e = e^-|v|: no overflow, full relative accuracy.
__device__ __forceinline__ real sigmoid_of(real v, real e) { return (v > 0 ? real(1) : e) / (1 + e); }

// log(1 + e^v), given e = e^-|v|
__device__ __forceinline__ real softplus_of(real v, real e) { return (v > 0 ? v : real(0)) + log1p(e); }
