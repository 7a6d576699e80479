// Gather and scale a batch of a data set that is stored as bytes:  out[n, p] = scale images[index[n], p] + shift
#include "minigan.cuh"

#define THREADS 256

// Scale one image and write each pixel REPEAT times: 3 turns a grey pixel into three equal channels.
template <int REPEAT>
__device__ __forceinline__ void normalise(const unsigned char* image, real* out, int pixels, real scale, real shift) {
  const int packs = in_packs(out) && (reinterpret_cast<unsigned long long>(image) & 3) == 0 ? pixels / 4 : 0;
  for (int i = threadIdx.x; i < packs; i += THREADS) {
    const uchar4 bytes = reinterpret_cast<const uchar4*>(image)[i];
    const real values[4] = {real(bytes.x), real(bytes.y), real(bytes.z), real(bytes.w)};
    Pack* into = reinterpret_cast<Pack*>(out) + i * (4 * REPEAT / PACK);
#pragma unroll
    for (int j = 0; j < 4 * REPEAT / PACK; j++) {
      Pack v;
#pragma unroll
      for (int k = 0; k < PACK; k++) v.of[k] = scale * values[(j * PACK + k) / REPEAT] + shift;
      into[j] = v;
    }
  }
  for (int i = 4 * packs + threadIdx.x; i < pixels; i += THREADS)
#pragma unroll
    for (int k = 0; k < REPEAT; k++) out[REPEAT * i + k] = scale * real(image[i]) + shift;
}

// Block n writes image index[n] = order[(position + n) mod length].  An index out of range gives an image of NaN.
// images (count, pixels)   order (length,)   out (N, pixels repeat)
extern "C" __global__ void __launch_bounds__(THREADS)
gather(const unsigned char* __restrict__ images, const long long* __restrict__ order, real* __restrict__ out,
       long long count, int pixels, int repeat, long long length, const unsigned long long* __restrict__ position,
       real scale, real shift) {
  const unsigned long long place = ((position ? *position : 0) + blockIdx.x) % length;
  const long long index = order[place];
  real* into = out + (long long)blockIdx.x * pixels * repeat;
  if (index < 0 || index >= count) {
    for (int i = threadIdx.x; i < pixels * repeat; i += THREADS) into[i] = real(nan(""));
    return;
  }
  const unsigned char* image = images + index * pixels;
  if (repeat == 3) normalise<3>(image, into, pixels, scale, shift);
  else normalise<1>(image, into, pixels, scale, shift);
}
