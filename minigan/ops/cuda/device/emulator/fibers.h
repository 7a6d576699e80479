// Threads of a block as fibers: their stacks, switches between them, and the scheduler.
//
// A fiber has its own stack and runs until it waits (at a barrier, or for lanes of its warp) or ends.  The scheduler
// resumes fibers that need not wait any longer.  If there are none, the launch fails with a message that names a thread
// and what it waits for.
#pragma once
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include <utility>
#include <vector>

#if !defined(__x86_64__) && !defined(MINIGAN_UCONTEXT)
#define MINIGAN_UCONTEXT  // the C library's functions: for every processor, ten times slower
#endif
#ifdef MINIGAN_UCONTEXT
#include <ucontext.h>
#endif

struct uint3 { unsigned x, y, z; };
struct dim3 { unsigned x, y, z; };

// The linker defines these as the start and the end of the section of shared variables.
extern "C" char __start_minigan_shared[] __attribute__((weak)), __stop_minigan_shared[] __attribute__((weak));

namespace emulator {

// --- switching stacks --------------------------------------------------------------------------------------------

#ifndef MINIGAN_UCONTEXT
// Save the callee-saved registers on this stack and continue on another.  A new stack holds six zeros and an address.
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
typedef void* Context;
inline void switch_to(Context& from, Context& to) { minigan_switch(&from, to); }
inline void make_context(Context& context, char* stack, size_t size, void (*run)()) {
  void** top = reinterpret_cast<void**>((reinterpret_cast<uintptr_t>(stack) + size) & ~uintptr_t(15));
  *--top = nullptr;  // the return address of `run`, which never returns
  *--top = reinterpret_cast<void*>(run);
  for (int i = 0; i < 6; i++) *--top = nullptr;
  context = top;
}
#else
typedef ucontext_t Context;
inline void switch_to(Context& from, Context& to) { swapcontext(&from, &to); }
inline void make_context(Context& context, char* stack, size_t size, void (*run)()) {
  getcontext(&context);
  context.uc_stack.ss_sp = stack;
  context.uc_stack.ss_size = size;
  context.uc_link = nullptr;
  makecontext(&context, run, 0);
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
  Context context;
  uint3 index;
  unsigned linear;
  State state;
  const char* file;  // the place in the source where it waits
  int line;
  unsigned mask;     // the lanes that it waits for
  int phase;         // which of its two slots it uses next
  std::vector<std::vector<Copy>> copies;  // pending groups of cp.async; the last one is open
};

static const size_t STACK_BYTES = 64 * 1024;
static const unsigned MAX_THREADS = 1024, WARP_SIZE = 32;

static Thread threads[MAX_THREADS];
static char* stacks;             // for MAX_THREADS fibers; pages are allocated when they are used
static unsigned order[MAX_THREADS];
static unsigned n_threads, next_new;
static Thread* running;
static Context scheduler;
static uint3 block_index;
static dim3 block_size, grid_size;
static char* dynamic_shared;
static size_t dynamic_bytes;
static unsigned long long random_state;
static char message[512];
static void (*kernel_body)();
// The data that lanes of a warp exchange.  Each lane has two slots, because the next exchange may start before all
// lanes have read the last one.
alignas(16) static unsigned char slots[MAX_THREADS][2][64];

inline unsigned random_below(unsigned n) {
  random_state = random_state * 6364136223846793005ull + 1442695040888963407ull;
  return unsigned((random_state >> 33) % n);
}

inline void wait(State state, unsigned mask, const char* file, int line) {
  running->state = state, running->mask = mask, running->file = file, running->line = line;
  switch_to(running->context, scheduler);
}

inline void start(Thread& t) {
  t.state = READY, t.phase = 0;
  t.copies.clear();
  running = &t;
}

// A fiber runs a thread, and when that ends, the next one that has not started: a kernel without barriers needs one
// stack and no switches.
static void fiber() {
  for (;;) {
    kernel_body();
    running->state = ENDED;
    if (next_new == n_threads) break;
    start(threads[order[next_new++]]);
  }
  Context discarded;
  switch_to(discarded, scheduler);
  abort();
}

// Make those threads ready that wait for lanes of their warp and whose lanes are all at the same line; return whether
// there were any.
static bool release_warps() {
  bool any = false;
  for (unsigned w = 0; w < n_threads; w += WARP_SIZE) {
    unsigned lanes = n_threads - w < WARP_SIZE ? n_threads - w : WARP_SIZE;
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

// Make all threads ready if all are at the same barrier and return 0; else return 1 and set `message`.
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
      snprintf(message, sizeof message, "%s:%d: divergent __syncthreads: thread %u is here, thread %u at %s:%d",
               t.file, t.line, t.linear, first->linear, first->file, first->line);
      return 1;
    }
  }
  if (lane) {
    bool own = lane->mask >> (lane->linear % WARP_SIZE) & 1;
    snprintf(message, sizeof message, own ? "%s:%d: thread %u waits for lanes of the mask %08x that do not arrive"
                                          : "%s:%d: thread %u is not in its own mask %08x",
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
  for (unsigned i = 0; i < n_threads; i++) {
    order[i] = schedule == REVERSE ? n_threads - 1 - i : i;
    threads[i].state = NEW;
  }
  if (schedule == RANDOM) shuffle_order(n_threads);
  unsigned fibers = 0;
  for (next_new = 0; next_new < n_threads;) {
    Thread& t = threads[order[next_new++]];
    start(t);
    make_context(t.context, stacks + STACK_BYTES * fibers++, STACK_BYTES, fiber);
    switch_to(scheduler, t.context);
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
      switch_to(scheduler, t.context);
    }
  }
}

// Allocate dynamic shared memory that ends at an inaccessible page; return whether that was possible.
static bool reserve_shared(size_t bytes) {
  static char* pages;
  static size_t mapped_bytes;
  const size_t page = 65536;
  if (dynamic_shared && bytes == dynamic_bytes) return true;
  if (pages) munmap(pages, mapped_bytes + page);
  mapped_bytes = (bytes + page - 1) / page * page;
  void* found = mmap(nullptr, mapped_bytes + page, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (found == MAP_FAILED || mprotect(static_cast<char*>(found) + mapped_bytes, page, PROT_NONE)) return false;
  pages = static_cast<char*>(found);
  dynamic_shared = pages + mapped_bytes - bytes, dynamic_bytes = bytes;
  return true;
}

// Run all blocks in the order of the schedule and return 0; if one fails, return 1 and set `message`.  Shared memory is
// NaN at the start of every block.
static int run_grid(const unsigned* grid, const unsigned* block, size_t shared, int schedule, unsigned long long seed,
                    void (*kernel)()) {
  grid_size = {grid[0], grid[1], grid[2]}, block_size = {block[0], block[1], block[2]};
  n_threads = block[0] * block[1] * block[2], kernel_body = kernel, random_state = seed * 2 + 1, message[0] = 0;
  if (!stacks) {
    void* memory = mmap(nullptr, STACK_BYTES * MAX_THREADS, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (memory == MAP_FAILED) return snprintf(message, sizeof message, "no memory for the stacks"), 1;
    stacks = static_cast<char*>(memory);
  }
  if (!reserve_shared((shared + 127) / 128 * 128)) return snprintf(message, sizeof message, "no shared memory"), 1;
  for (unsigned i = 0; i < n_threads; i++) {
    threads[i].linear = i;
    threads[i].index = {i % block[0], i / block[0] % block[1], i / (block[0] * block[1])};
  }
  unsigned long long blocks = 1ull * grid[0] * grid[1] * grid[2];
  std::vector<unsigned long long> block_order(blocks);
  for (unsigned long long i = 0; i < blocks; i++) block_order[i] = schedule == REVERSE ? blocks - 1 - i : i;
  if (schedule == RANDOM)
    for (unsigned long long i = blocks - 1; i > 0; i--)
      std::swap(block_order[i], block_order[random_below(unsigned(i + 1))]);
  for (unsigned long long b : block_order) {
    block_index = {unsigned(b % grid[0]), unsigned(b / grid[0] % grid[1]), unsigned(b / grid[0] / grid[1])};
    memset(dynamic_shared, 0xff, dynamic_bytes);
    if (__start_minigan_shared) memset(__start_minigan_shared, 0xff, __stop_minigan_shared - __start_minigan_shared);
    if (run_block(schedule)) return 1;
  }
  return 0;
}

}  // namespace emulator
