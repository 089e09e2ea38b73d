// The kernels on the processor: a thread for each team. For the tests; see team.h.

#include <thread>
#include <vector>

#include "plan.h"

namespace wavekeys::gpu {
namespace {

struct Threads {
  const Problem& problem;

  template <class Kernel, class Plan>
  const char* run(const Plan& plan, int teams) const {
    std::vector<uint32_t> scratch((size_t)plan.scratch_words);
    std::vector<std::thread> threads;
    for (int number = 0; number < teams; ++number)
      threads.emplace_back([&, number] {
        std::vector<float> shared((size_t)plan.shared_bytes / sizeof(float));
        const Team team{number % 2 == 1};
        Kernel(team, problem, plan, number, shared.data(), scratch.data()).run();
      });
    for (std::thread& thread : threads) thread.join();
    return nullptr;
  }

  template <class F, int kVoices>
  const char* chain(const ChainPlan& plan) const {
    return run<Chain<F, kVoices>>(plan, plan.chains * plan.links);
  }
  template <class F, int kVoices>
  const char* grid(const GridPlan& plan) const {
    return run<Grid<F, kVoices>>(plan, plan.teams);
  }
};

}  // namespace

const char* launch(const Problem& problem, Format format, Kernel kernel, const Launch& with) {
  return decode(problem, format, kernel, with.device, Threads{problem});
}

}  // namespace wavekeys::gpu
