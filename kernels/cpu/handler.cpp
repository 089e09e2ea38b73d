// The XLA FFI handler: checks that sizes and arrays agree, and hands the block over.

#include <cstring>
#include <string>

#include "../reader.h"
#include "decode.h"

namespace ffi = xla::ffi;

namespace wavekeys {
namespace {

// Results; the state's may be the arguments themselves.
using Floats2 = ffi::Result<ffi::BufferR2<ffi::F32>>;
using Floats3 = ffi::Result<ffi::BufferR3<ffi::F32>>;
using Words0 = ffi::Result<ffi::BufferR0<ffi::U32>>;
using Words1 = ffi::Result<ffi::BufferR1<ffi::U32>>;
using Words2 = ffi::Result<ffi::BufferR2<ffi::U32>>;

void read_sizes(Reader& read, Sizes& sizes) {
  sizes.taps = read.number("taps", 2, 64);
  sizes.residual = read.number("residual", kStrip, kMaxWidth);
  sizes.skip = read.number("skip", kStrip, kMaxWidth);
  sizes.outputs = read.number("outputs", 1, kMaxOutputs);
  sizes.padded_outputs = read.number("padded_outputs", sizes.outputs, kMaxOutputs);
  sizes.input_taps = read.number("input_taps", 0, kHistory);
  sizes.clock_harmonics = read.number("clock_harmonics", 0, kMaxFeatures / 2);
  sizes.hop = read.number("hop", 1, 1 << 20);
  sizes.smooth = read.number("smooth", 0, 1);
  sizes.mixtures = read.number("mixtures", 0, kMaxOutputs / 3);
  sizes.prediction_order = read.number("prediction_order", 0, kHistory);
  sizes.harmonics = read.number("harmonics", 0, kMaxFeatures);
  for (const int64_t dilation : read.numbers("dilations", kMaxLayers, 1 << 20)) {
    const int64_t layer = sizes.layers++;
    sizes.dilations[layer] = dilation;
    sizes.cache_offsets[layer + 1] = sizes.cache_offsets[layer] + (sizes.taps - 1) * dilation;
  }
  for (const int64_t width : {sizes.residual, sizes.skip, sizes.padded_outputs, sizes.harmonics})
    read.require(width % kStrip == 0, "residual, skip, padded outputs and harmonics must be multiples of 16");
  read.require(sizes.features() <= kMaxFeatures, "too many input features");
  read.require(!sizes.mixtures || sizes.outputs == 3 * sizes.mixtures, "`outputs` disagrees with `mixtures`");
}

void read_weights(Reader& read, const Sizes& sizes, Weights& weights) {
  weights.precision = (Precision)read.number("precision", 0, 3);
  read.require(supports(weights.precision), "this processor lacks the instructions for that precision");
  const bool bytes = weights.precision == Precision::kInt8;
  const bool integers = bytes || weights.precision == Precision::kInt16;
  static constexpr int kBytes[] = {4, 2, 1, 2};  // of a weight
  const auto matrices = [&](int64_t count, int64_t rows, int64_t columns, const char* name) {
    const void* words = read.elements(count * rows * columns, kBytes[(int)weights.precision], name);
    const float* scale = read.array<float>(integers ? count * columns : 0, name);
    const int32_t* offset = read.array<int32_t>(bytes ? count * columns : 0, name);
    return Matrix{static_cast<const Word*>(words), integers ? scale : nullptr, bytes ? offset : nullptr};
  };
  const auto fp32 = [&](int64_t rows, int64_t columns, const char* name) {
    return Matrix{read.array<Word>(rows * columns, name), nullptr, nullptr};
  };
  const int64_t R = sizes.residual, S = sizes.skip, L = sizes.layers, O = sizes.padded_outputs;
  weights.start = fp32(sizes.features(), R, "start");
  weights.start_bias = read.array<float>(R, "start_bias");
  weights.skip_start = fp32(R, S, "skip_start");
  weights.layers = matrices(L, R, 3 * R, "layers");
  weights.past = matrices(L * (sizes.taps - 1), R, 2 * R, "past");
  weights.residual_bias = read.array<float>(L * R, "residual_bias");
  weights.skip = matrices(1, L * R, S, "skip");
  weights.skip_bias = read.array<float>(S, "skip_bias");
  weights.out1 = matrices(1, S, S, "out1");
  weights.logits = fp32(S, O, "logits");
  weights.logits_bias = read.array<float>(O, "logits_bias");
}

// Donated buffers arrive as the results themselves. Where the caller kept its own, the state is copied first.
template <class T>
void carry(const T* from, T* to, int64_t count) {
  if (from != to) std::memcpy(to, from, (size_t)count * sizeof(T));
}

ffi::Error handle(ffi::Dictionary attributes, ffi::RemainingArgs arguments, Floats2 audio, Floats3 cache,
                  Floats2 history, Words2 strayed, Words1 age, Words0 step, Floats3 outputs, Floats2 prediction) {
  Reader read(attributes, arguments);
  Problem problem{};
  Sizes& sizes = problem.sizes;
  read_sizes(read, sizes);
  read_weights(read, sizes, problem.weights);

  Block& block = problem.block;
  const int64_t V = block.voices = read.number("voices", 1, kMaxVoices);
  const int64_t T = block.samples = read.number("samples", 0, 1 << 30);
  block.frames = read.number("frames", 1, 1 << 30);
  const int64_t rows = sizes.cache_offsets[sizes.layers] * sizes.residual,
                scored = prediction->element_count() ? V * T : 0;
  const float* cache_before = read.array<float>(V * rows, "cache");
  const float* history_before = read.array<float>(V * kHistory, "history");
  const uint32_t* strayed_before = read.array<uint32_t>(V * sizes.harmonics, "strayed");
  const uint32_t* age_before = read.array<uint32_t>(V, "age");
  const uint32_t* step_before = read.array<uint32_t>(1, "step");
  block.conditioning = read.array<float>(V * block.frames * sizes.columns(), "conditioning");
  block.position = read.array<int32_t>(V, "position");
  block.clock = read.array<uint32_t>(V * T, "clock");
  block.begin = read.array<int32_t>(V, "begin");
  block.fresh = read.array<int32_t>(V, "fresh");
  block.seed = read.array<uint32_t>(V, "seed");
  block.temperature = read.array<float>(V * T, "temperature");
  block.forced = read.array<float>(scored, "forced");
  if (!scored) block.forced = nullptr;

  Result& result = problem.result;
  State& state = problem.state;
  result.audio = read.result(audio, V * T, "audio");
  state.cache = read.result(cache, V * rows, "cache");
  state.history = read.result(history, V * kHistory, "history");
  state.strayed = read.result(strayed, V * sizes.harmonics, "strayed");
  state.age = read.result(age, V, "age");
  uint32_t* const now = read.result(step, 1, "step");
  result.outputs = read.result(outputs, scored * sizes.outputs, "outputs");
  result.prediction = read.result(prediction, scored, "prediction");
  if (!read.wrong.empty()) return ffi::Error::InvalidArgument("wavekeys kernel: " + read.wrong);
  if (!scored) result.outputs = result.prediction = nullptr;

  carry(cache_before, state.cache, V * rows);
  carry(history_before, state.history, V * kHistory);
  carry(strayed_before, state.strayed, V * sizes.harmonics);
  carry(age_before, state.age, V);
  state.step = *step_before;
  decode(problem);
  *now = state.step + (uint32_t)T;
  return ffi::Error::Success();
}

}  // namespace
}  // namespace wavekeys

#define EXPORT extern "C" __attribute__((visibility("default")))

EXPORT XLA_FFI_Error* wavekeys_decode(XLA_FFI_CallFrame* frame);

// clang-format off
XLA_FFI_DEFINE_HANDLER_SYMBOL(
    wavekeys_decode, wavekeys::handle,
    ffi::Ffi::Bind().Attrs().RemainingArgs()
        .Ret<ffi::BufferR2<ffi::F32>>().Ret<ffi::BufferR3<ffi::F32>>().Ret<ffi::BufferR2<ffi::F32>>()
        .Ret<ffi::BufferR2<ffi::U32>>().Ret<ffi::BufferR1<ffi::U32>>().Ret<ffi::BufferR0<ffi::U32>>()
        .Ret<ffi::BufferR3<ffi::F32>>().Ret<ffi::BufferR2<ffi::F32>>());
// clang-format on

EXPORT const char* wavekeys_isa() { return wavekeys::instruction_set(); }

EXPORT int wavekeys_supports(int precision) { return wavekeys::supports((wavekeys::Precision)precision); }

EXPORT int wavekeys_fastest() { return (int)wavekeys::fastest(); }

EXPORT double wavekeys_peak(int precision, int64_t rounds) {
  return wavekeys::peak((wavekeys::Precision)precision, rounds);
}
