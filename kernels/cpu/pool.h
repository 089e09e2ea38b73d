// The decoder's own threads: they sleep between blocks, and a block costs no allocation.
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <mutex>
#include <vector>

#include "arena.h"

namespace wavekeys {

class Pool {
 public:
  // One for the process, with a thread for each processor that it may use, or WAVEKEYS_THREADS of them. Its threads
  // start when first needed and end with the process.
  static Pool& shared();

  // Threads, the caller's own among them.
  int threads() const { return threads_; }

  // To be held while the pool is in use: one block at a time.
  std::mutex& mutex() { return mutex_; }

  // What thread `index` computes in.
  Arena& arena(int index) { return arenas_[(size_t)index]; }

  // Calls task(context, index) for 0 <= index < count, each on a thread of its own if the system grants so many, and
  // returns when all are done. `count` is at most `threads()`. Where the caller is a real-time thread the others are,
  // too.
  void run(int count, void (*task)(void* context, int index), void* context);

  template <class Body>
  void run(int count, Body& body) {
    run(count, [](void* context, int index) { (*static_cast<Body*>(context))(index); }, &body);
  }

 private:
  struct Worker;
  struct Urgency {
    int policy = -1, priority = 0;
    bool operator==(const Urgency& other) const { return policy == other.policy && priority == other.priority; }
  };

  Pool();
  ~Pool();
  bool start_worker();
  void share_urgency();
  void work(Worker& worker, int index);

  int threads_;
  std::mutex mutex_;
  std::vector<Arena> arenas_;
  std::vector<std::unique_ptr<Worker>> workers_;  // of indices 1 and up
  Urgency urgency_;                               // of the workers
  void (*task_)(void*, int) = nullptr;
  void* context_ = nullptr;
  std::atomic<int> running_{0};
};

}  // namespace wavekeys
