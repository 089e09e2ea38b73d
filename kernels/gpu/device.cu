// The kernels on the GPU. All teams must run at the same time, since they wait for each other: a cooperative launch is
// refused by the driver where they could not.

#include <cuda_runtime.h>

#include "plan.h"

namespace wavekeys::gpu {
namespace {

constexpr int kThreads = 512;

template <class Kernel, class Plan>
__global__ void __launch_bounds__(kThreads, 1) run(const Problem problem, const Plan plan, uint32_t* scratch) {
  extern __shared__ float4 shared[];
  const Team team;
  Kernel(team, problem, plan, (int)blockIdx.x, reinterpret_cast<float*>(shared), scratch).run();
}

struct Cooperative {
  const Problem& problem;
  const Launch& with;

  template <class Kernel, class Plan>
  const char* start(Plan plan, int teams) const {
    void* scratch = with.scratch((size_t)plan.scratch_words * sizeof(uint32_t));
    if (!scratch) return "no memory for the mail between the GPU's processors";
    const auto stream = static_cast<cudaStream_t>(with.stream);
    const auto function = reinterpret_cast<const void*>(&run<Kernel, Plan>);
    Problem argument = problem;
    void* arguments[] = {&argument, &plan, &scratch};
    cudaError_t error = cudaMemsetAsync(scratch, 0, (size_t)plan.flag_words * sizeof(uint32_t), stream);
    if (!error)
      error = cudaFuncSetAttribute(function, cudaFuncAttributeMaxDynamicSharedMemorySize, (int)plan.shared_bytes);
    if (!error)
      error = cudaLaunchCooperativeKernel(function, dim3((unsigned)teams), dim3(kThreads), arguments,
                                          (size_t)plan.shared_bytes, stream);
    return error ? cudaGetErrorString(error) : nullptr;
  }

  template <class F, int kVoices>
  const char* chain(const ChainPlan& plan) const {
    return start<Chain<F, kVoices>>(plan, plan.chains * plan.links);
  }
  template <class F, int kVoices>
  const char* grid(const GridPlan& plan) const {
    return start<Grid<F, kVoices>>(plan, plan.teams);
  }
};

}  // namespace

const char* launch(const Problem& problem, Format format, Kernel kernel, const Launch& with) {
  int gpu = 0, cooperative = 0, processors = 0, shared_bytes = 0;
  if (cudaGetDevice(&gpu) || cudaDeviceGetAttribute(&cooperative, cudaDevAttrCooperativeLaunch, gpu) ||
      cudaDeviceGetAttribute(&processors, cudaDevAttrMultiProcessorCount, gpu) ||
      cudaDeviceGetAttribute(&shared_bytes, cudaDevAttrMaxSharedMemoryPerBlockOptin, gpu))
    return "the GPU does not answer";
  if (!cooperative) return "the GPU cannot launch blocks that wait for each other";
  const Device device{with.device.teams ? with.device.teams : processors,
                      with.device.shared_bytes ? with.device.shared_bytes : (int64_t)shared_bytes};
  return decode(problem, format, kernel, device, Cooperative{problem, with});
}

}  // namespace wavekeys::gpu
