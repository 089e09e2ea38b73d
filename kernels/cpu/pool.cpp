#include "pool.h"

#include <algorithm>
#include <cstdlib>
#include <system_error>
#include <thread>

#if defined(__linux__)
#include <pthread.h>
#include <sched.h>
#endif
#if defined(__x86_64__)
#include <immintrin.h>
#endif

namespace wavekeys {
namespace {

constexpr long kMostThreads = 256;
constexpr int kSpins = 2000;  // some 20 microseconds: shorter than a sleep and its end

void pause() {
#if defined(__x86_64__)
  _mm_pause();
#elif defined(__aarch64__)
  __asm__ volatile("yield");
#endif
}

// Waits until `value` is no longer `old`: awake for a moment, then asleep.
template <class T>
T wait_for_change(const std::atomic<T>& value, T old) {
  for (int i = 0; i < kSpins; ++i) {
    const T now = value.load(std::memory_order_acquire);
    if (now != old) return now;
    pause();
  }
  value.wait(old, std::memory_order_acquire);
  return value.load(std::memory_order_acquire);
}

int count_threads() {
  if (const char* wanted = std::getenv("WAVEKEYS_THREADS")) {
    const long count = std::strtol(wanted, nullptr, 10);
    if (count > 0) return (int)std::min(count, kMostThreads);
  }
#if defined(__linux__)
  cpu_set_t allowed;
  if (sched_getaffinity(0, sizeof allowed, &allowed) == 0) return CPU_COUNT(&allowed);
#endif
  const int count = (int)std::thread::hardware_concurrency();
  return count > 0 ? count : 1;
}

}  // namespace

// Each worker has a counter of its own, so that one which is not called for a block never looks at that block.
struct alignas(64) Pool::Worker {
  std::atomic<uint32_t> calls{0};
  std::thread::native_handle_type handle{};
};

Pool::Pool() : threads_(count_threads()), arenas_((size_t)threads_) { workers_.reserve((size_t)threads_); }

Pool::~Pool() = default;

Pool& Pool::shared() {
  static Pool* const pool = new Pool;  // never destroyed: its threads would outlive it
  return *pool;
}

void Pool::run(int count, void (*task)(void*, int), void* context) {
  while ((int)workers_.size() < count - 1 && start_worker()) urgency_ = {};
  share_urgency();
  const int called = std::min((int)workers_.size(), count - 1);
  task_ = task;
  context_ = context;
  running_.store(called, std::memory_order_relaxed);
  for (int i = 1; i <= called; ++i) {
    std::atomic<uint32_t>& calls = workers_[(size_t)(i - 1)]->calls;
    calls.fetch_add(1, std::memory_order_release);
    calls.notify_one();
  }
  task(context, 0);
  for (int i = called + 1; i < count; ++i) task(context, i);
  for (int left; (left = running_.load(std::memory_order_acquire)) != 0;) wait_for_change(running_, left);
}

// Whether there is one more: a system may grant no more threads.
bool Pool::start_worker() {
  auto worker = std::make_unique<Worker>();
  try {
    std::thread thread(&Pool::work, this, std::ref(*worker), (int)workers_.size() + 1);
    worker->handle = thread.native_handle();  // good for ever: a worker ends with the process
    thread.detach();
  } catch (const std::system_error&) {
    return false;
  }
  workers_.push_back(std::move(worker));
  return true;
}

// Who waits for the workers is as late as they are, so the system is to treat them as it treats the caller.
void Pool::share_urgency() {
#if defined(__linux__)
  sched_param param{};
  const Urgency own{sched_getscheduler(0), sched_getparam(0, &param) == 0 ? param.sched_priority : 0};
  if (own == urgency_) return;
  for (const std::unique_ptr<Worker>& worker : workers_) pthread_setschedparam(worker->handle, own.policy, &param);
  urgency_ = own;
#endif
}

void Pool::work(Worker& worker, int index) {
  for (uint32_t done = 0;; ++done) {
    wait_for_change(worker.calls, done);
    task_(context_, index);
    if (running_.fetch_sub(1, std::memory_order_acq_rel) == 1) running_.notify_one();
  }
}

}  // namespace wavekeys
