#include "decode.h"

#include <algorithm>

#include "pool.h"
#include "variant.h"

#if defined(__SSE__)
#include <immintrin.h>
#endif

namespace wavekeys {
namespace {

// Denormals cost a hundred cycles each and are inaudible: flushed to zero while the decoder runs.
class FlushDenormals {
 public:
#if defined(__SSE__)
  FlushDenormals() : saved_(_mm_getcsr()) { _mm_setcsr(saved_ | 0x8040); }
  ~FlushDenormals() { _mm_setcsr(saved_); }

 private:
  unsigned saved_;
#elif defined(__aarch64__)
  FlushDenormals() {
    __asm__ volatile("mrs %0, fpcr" : "=r"(saved_));
    __asm__ volatile("msr fpcr, %0" ::"r"(saved_ | (uint64_t{1} << 24)));
  }
  ~FlushDenormals() { __asm__ volatile("msr fpcr, %0" ::"r"(saved_)); }

 private:
  uint64_t saved_;
#endif
};

// One thread's voices over the whole block: between two beginnings, all that have begun.
void decode_voices(const Problem& problem, Arena& arena, const int32_t* voices, int count) {
  FlushDenormals flush;
  int32_t sounding[kMaxVoices];
  for (int64_t from = 0; from < problem.block.samples;) {
    int64_t to = problem.block.samples;
    int begun = 0;
    for (int i = 0; i < count; ++i) {
      const int64_t begin = problem.block.begin_of(voices[i]);
      if (begin <= from) sounding[begun++] = voices[i];
      else if (begin < to) to = begin;
    }
    if (begun) variant(problem.weights.precision)->decode(problem, arena, sounding, begun, from, to);
    from = to;
  }
}

}  // namespace

void decode(const Problem& problem) {
  const Block& block = problem.block;
  const State& state = problem.state;
  int32_t active[kMaxVoices];
  int count = 0;
  for (int32_t voice = 0; voice < block.voices; ++voice) {
    const int64_t begin = block.begin_of(voice), silent = begin < block.samples ? begin : block.samples;
    const auto clear = [&](float* result, int64_t width) {
      if (result) std::fill_n(result + voice * block.samples * width, silent * width, 0.0f);
    };
    clear(problem.result.audio, 1);
    clear(problem.result.outputs, problem.sizes.outputs);
    clear(problem.result.prediction, 1);
    if (begin >= block.samples) continue;
    if (block.fresh[voice]) {
      const int64_t harmonics = problem.sizes.harmonics;
      state.age[voice] = 0;
      std::fill_n(state.strayed + voice * harmonics, harmonics, 0u);
    }
    active[count++] = voice;
  }
  if (!count) return;

  Pool& pool = Pool::shared();
  const std::lock_guard<std::mutex> lock(pool.mutex());
  const int threads = pool.threads() < count ? pool.threads() : count;
  const int64_t bytes = variant(problem.weights.precision)->bytes(problem, (count + threads - 1) / threads);
  for (int i = 0; i < threads; ++i) pool.arena(i).reserve(bytes);
  auto task = [&](int index) {
    const int first = count * index / threads, last = count * (index + 1) / threads;
    decode_voices(problem, pool.arena(index), active + first, last - first);
  };
  pool.run(threads, task);
  for (int i = 0; i < count; ++i) state.age[active[i]] += (uint32_t)(block.samples - block.begin_of(active[i]));
}

}  // namespace wavekeys
