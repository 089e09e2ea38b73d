// The XLA FFI handler: checks shapes, chooses the instruction set, spreads voices over XLA's own threads.

#include <condition_variable>
#include <cstdlib>
#include <cstring>
#include <mutex>
#include <string>

#include "problem.h"
#include "xla/ffi/api/ffi.h"

#if defined(__SSE__)
#include <immintrin.h>
#endif

namespace ffi = xla::ffi;

namespace wavekeys {
namespace {

constexpr int kMaxVoices = 256;

struct Variant {
  const char* name;
  DecodeFunction* decode;
  PeakFunction* peak;
};

// The widest instruction set that this processor has, or the one that WAVEKEYS_ISA names.
Variant choose_variant() {
  const char* forced = std::getenv("WAVEKEYS_ISA");
  const std::string wanted = forced ? forced : "";
#if defined(__x86_64__)
  const bool avx512 = __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512dq") &&
                      __builtin_cpu_supports("avx512vl") && __builtin_cpu_supports("avx512bw");
  const bool avx2 = __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma");
  if (avx512 && (wanted.empty() || wanted == "avx512")) return {"avx512", decode_avx512, peak_avx512};
  if (avx2 && (wanted.empty() || wanted == "avx512" || wanted == "avx2")) return {"avx2", decode_avx2, peak_avx2};
#endif
  return {"portable", decode_portable, peak_portable};
}

const Variant& variant() {
  static const Variant chosen = choose_variant();
  return chosen;
}

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

// Decodes `voices[0 .. count)` over the whole block: between two beginnings, all that have begun.
void decode_voices(const Sizes& sizes, const Weights& weights, const Block& block, const State& state,
                   const Result& result, const int32_t* voices, int count) {
  FlushDenormals flush;
  int32_t sounding[kMaxVoices];
  for (int64_t from = 0; from < block.samples;) {
    int64_t to = block.samples;
    int begun = 0;
    for (int i = 0; i < count; ++i) {
      const int64_t begin = block.begin[voices[i]] > 0 ? block.begin[voices[i]] : 0;
      if (begin <= from) sounding[begun++] = voices[i];
      else if (begin < to) to = begin;
    }
    variant().decode(sizes, weights, block, state, result, sounding, begun, from, to);
    from = to;
  }
}

ffi::Error check(bool holds, const char* what) {
  return holds ? ffi::Error::Success() : ffi::Error::InvalidArgument(std::string("wavekeys kernel: ") + what);
}


ffi::Error handle(ffi::ThreadPool pool, ffi::Span<const int64_t> numbers, ffi::Span<const int64_t> dilations,
                  ffi::AnyBuffer start, ffi::AnyBuffer start_bias, ffi::AnyBuffer skip_start, ffi::AnyBuffer taps,
                  ffi::AnyBuffer mix, ffi::AnyBuffer residual_bias, ffi::AnyBuffer skip_bias, ffi::AnyBuffer out1,
                  ffi::AnyBuffer logits, ffi::AnyBuffer logits_bias,
                  ffi::AnyBuffer cache_in, ffi::AnyBuffer history_in, ffi::AnyBuffer age_in, ffi::AnyBuffer step_in,
                  ffi::AnyBuffer conditioning, ffi::AnyBuffer position, ffi::AnyBuffer clock, ffi::AnyBuffer begin,
                  ffi::AnyBuffer fresh, ffi::AnyBuffer seed, ffi::AnyBuffer temperature,
                  ffi::AnyBuffer forced, ffi::Result<ffi::AnyBuffer> audio, ffi::Result<ffi::AnyBuffer> cache,
                  ffi::Result<ffi::AnyBuffer> history, ffi::Result<ffi::AnyBuffer> age,
                  ffi::Result<ffi::AnyBuffer> step, ffi::Result<ffi::AnyBuffer> outputs,
                  ffi::Result<ffi::AnyBuffer> prediction) {
  if (auto bad = check(numbers.size() == 12 && (int64_t)dilations.size() <= kMaxLayers, "malformed sizes"); bad.failure())
    return bad;
  Sizes sizes{};
  sizes.layers = (int64_t)dilations.size();
  int64_t* const fields[] = {&sizes.taps,           &sizes.residual,   &sizes.skip,        &sizes.outputs,
                             &sizes.padded_outputs, &sizes.input_taps, &sizes.clock_harmonics, &sizes.hop,
                             &sizes.smooth,         &sizes.mixtures,   &sizes.prediction_order, &sizes.harmonics};
  for (size_t i = 0; i < numbers.size(); ++i) *fields[i] = numbers[i];
  for (int64_t i = 0; i < sizes.layers; ++i) {
    sizes.dilations[i] = dilations[i];
    sizes.cache_offsets[i + 1] = sizes.cache_offsets[i] + (sizes.taps - 1) * dilations[i];
  }
  const int64_t R = sizes.residual, S = sizes.skip, L = sizes.layers;
  const Weights weights{start.typed_data<float>(),     start_bias.typed_data<float>(), skip_start.typed_data<float>(),
                        taps.typed_data<float>(),      mix.typed_data<float>(),        residual_bias.typed_data<float>(),
                        skip_bias.typed_data<float>(), out1.typed_data<float>(),       logits.typed_data<float>(),
                        logits_bias.typed_data<float>()};
  if (conditioning.dimensions().size() != 3 || clock.dimensions().size() != 2)
    return ffi::Error::InvalidArgument("wavekeys kernel: malformed block");
  const int64_t V = clock.dimensions()[0], T = clock.dimensions()[1];
  const bool scoring = forced.element_count() > 0;
  const struct {
    bool holds;
    const char* what;
  } requirements[] = {
      {R % 16 == 0 && S % 16 == 0 && sizes.padded_outputs % 16 == 0, "residual and skip must be multiples of 16"},
      {R <= kMaxWidth && S <= kMaxWidth && sizes.outputs <= kMaxOutputs, "too wide"},
      {sizes.features() <= kMaxFeatures, "too many input features"},
      {sizes.harmonics <= kMaxFeatures && sizes.harmonics % 16 == 0, "harmonics must be a multiple of 16, at most 256"},
      {sizes.input_taps <= kHistory && sizes.prediction_order <= kHistory, "taps beyond the history of 64 inputs"},
      {V <= kMaxVoices, "more than 256 voices"},
      {(int64_t)start.element_count() == sizes.features() * R, "`start` disagrees with the sizes"},
      {(int64_t)taps.element_count() == L * sizes.taps * R * 2 * R, "`taps` disagrees with the sizes"},
      {(int64_t)mix.element_count() == L * R * (R + S), "`mix` disagrees with the sizes"},
      {(int64_t)logits.element_count() == S * sizes.padded_outputs, "`logits` disagrees with the sizes"},
      {conditioning.dimensions()[0] == V && conditioning.dimensions()[2] == sizes.columns(),
       "`conditioning` disagrees with the sizes"},
      {(int64_t)cache->element_count() == V * sizes.cache_offsets[L] * R, "`cache` disagrees with the sizes"},
      {(int64_t)history->element_count() == V * kHistory, "`history` disagrees with the sizes"},
      {!scoring || (int64_t)forced.element_count() == V * T, "`forced` disagrees with `clock`"},
  };
  for (const auto& requirement : requirements)
    if (!requirement.holds) return check(false, requirement.what);

  // Donated buffers arrive as the results themselves. Where the caller kept its own, the state is copied first.
  const auto carry = [](const ffi::AnyBuffer& from, ffi::Result<ffi::AnyBuffer>& to) {
    if (from.untyped_data() != to->untyped_data()) std::memcpy(to->untyped_data(), from.untyped_data(), from.size_bytes());
  };
  carry(cache_in, cache);
  carry(history_in, history);
  carry(age_in, age);

  const Block block{V, T, conditioning.dimensions()[1], conditioning.typed_data<float>(), position.typed_data<int32_t>(),
                    clock.typed_data<uint32_t>(), begin.typed_data<int32_t>(),
                    fresh.typed_data<int32_t>(), seed.typed_data<uint32_t>(), temperature.typed_data<float>(),
                    scoring ? forced.typed_data<float>() : nullptr};
  const State state{cache->typed_data<float>(), history->typed_data<float>(), age->typed_data<uint32_t>(),
                    *step_in.typed_data<uint32_t>()};
  const Result result{audio->typed_data<float>(), scoring ? outputs->typed_data<float>() : nullptr,
                      scoring ? prediction->typed_data<float>() : nullptr};

  int32_t active[kMaxVoices];
  int count = 0;
  for (int64_t voice = 0; voice < V; ++voice) {
    const int64_t begin_at = block.begin[voice] > 0 ? block.begin[voice] : 0;
    std::memset(result.audio + voice * T, 0, sizeof(float) * (size_t)(begin_at < T ? begin_at : T));
    if (begin_at >= T) continue;
    if (block.fresh[voice]) state.age[voice] = 0;
    active[count++] = (int32_t)voice;
  }

  const int threads = (int)pool.num_threads() < count ? (int)pool.num_threads() : count;
  if (threads <= 1) {
    decode_voices(sizes, weights, block, state, result, active, count);
  } else {
    std::mutex mutex;
    std::condition_variable finished;
    int running = threads - 1;
    for (int i = 1; i < threads; ++i) {
      pool.Schedule([&, i] {
        const int first = count * i / threads, last = count * (i + 1) / threads;
        decode_voices(sizes, weights, block, state, result, active + first, last - first);
        const std::lock_guard<std::mutex> lock(mutex);
        if (--running == 0) finished.notify_one();
      });
    }
    decode_voices(sizes, weights, block, state, result, active, count / threads);
    std::unique_lock<std::mutex> lock(mutex);
    finished.wait(lock, [&] { return running == 0; });
  }

  for (int i = 0; i < count; ++i) {
    const int64_t begin_at = block.begin[active[i]] > 0 ? block.begin[active[i]] : 0;
    state.age[active[i]] += (uint32_t)(T - begin_at);
  }
  *step->typed_data<uint32_t>() = state.step + (uint32_t)T;
  return ffi::Error::Success();
}

}  // namespace
}  // namespace wavekeys

#define EXPORT extern "C" __attribute__((visibility("default")))

EXPORT XLA_FFI_Error* wavekeys_decode(XLA_FFI_CallFrame* frame);

// clang-format off
XLA_FFI_DEFINE_HANDLER_SYMBOL(
    wavekeys_decode, wavekeys::handle,
    ffi::Ffi::Bind()
        .Ctx<ffi::ThreadPool>()
        .Attr<ffi::Span<const int64_t>>("numbers").Attr<ffi::Span<const int64_t>>("dilations")
        .Arg<ffi::AnyBuffer>().Arg<ffi::AnyBuffer>().Arg<ffi::AnyBuffer>().Arg<ffi::AnyBuffer>().Arg<ffi::AnyBuffer>()
        .Arg<ffi::AnyBuffer>().Arg<ffi::AnyBuffer>().Arg<ffi::AnyBuffer>().Arg<ffi::AnyBuffer>().Arg<ffi::AnyBuffer>()
        .Arg<ffi::AnyBuffer>().Arg<ffi::AnyBuffer>().Arg<ffi::AnyBuffer>().Arg<ffi::AnyBuffer>().Arg<ffi::AnyBuffer>()
        .Arg<ffi::AnyBuffer>().Arg<ffi::AnyBuffer>().Arg<ffi::AnyBuffer>().Arg<ffi::AnyBuffer>().Arg<ffi::AnyBuffer>()
        .Arg<ffi::AnyBuffer>().Arg<ffi::AnyBuffer>()
        .Ret<ffi::AnyBuffer>().Ret<ffi::AnyBuffer>().Ret<ffi::AnyBuffer>().Ret<ffi::AnyBuffer>()
        .Ret<ffi::AnyBuffer>().Ret<ffi::AnyBuffer>().Ret<ffi::AnyBuffer>());
// clang-format on

EXPORT const char* wavekeys_isa() { return wavekeys::variant().name; }

EXPORT double wavekeys_peak(int64_t rounds) { return wavekeys::variant().peak(rounds); }
