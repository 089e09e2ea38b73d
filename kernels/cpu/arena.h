// Memory of one thread for the time of a block, handed out piece by piece. It grows while nothing plays yet.
#pragma once

#include <cstdint>
#include <cstdlib>
#include <new>

#include "problem.h"

namespace wavekeys {

class Arena {
 public:
  Arena() = default;
  Arena(const Arena&) = delete;
  Arena& operator=(const Arena&) = delete;
  ~Arena() { std::free(memory_); }

  // Makes room for `bytes` in all, and touches every page; allocates only where there was less before.
  void reserve(int64_t bytes) {
    if (bytes > size_) {
      std::free(memory_);
      memory_ = nullptr;
      size_ = 0;
      const int64_t rounded = (bytes + kAlignment - 1) / kAlignment * kAlignment;
      void* memory = std::aligned_alloc(kAlignment, (size_t)rounded);
      if (!memory) throw std::bad_alloc();
      memory_ = static_cast<char*>(memory);
      for (int64_t i = 0; i < rounded; i += 4096) memory_[i] = 0;
      size_ = rounded;
    }
    used_ = 0;
  }

  void reset() { used_ = 0; }

  // Without memory an arena hands out null pointers and counts.
  int64_t used() const { return used_; }

  template <class T>
  T* array(int64_t count) {
    return reinterpret_cast<T*>(take((int64_t)sizeof(T) * count));
  }
  float* floats(int64_t count) { return array<float>(count); }
  Word* words(int64_t count) { return array<Word>(count); }

 private:
  static constexpr int64_t kAlignment = 64;

  char* take(int64_t bytes) {
    char* piece = memory_ ? memory_ + used_ : nullptr;
    used_ += (bytes + kAlignment - 1) / kAlignment * kAlignment;
    return piece;
  }

  char* memory_ = nullptr;
  int64_t size_ = 0, used_ = 0;
};

}  // namespace wavekeys
