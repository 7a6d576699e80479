// CUDA's device functions that the C library does not have, on the host.
#pragma once

// <math.h> declares exp(float), isfinite and so on at file scope.

// --- numbers -----------------------------------------------------------------------------------------------------

template <class A, class B> inline typename std::common_type<A, B>::type min(A a, B b) { return b < a ? b : a; }
template <class A, class B> inline typename std::common_type<A, B>::type max(A a, B b) { return a < b ? b : a; }
inline float rsqrtf(float x) { return 1.0f / sqrtf(x); }
inline float rsqrt(float x) { return 1.0f / sqrtf(x); }
inline double rsqrt(double x) { return 1.0 / sqrt(x); }
inline float fdividef(float a, float b) { return a / b; }
inline float __fdividef(float a, float b) { return a / b; }
inline float __fdiv_rn(float a, float b) { return a / b; }
inline float __fsqrt_rn(float x) { return sqrtf(x); }
inline float __expf(float x) { return expf(x); }
inline float __logf(float x) { return logf(x); }
inline float __sinf(float x) { return sinf(x); }
inline float __cosf(float x) { return cosf(x); }
inline void __sincosf(float x, float* s, float* c) { *s = sinf(x), *c = cosf(x); }
inline float __fmaf_rn(float a, float b, float c) { return fmaf(a, b, c); }
inline double __fma_rn(double a, double b, double c) { return fma(a, b, c); }
inline float __fmul_rn(float a, float b) { return a * b; }
inline float __fadd_rn(float a, float b) { return a + b; }
inline double __dmul_rn(double a, double b) { return a * b; }
inline double __dadd_rn(double a, double b) { return a + b; }

// sin(pi x) and cos(pi x): x is first reduced modulo 2, exactly.
inline void sincospi(double x, double* s, double* c) {
  double reduced = x - 2 * floor(x / 2);
  *s = sin(M_PI * reduced), *c = cos(M_PI * reduced);
}
inline void sincospif(float x, float* s, float* c) {
  double sine, cosine;
  sincospi(x, &sine, &cosine);
  *s = float(sine), *c = float(cosine);
}

// --- integers and bits -------------------------------------------------------------------------------------------

inline unsigned __umulhi(unsigned a, unsigned b) { return unsigned((unsigned long long)a * b >> 32); }
inline unsigned long long __umul64hi(unsigned long long a, unsigned long long b) {
  return (unsigned long long)((unsigned __int128)a * b >> 64);
}
inline int __popc(unsigned x) { return __builtin_popcount(x); }
inline int __clz(int x) { return x ? __builtin_clz(unsigned(x)) : 32; }
inline int __ffs(int x) { return __builtin_ffs(x); }
inline float __int_as_float(int x) { return emulator::word_as_float(uint32_t(x)); }
inline float __uint_as_float(unsigned x) { return emulator::word_as_float(x); }
inline int __float_as_int(float x) { return int(emulator::float_as_word(x)); }
inline unsigned __float_as_uint(float x) { return emulator::float_as_word(x); }

// --- memory ------------------------------------------------------------------------------------------------------

template <class T> inline T __ldg(const T* p) { return *p; }
template <class T> inline T __ldcg(const T* p) { return *p; }
template <class T> inline T __ldcs(const T* p) { return *p; }
template <class T> inline void __stcs(T* p, T v) { *p = v; }
template <class T> inline void __stcg(T* p, T v) { *p = v; }
inline void __threadfence() {}
inline void __threadfence_block() {}

// For integers only: on a GPU the order of the additions, and so a sum of floats, differs from run to run.
template <class T> inline T atomicAdd(T* p, T v) {
  static_assert(std::is_integral<T>::value, "atomicAdd of floats is not deterministic");
  T old = *p;
  *p = old + v;
  return old;
}
template <class T> inline T atomicExch(T* p, T v) { T old = *p; *p = v; return old; }
template <class T> inline T atomicOr(T* p, T v) { T old = *p; *p = old | v; return old; }
template <class T> inline T atomicMax(T* p, T v) { T old = *p; *p = old < v ? v : old; return old; }
template <class T> inline T atomicMin(T* p, T v) { T old = *p; *p = v < old ? v : old; return old; }
template <class T> inline T atomicCAS(T* p, T expected, T v) { T old = *p; if (old == expected) *p = v; return old; }

// --- bf16: the upper half of a float, rounded to nearest, ties to even -------------------------------------------

struct __nv_bfloat16 { unsigned short bits; };

inline __nv_bfloat16 __float2bfloat16(float x) {
  uint32_t word = emulator::float_as_word(x);
  if ((word & 0x7fffffffu) > 0x7f800000u) return {0x7fff};  // CUDA's NaN
  return {(unsigned short)((word + 0x7fffu + (word >> 16 & 1)) >> 16)};
}
inline __nv_bfloat16 __float2bfloat16_rn(float x) { return __float2bfloat16(x); }
inline float __bfloat162float(__nv_bfloat16 x) { return emulator::word_as_float(uint32_t(x.bits) << 16); }
inline unsigned short __bfloat16_as_ushort(__nv_bfloat16 x) { return x.bits; }
inline __nv_bfloat16 __ushort_as_bfloat16(unsigned short bits) { return {bits}; }

inline unsigned pack_bf16(float low, float high) {
  return unsigned(__float2bfloat16(low).bits) | unsigned(__float2bfloat16(high).bits) << 16;
}

// x rounded to 10 bits of fraction, ties to even.
inline unsigned to_tf32(float x) {
  uint32_t word = emulator::float_as_word(x);
  if ((word & 0x7f800000u) == 0x7f800000u) return word;  // infinite or NaN
  return (word + 0xfffu + (word >> 13 & 1)) & 0xffffe000u;
}

inline float4 load_16(const float* global, bool valid) {
  return valid ? *reinterpret_cast<const float4*>(global) : make_float4(0.f, 0.f, 0.f, 0.f);
}
