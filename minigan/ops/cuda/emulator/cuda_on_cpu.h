// CUDA C++ on the host: the same kernel source, compiled by a C++ compiler.
//
// Blocks run one after another.  The threads of a block are fibers: each has a stack of its own, and one runs until it
// comes to a barrier, a shuffle or its end, where it hands over.  No two run at once, so what goes wrong is the same
// at every run; three schedules (forward, reverse, random) change who comes first.  Shared memory begins as NaN.
//
// Seen: missing and divergent barriers, divergent shuffles, reads of shared memory that nobody wrote, results that
// depend on the order of threads or blocks.  Not seen: races between blocks, missing fences, speed.
#pragma once
#include <math.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include <type_traits>
#include <utility>
#include <vector>

// --- words of the language ---------------------------------------------------------------------------------------

#define __global__
#define __device__
#define __host__
#define __constant__ static const
#define __forceinline__ inline __attribute__((always_inline))
#define __noinline__ __attribute__((noinline))
#define __launch_bounds__(...)
#define __restrict__ __restrict
#define __align__(n) __attribute__((aligned(n)))
#define __shared__ static __attribute__((section("minigan_shared")))
#define DYNAMIC_SHARED(T, name) T* name = reinterpret_cast<T*>(emulator::dynamic_shared)

struct uint3 { unsigned x, y, z; };
struct dim3 { unsigned x, y, z; };
#define MINIGAN_VECTORS(type, name, bytes)                                                                        \
  struct alignas(2 * bytes) name##2 { type x, y; };                                                               \
  struct alignas(4 * bytes < 16 ? 4 * bytes : 16) name##4 { type x, y, z, w; };                                   \
  inline name##2 make_##name##2(type x, type y) { return {x, y}; }                                                \
  inline name##4 make_##name##4(type x, type y, type z, type w) { return {x, y, z, w}; }
MINIGAN_VECTORS(float, float, 4)
MINIGAN_VECTORS(double, double, 8)
MINIGAN_VECTORS(int, int, 4)
MINIGAN_VECTORS(unsigned, uint, 4)
MINIGAN_VECTORS(unsigned char, uchar, 1)
#undef MINIGAN_VECTORS

// The linker says where the section of shared variables begins and ends.
extern "C" char __start_minigan_shared[] __attribute__((weak)), __stop_minigan_shared[] __attribute__((weak));

namespace emulator {

// --- switching stacks --------------------------------------------------------------------------------------------

#if defined(__x86_64__)
// Save what a call must keep on this stack, take up another.  A new stack begins with six zeros and an address.
extern "C" void minigan_switch(void** from, void* to);
asm(R"(
.text
.local minigan_switch
.type minigan_switch,@function
minigan_switch:
  pushq %rbp; pushq %rbx; pushq %r12; pushq %r13; pushq %r14; pushq %r15
  movq %rsp,(%rdi)
  movq %rsi,%rsp
  popq %r15; popq %r14; popq %r13; popq %r12; popq %rbx; popq %rbp
  ret
)");
typedef void* Place;
inline void switch_to(Place& from, Place& to) { minigan_switch(&from, to); }
inline void begin(Place& place, char* stack, size_t size, void (*run)()) {
  void** top = reinterpret_cast<void**>((reinterpret_cast<uintptr_t>(stack) + size) & ~uintptr_t(15));
  *--top = nullptr;  // the return address of `run`, which never returns
  *--top = reinterpret_cast<void*>(run);
  for (int i = 0; i < 6; i++) *--top = nullptr;
  place = top;
}
#else
#include <ucontext.h>
typedef ucontext_t Place;
inline void switch_to(Place& from, Place& to) { swapcontext(&from, &to); }
inline void begin(Place& place, char* stack, size_t size, void (*run)()) {
  getcontext(&place);
  place.uc_stack.ss_sp = stack;
  place.uc_stack.ss_size = size;
  place.uc_link = nullptr;
  makecontext(&place, run, 0);
}
#endif

// --- threads -----------------------------------------------------------------------------------------------------

enum State { NEW, READY, AT_BARRIER, IN_WARP, ENDED };
enum Schedule { FORWARD, REVERSE, RANDOM };

struct Copy {  // one cp.async
  void* to;
  const void* from;
  int bytes;
  bool valid;
};

struct Thread {
  Place place;
  uint3 index;
  unsigned linear;
  State state;
  const char* file;  // where it waits
  int line;
  unsigned mask;   // the lanes that it waits for
  int phase;       // which of its two slots is next
  std::vector<std::vector<Copy>> copies;  // groups of cp.async on their way; the last one is open
};

static const size_t STACK = 64 * 1024;
static const unsigned MOST_THREADS = 1024, WARP = 32;

static Thread threads[MOST_THREADS];
static char* stacks;             // of MOST_THREADS fibers, touched only where used
static unsigned order[MOST_THREADS];
static unsigned n_threads, next_new;
static Thread* running;
static Place scheduler;
static uint3 block_index;
static dim3 block_size, grid_size;
static char* dynamic_shared;
static size_t dynamic_bytes;
static unsigned long long random_state;
static char message[512];
static void (*body)();
// What the lanes of a warp hand each other; two slots each, so that the next exchange may begin before all have read.
alignas(16) static unsigned char slots[MOST_THREADS][2][64];

inline unsigned random_below(unsigned n) {
  random_state = random_state * 6364136223846793005ull + 1442695040888963407ull;
  return unsigned((random_state >> 33) % n);
}

inline void wait(State state, unsigned mask, const char* file, int line) {
  running->state = state, running->mask = mask, running->file = file, running->line = line;
  switch_to(running->place, scheduler);
}

inline void start(Thread& t) {
  t.state = READY, t.phase = 0;
  t.copies.clear();
  running = &t;
}

// A fiber runs a thread, and when that has ended, the next one that has not begun: a kernel without barriers needs one
// stack and no switch.
static void fiber() {
  for (;;) {
    body();
    running->state = ENDED;
    if (next_new == n_threads) break;
    start(threads[order[next_new++]]);
  }
  Place never;
  switch_to(never, scheduler);
  abort();
}

// Let those go on who wait in a warp for lanes that have all come to the same line; whether there were any.
static bool release_warps() {
  bool any = false;
  for (unsigned w = 0; w < n_threads; w += WARP) {
    unsigned lanes = n_threads - w < WARP ? n_threads - w : WARP;
    for (unsigned i = 0; i < lanes; i++) {
      Thread& t = threads[w + i];
      if (t.state != IN_WARP || !(t.mask >> i & 1)) continue;
      unsigned mask = t.mask;
      bool all = true;
      for (unsigned j = 0; j < lanes && all; j++) {
        Thread& u = threads[w + j];
        if (mask >> j & 1) all = u.state == IN_WARP && u.mask == mask && u.line == t.line && u.file == t.file;
      }
      if (!all) continue;
      for (unsigned j = 0; j < lanes; j++)
        if (mask >> j & 1) threads[w + j].state = READY;
      any = true;
    }
  }
  return any;
}

// Let all go on if all are at one barrier; 0, or 1 with a message.
static int release_block() {
  unsigned waiting = 0, ended = 0;
  Thread *first = nullptr, *lane = nullptr;
  for (unsigned i = 0; i < n_threads; i++) {
    Thread& t = threads[i];
    ended += t.state == ENDED;
    if (t.state == IN_WARP && !lane) lane = &t;
    if (t.state != AT_BARRIER) continue;
    waiting++;
    if (!first) first = &t;
    if (t.line != first->line || t.file != first->file) {
      snprintf(message, sizeof message, "%s:%d: divergent __syncthreads: thread %u is there, thread %u at %s:%d", t.file,
               t.line, t.linear, first->linear, first->file, first->line);
      return 1;
    }
  }
  if (lane) {
    bool own = lane->mask >> (lane->linear % WARP) & 1;
    snprintf(message, sizeof message, own ? "%s:%d: thread %u waits for lanes of the mask %08x that do not come"
                                          : "%s:%d: thread %u is no lane of its own mask %08x",
             lane->file, lane->line, lane->linear, lane->mask);
    return 1;
  }
  if (ended) {
    snprintf(message, sizeof message, "%s:%d: __syncthreads reached by %u threads of the block, while %u had ended",
             first->file, first->line, waiting, ended);
    return 1;
  }
  for (unsigned i = 0; i < n_threads; i++) threads[i].state = READY;
  return 0;
}

static void shuffle_order(unsigned n) {
  for (unsigned i = n - 1; i > 0; i--) std::swap(order[i], order[random_below(i + 1)]);
}

static int run_block(int schedule) {
  for (unsigned i = 0; i < n_threads; i++) order[i] = schedule == REVERSE ? n_threads - 1 - i : i, threads[i].state = NEW;
  if (schedule == RANDOM) shuffle_order(n_threads);
  unsigned fibers = 0;
  for (next_new = 0; next_new < n_threads;) {
    Thread& t = threads[order[next_new++]];
    start(t);
    begin(t.place, stacks + STACK * fibers++, STACK, fiber);
    switch_to(scheduler, t.place);
  }
  for (;;) {
    unsigned ended = 0;
    for (unsigned i = 0; i < n_threads; i++) ended += threads[i].state == ENDED;
    if (ended == n_threads) return 0;
    if (!release_warps() && release_block()) return 1;
    if (schedule == RANDOM) shuffle_order(n_threads);
    for (unsigned i = 0; i < n_threads; i++) {
      Thread& t = threads[order[i]];
      if (t.state != READY) continue;
      running = &t;
      switch_to(scheduler, t.place);
    }
  }
}

// Dynamic shared memory of so many bytes; behind it lies a page that nobody may touch.
static bool reserve_shared(size_t bytes) {
  static char* pages;
  static size_t room;
  const size_t page = 65536;
  if (dynamic_shared && bytes == dynamic_bytes) return true;
  if (pages) munmap(pages, room + page);
  room = (bytes + page - 1) / page * page;
  void* found = mmap(nullptr, room + page, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (found == MAP_FAILED || mprotect(static_cast<char*>(found) + room, page, PROT_NONE)) return false;
  pages = static_cast<char*>(found);
  dynamic_shared = pages + room - bytes, dynamic_bytes = bytes;
  return true;
}

// Run the grid, blocks in the order of the schedule; 0, or 1 with a message.  Shared memory is NaN in every block.
static int run_grid(const unsigned* grid, const unsigned* block, size_t shared, int schedule, unsigned long long seed,
                    void (*kernel)()) {
  grid_size = {grid[0], grid[1], grid[2]}, block_size = {block[0], block[1], block[2]};
  n_threads = block[0] * block[1] * block[2], body = kernel, random_state = seed * 2 + 1, message[0] = 0;
  if (!stacks) {
    void* memory = mmap(nullptr, STACK * MOST_THREADS, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (memory == MAP_FAILED) return snprintf(message, sizeof message, "no memory for the stacks"), 1;
    stacks = static_cast<char*>(memory);
  }
  if (!reserve_shared((shared + 127) / 128 * 128)) return snprintf(message, sizeof message, "no shared memory"), 1;
  for (unsigned i = 0; i < n_threads; i++) {
    threads[i].linear = i;
    threads[i].index = {i % block[0], i / block[0] % block[1], i / (block[0] * block[1])};
  }
  unsigned long long blocks = 1ull * grid[0] * grid[1] * grid[2];
  std::vector<unsigned long long> turns(blocks);
  for (unsigned long long i = 0; i < blocks; i++) turns[i] = schedule == REVERSE ? blocks - 1 - i : i;
  if (schedule == RANDOM)
    for (unsigned long long i = blocks - 1; i > 0; i--) std::swap(turns[i], turns[random_below(unsigned(i + 1))]);
  for (unsigned long long turn : turns) {
    block_index = {unsigned(turn % grid[0]), unsigned(turn / grid[0] % grid[1]), unsigned(turn / grid[0] / grid[1])};
    memset(dynamic_shared, 0xff, dynamic_bytes);
    if (__start_minigan_shared) memset(__start_minigan_shared, 0xff, __stop_minigan_shared - __start_minigan_shared);
    if (run_block(schedule)) return 1;
  }
  return 0;
}

// --- barriers and exchanges --------------------------------------------------------------------------------------

template <class T> inline T* slot(unsigned thread, int phase) { return reinterpret_cast<T*>(slots[thread][phase]); }

// Put v where the other lanes of the mask can read it, wait for them, and return which slot to read.
template <class T> inline int offer(unsigned mask, const T& v, const char* file, int line) {
  static_assert(sizeof(T) <= sizeof slots[0][0], "too large for an exchange");
  int phase = running->phase;
  running->phase ^= 1;
  memcpy(slots[running->linear][phase], &v, sizeof(T));
  wait(IN_WARP, mask, file, line);
  return phase;
}

template <class T> inline T shuffle(unsigned mask, T v, int source, const char* file, int line) {
  int phase = offer(mask, v, file, line);
  T found;
  memcpy(&found, slots[(running->linear & ~31u) + (source & 31)][phase], sizeof(T));
  if (!(mask >> (source & 31) & 1)) memset(&found, 0xff, sizeof(T));  // of a lane that takes no part: undefined
  return found;
}

// Four matrices of 8 rows of 4 words: lane 8 i + r has the address of row r of matrix i, and lane 4 g + t gets word t of
// row g; all ones where an address is no multiple of 16.
inline void load_matrices(unsigned* d, const unsigned* row, const char* file, int line) {
  int phase = offer(~0u, row, file, line);
  for (unsigned i = 0; i < 4; i++) {
    unsigned lane = (running->linear & ~31u) + 8 * i + (running->linear & 31) / 4;
    const unsigned* from = *slot<const unsigned*>(lane, phase);
    d[i] = reinterpret_cast<uintptr_t>(from) % 16 ? ~0u : from[running->linear % 4];
  }
}

inline int lane() { return running->linear & 31; }
// The lane to read from, among `width` neighbours; its own where it would be outside.
inline int above(int d, int width) { return lane() % width + d < width ? lane() + d : lane(); }
inline int below(int d, int width) { return lane() % width - d >= 0 ? lane() - d : lane(); }
inline int across(int d, int width) { return (lane() ^ d) / width <= lane() / width ? lane() ^ d : lane(); }
inline int at(int lane_, int width) { return lane() / width * width + (lane_ & (width - 1)); }

inline unsigned ballot(unsigned mask, bool v, const char* file, int line) {
  int phase = offer(mask, v, file, line);
  unsigned found = 0;
  for (int i = 0; i < 32; i++)
    if (mask >> i & 1) found |= unsigned(*slot<bool>((running->linear & ~31u) + i, phase)) << i;
  return found;
}

// --- tensor cores: PTX's fragments (mma.m16n8k16 of bf16, mma.m16n8k8 of tf32) -------------------------------------

struct Fragments { uint32_t a[4], b[2]; };

inline float word_as_float(uint32_t word) { float x; memcpy(&x, &word, 4); return x; }
inline uint32_t float_as_word(float x) { uint32_t word; memcpy(&word, &x, 4); return word; }
inline float half_of(uint32_t word, int high) { return word_as_float(high ? word & 0xffff0000u : word << 16); }

template <class A, class B> inline void multiply(float* d, const uint32_t* a, const uint32_t* b, int K, A of_a, B of_b,
                                                 const char* file, int line) {
  Fragments own;
  memcpy(own.a, a, sizeof own.a), memcpy(own.b, b, sizeof own.b);
  int phase = offer(0xffffffffu, own, file, line), g = lane() / 4, t = lane() % 4;
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
  // The hardware reads the upper 19 bits.
  auto of_a = [](unsigned warp, int phase, int row, int k) {
    return word_as_float(slot<Fragments>(warp + row % 8 * 4 + k % 4, phase)->a[row / 8 + k / 4 * 2] & 0xffffe000u);
  };
  auto of_b = [](unsigned warp, int phase, int k, int column) {
    return word_as_float(slot<Fragments>(warp + column * 4 + k % 4, phase)->b[k / 4] & 0xffffe000u);
  };
  multiply(d, a, b, 8, of_a, of_b, file, line);
}

// --- cp.async: what is copied comes when it is waited for, not before -------------------------------------------------

inline void copy_async(void* to, const void* from, int bytes, bool valid) {
  if (reinterpret_cast<uintptr_t>(to) % bytes || (valid && reinterpret_cast<uintptr_t>(from) % bytes)) {
    fprintf(stderr, "cp.async of %d bytes between addresses that are no multiples of it\n", bytes);
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

#define threadIdx (emulator::running->index)
#define blockIdx (emulator::block_index)
#define blockDim (emulator::block_size)
#define gridDim (emulator::grid_size)
#define warpSize 32

#define MINIGAN_HERE __FILE__, __LINE__
#define MINIGAN_ALL 0xffffffffu
#define __syncthreads() emulator::wait(emulator::AT_BARRIER, 0, MINIGAN_HERE)
// Of a macro with an optional last argument (the mask, or the width), the one that was given, or the default.
#define MINIGAN_OR(unused, value, ...) value
#define __syncwarp(...) emulator::wait(emulator::IN_WARP, MINIGAN_OR(0, ##__VA_ARGS__, MINIGAN_ALL), MINIGAN_HERE)
#define MINIGAN_SHUFFLE(mask, v, from, d, ...) \
  emulator::shuffle(mask, v, emulator::from(d, MINIGAN_OR(0, ##__VA_ARGS__, 32)), MINIGAN_HERE)
#define __shfl_down_sync(mask, v, ...) MINIGAN_SHUFFLE(mask, v, above, __VA_ARGS__)
#define __shfl_up_sync(mask, v, ...) MINIGAN_SHUFFLE(mask, v, below, __VA_ARGS__)
#define __shfl_xor_sync(mask, v, ...) MINIGAN_SHUFFLE(mask, v, across, __VA_ARGS__)
#define __shfl_sync(mask, v, ...) MINIGAN_SHUFFLE(mask, v, at, __VA_ARGS__)
#define __ballot_sync(mask, v) emulator::ballot(mask, v, MINIGAN_HERE)
#define __any_sync(mask, v) (emulator::ballot(mask, v, MINIGAN_HERE) != 0)
#define __all_sync(mask, v) (emulator::ballot(mask, v, MINIGAN_HERE) == (mask))
#define LOAD_MATRICES(d, row) emulator::load_matrices(d, row, MINIGAN_HERE)
#define MMA_BF16(d, a, b) emulator::mma_bf16(d, a, b, MINIGAN_HERE)
#define MMA_TF32(d, a, b) emulator::mma_tf32(d, a, b, MINIGAN_HERE)

inline void cp_async_16(void* to, const void* from, bool valid = true) { emulator::copy_async(to, from, 16, valid); }
inline void cp_async_4(void* to, const void* from, bool valid = true) { emulator::copy_async(to, from, 4, valid); }
inline void cp_async_commit() { emulator::commit_copies(); }
template <int N> inline void cp_async_wait() { emulator::wait_copies(N); }

#include "cuda_functions.h"
