// The one place that knows whether this is a GPU. A kernel is written for a team: the threads of one block, which meet
// at the end of every `each` and `sums`. Compiled by nvcc a team is a thread block; compiled as plain C++ it is one
// thread of the processor, which goes through the team's indices in a loop, forwards or backwards. Teams run at the
// same time in both cases and meet only through flags, with the same orders of memory; so what the tests prove about
// data flow and arithmetic on a processor (ThreadSanitizer included) holds for the GPU.
#pragma once

#include <cstdint>

#if defined(__CUDACC__)
#include <cuda/atomic>
#define WAVEKEYS_DEVICE __device__ __forceinline__
#define WAVEKEYS_BOTH __host__ __device__ inline
#else
#include <atomic>
#include <cmath>
#include <thread>
#define WAVEKEYS_DEVICE inline
#define WAVEKEYS_BOTH inline
#endif

namespace wavekeys::gpu {

#if defined(__CUDACC__)

using Flag = cuda::atomic_ref<uint32_t, cuda::thread_scope_device>;
constexpr auto kAcquire = cuda::memory_order_acquire;
constexpr auto kRelease = cuda::memory_order_release;

struct Team {
  // Calls f(i) for i below count, each by one thread, then meets.
  template <class F>
  WAVEKEYS_DEVICE void each(int count, F f) const {
    for (int i = (int)threadIdx.x; i < count; i += (int)blockDim.x) f(i);
    __syncthreads();
  }

  // For each column the sum of term(column, chunk, sum) over all chunks, for kVoices voices at once, then
  // store(column, sum); kLanes threads share a column. Then meets.
  template <int kLanes, int kVoices, class Term, class Store>
  WAVEKEYS_DEVICE void sums(int columns, int chunks, Term term, Store store) const {
    constexpr int kColumns = 32 / kLanes;
    const int lane = (int)threadIdx.x % 32, part = lane / kColumns;
    const int stride = (int)blockDim.x / 32 * kColumns;
    for (int base = (int)threadIdx.x / 32 * kColumns; base < columns; base += stride) {
      const int column = base + lane % kColumns;
      float sum[kVoices] = {};
      if (column < columns)
        for (int chunk = part; chunk < chunks; chunk += kLanes) term(column, chunk, sum);
#pragma unroll
      for (int apart = 16; apart >= kColumns; apart /= 2)
#pragma unroll
        for (int v = 0; v < kVoices; ++v) sum[v] += __shfl_xor_sync(~0u, sum[v], apart);
      if (part == 0 && column < columns) store(column, sum);
    }
    __syncthreads();
  }
};

#else

using Flag = std::atomic_ref<uint32_t>;
constexpr auto kAcquire = std::memory_order_acquire;
constexpr auto kRelease = std::memory_order_release;

struct Team {
  bool backwards = false;  // an order of threads that a team may also have: the result must not depend on it

  template <class F>
  void each(int count, F f) const {
    for (int i = 0; i < count; ++i) f(backwards ? count - 1 - i : i);
  }

  template <int kLanes, int kVoices, class Term, class Store>
  void sums(int columns, int chunks, Term term, Store store) const {
    each(columns, [&](int column) {
      float parts[kLanes][kVoices] = {};
      for (int part = 0; part < kLanes; ++part)
        for (int chunk = part; chunk < chunks; chunk += kLanes) term(column, chunk, parts[part]);
      for (int apart = kLanes / 2; apart; apart /= 2)
        for (int part = 0; part < apart; ++part)
          for (int v = 0; v < kVoices; ++v) parts[part][v] += parts[part + apart][v];
      store(column, parts[0]);
    });
  }
};

#endif

// Everything that the team wrote before is seen by whoever waits for `value`. Of one thread, after the team met.
WAVEKEYS_DEVICE void raise(uint32_t* flag, uint32_t value) { Flag(*flag).store(value, kRelease); }

// Returns when the flag has come to `value`; flags only rise. A flag that does not come would keep the GPU, and whoever
// waits for it on the host, for ever: on the GPU the kernel is ended with an error after some seconds.
WAVEKEYS_DEVICE void await(uint32_t* flag, uint32_t value) {
#if defined(__CUDACC__)
  constexpr uint32_t kPatience = 1 << 23;  // polls, of about half a microsecond each
  uint32_t polls = 0;
  while ((int32_t)(Flag(*flag).load(kAcquire) - value) < 0)
    if (++polls == kPatience) __trap();
#else
  while ((int32_t)(Flag(*flag).load(kAcquire) - value) < 0) std::this_thread::yield();
#endif
}

}  // namespace wavekeys::gpu
