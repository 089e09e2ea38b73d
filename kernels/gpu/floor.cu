// What no design can beat on this GPU, measured in one short run: `wavekeys_floor` prints a line of JSON.
//
//   hop_ns      a flag in the device's memory, raised by one block and seen by another (half of a round trip)
//   letter_ns   the same with a letter that all threads write and read, as in chain.h: R + S of 144 floats, and of 768
//   acquire_ns, load_ns   one thread's load of a flag, and a load of other data behind it, which L1 may not answer
//   all_ns      every block raises its flag and sees those of all others: an exchange of grid.h without its data
//   grid_ns     a barrier of all blocks (cooperative groups)
//   cluster_ns  a barrier of a cluster of 8 blocks, on GPUs that have clusters
//   shared_bytes_per_cycle, l2_bytes_per_cycle   what one multiprocessor reads, all of them reading
//
// Each is the best of some repeats. Cycles are counted in the kernel; clock_mhz is how many there were in a
// microsecond.

#include <cooperative_groups.h>
#include <cuda_runtime.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>

#include "team.h"

namespace {

using namespace wavekeys::gpu;
namespace cg = cooperative_groups;

constexpr int kRounds = 2000, kRepeats = 7, kThreads = 512;
constexpr int kWords = 4096;               // zero when a kernel starts: flags and mail
constexpr int kSharedWords = 32 * 1024;    // read by each block, over and over
constexpr int kL2Words = 4 * 1024 * 1024;  // 16 MB, which every current data-centre GPU's L2 holds

void check(cudaError_t error) {
  if (error == cudaSuccess) return;
  std::fprintf(stderr, "wavekeys_floor: %s\n", cudaGetErrorString(error));
  std::exit(1);
}

__global__ void hop(uint32_t* flags, int) {
  if (threadIdx.x) return;
  for (uint32_t i = 1; i <= kRounds; ++i) {
    if (blockIdx.x == 0) raise(flags, i), await(flags + 32, i);
    if (blockIdx.x == 1) await(flags, i), raise(flags + 32, i);
  }
}

__global__ void letter(uint32_t* flags, int count) {
  extern __shared__ uint32_t own[];
  const Team team;
  for (uint32_t i = 1; i <= kRounds; ++i)
    for (unsigned from = 0; from < 2; ++from) {
      uint32_t *flag = flags + 32 * from, *mail = flags + 1024 * (from + 1);
      if (blockIdx.x == from) {
        team.each(count, [&](int word) { mail[word] = own[word]; });
        team.each(1, [&](int) { raise(flag, i); });
      } else {
        team.each(1, [&](int) { await(flag, i); });
        team.each(count, [&](int word) { own[word] = mail[word]; });
      }
    }
}

// Each load's address is what the one before has brought: 0.
__global__ void acquire(uint32_t* words, int loads) {
  uint32_t at = 0;
  for (int i = 0; i < kRounds; ++i) {
    at = Flag(words[at]).load(kAcquire);
    for (int load = 0; load < loads; ++load) at = words[32 + at];
  }
  words[at] = at;
}

__global__ void everyone(uint32_t* flags, int) {
  const Team team;
  for (uint32_t i = 1; i <= kRounds; ++i) {
    team.each(1, [&](int) { raise(flags + blockIdx.x, i); });
    team.each((int)gridDim.x, [&](int other) { await(flags + other, i); });
  }
}

__global__ void barrier(uint32_t*, int) {
  for (int i = 0; i < kRounds; ++i) cg::this_grid().sync();
}

__global__ void cluster(uint32_t*, int) {
#if __CUDA_ARCH__ >= 900
  for (int i = 0; i < kRounds; ++i) cg::this_cluster().sync();
#endif
}

__device__ long long cycles;  // of the first block's `counted`

template <class F>
__device__ void counted(F f) {
  __syncthreads();
  const long long start = clock64();
  f();
  __syncthreads();
  if (threadIdx.x == 0 && blockIdx.x == 0) cycles = clock64() - start;
}

__global__ void read_shared(uint32_t* to, int rounds) {
  extern __shared__ uint4 quads[];
  for (int i = (int)threadIdx.x; i < kSharedWords / 4; i += (int)blockDim.x) quads[i] = {1, 2, 3, (unsigned)i};
  counted([&] {
    uint32_t sum = 0;
    for (int round = 0; round < rounds; ++round)
#pragma unroll 8
      for (int i = (int)threadIdx.x; i < kSharedWords / 4; i += (int)blockDim.x) {
        const uint4 four = quads[(i + round) % (kSharedWords / 4)];
        sum += four.x ^ four.y ^ four.z ^ four.w;
      }
    if (sum == 12345) *to = sum;  // or the compiler would leave it all out
  });
}

__global__ void read_l2(uint32_t* words, int rounds) {
  const auto* from = reinterpret_cast<const uint4*>(words);
  constexpr int kCount = kL2Words / 4;
  counted([&] {
    uint32_t sum = 0;
    for (int round = 0; round < rounds; ++round)
#pragma unroll 8
      for (int i = (int)threadIdx.x; i < kSharedWords / 4; i += (int)blockDim.x) {
        // Each block starts elsewhere, and nothing is read twice before all has been: L1 does not help.
        const int at = (int)(((int64_t)(blockIdx.x + round * gridDim.x) * (kSharedWords / 4) + i) % kCount);
        const uint4 four = __ldcg(from + at);
        sum += four.x ^ four.y ^ four.z ^ four.w;
      }
    if (sum == 12345) *words = sum;
  });
}

// Nanoseconds of the whole launch, the best of some.
double best_ns(const void* kernel, int blocks, int threads, size_t shared, int clustered, uint32_t* memory,
               int number) {
  check(cudaFuncSetAttribute(kernel, cudaFuncAttributeMaxDynamicSharedMemorySize, (int)shared));
  cudaEvent_t start, stop;
  check(cudaEventCreate(&start));
  check(cudaEventCreate(&stop));
  float best = 1e30f;
  for (int repeat = 0; repeat < kRepeats; ++repeat) {
    check(cudaMemset(memory, 0, kWords * sizeof(uint32_t)));
    void* arguments[] = {&memory, &number};
    cudaLaunchAttribute attribute{};
    // Clusters and cooperative launches exclude each other.
    if (clustered) {
      attribute.id = cudaLaunchAttributeClusterDimension;
      attribute.val.clusterDim.x = (unsigned)clustered;
      attribute.val.clusterDim.y = attribute.val.clusterDim.z = 1;
    } else {
      attribute.id = cudaLaunchAttributeCooperative;
      attribute.val.cooperative = 1;
    }
    cudaLaunchConfig_t config{};
    config.gridDim = dim3((unsigned)blocks);
    config.blockDim = dim3((unsigned)threads);
    config.dynamicSmemBytes = shared;
    config.attrs = &attribute;
    config.numAttrs = 1;
    check(cudaEventRecord(start));
    check(cudaLaunchKernelExC(&config, kernel, arguments));
    check(cudaEventRecord(stop));
    check(cudaEventSynchronize(stop));
    float ms = 0;
    check(cudaEventElapsedTime(&ms, start, stop));
    best = std::min(best, ms);
  }
  return best * 1e6;
}

template <class Kernel>
const void* address(Kernel* kernel) {
  return reinterpret_cast<const void*>(kernel);
}

}  // namespace

int main() {
  int processors = 0, major = 0;
  check(cudaDeviceGetAttribute(&processors, cudaDevAttrMultiProcessorCount, 0));
  check(cudaDeviceGetAttribute(&major, cudaDevAttrComputeCapabilityMajor, 0));
  uint32_t* memory = nullptr;
  check(cudaMalloc(&memory, kL2Words * sizeof(uint32_t)));
  check(cudaMemset(memory, 0, kL2Words * sizeof(uint32_t)));

  const auto each = [&](const void* kernel, int blocks, int threads, int clustered = 0, int number = 0) {
    return best_ns(kernel, blocks, threads, number * sizeof(uint32_t), clustered, memory, number) / kRounds;
  };
  // Of 200 rounds: what a launch costs beside its rounds is in both.
  struct Rounds {
    double ns, cycles;
    double bytes_per_cycle() const { return 200.0 * kSharedWords * sizeof(uint32_t) / cycles; }
  };
  const auto rounds = [&](const void* kernel, size_t shared) {
    const auto run = [&](int number) {
      const double ns = best_ns(kernel, processors, kThreads, shared, 0, memory, number);
      long long counted = 0;
      check(cudaMemcpyFromSymbol(&counted, cycles, sizeof counted));
      return Rounds{ns, (double)counted};
    };
    const Rounds few = run(20), many = run(220);
    return Rounds{many.ns - few.ns, many.cycles - few.cycles};
  };
  const Rounds own = rounds(address(read_shared), kSharedWords * sizeof(uint32_t));
  const Rounds l2 = rounds(address(read_l2), 0);
  const double acquire_ns = each(address(acquire), 1, 1);
  std::printf("{\"multiprocessors\": %d, \"clock_mhz\": %.0f, \"hop_ns\": %.0f", processors, own.cycles / own.ns * 1e3,
              each(address(hop), 2, 32) / 2);
  std::printf(", \"letter_ns\": [%.0f, %.0f]", each(address(letter), 2, kThreads, 0, 144) / 2,
              each(address(letter), 2, kThreads, 0, 768) / 2);
  std::printf(", \"acquire_ns\": %.0f, \"load_ns\": %.0f", acquire_ns, each(address(acquire), 1, 1, 0, 1) - acquire_ns);
  std::printf(", \"all_ns\": %.0f, \"grid_ns\": %.0f", each(address(everyone), processors, kThreads),
              each(address(barrier), processors, kThreads));
  if (major >= 9) std::printf(", \"cluster_ns\": %.0f", each(address(cluster), 64, kThreads, 8));
  std::printf(", \"shared_bytes_per_cycle\": %.1f, \"l2_bytes_per_cycle\": %.1f}\n", own.bytes_per_cycle(),
              l2.bytes_per_cycle());
  return 0;
}
