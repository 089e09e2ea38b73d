// Decodes one block of a problem: on the GPU (device.cu), or on the processor's threads (emulate.cpp, for the tests).
#pragma once

#include <cstddef>
#include <functional>

#include "problem.h"

namespace wavekeys::gpu {

enum class Kernel { kAny, kChain, kGrid };

// What a launch may use: teams that run at the same time, and the memory of each.
struct Device {
  int teams;
  int64_t shared_bytes;
};

struct Launch {
  void* stream;                          // a cudaStream_t; null on the processor
  std::function<void*(size_t)> scratch;  // that many bytes of memory until the launch is done, or null
  Device device;                         // numbers that are 0 are found out
};

// What is wrong, or null. Returns before the GPU is done.
const char* launch(const Problem& problem, Format format, Kernel kernel, const Launch& with);

}  // namespace wavekeys::gpu
