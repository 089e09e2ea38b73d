// The XLA FFI handler: checks the shapes and hands plain pointers to `launch`. With WAVEKEYS_EMULATED the buffers are
// the processor's, otherwise the GPU's.

#include <cstring>
#include <string>

#include "../reader.h"
#include "launch.h"

#if !defined(WAVEKEYS_EMULATED)
#include <cuda_runtime.h>
#endif

namespace ffi = xla::ffi;

namespace wavekeys::gpu {
namespace {

ffi::Error refuse(const std::string& what) { return ffi::Error::InvalidArgument("wavekeys GPU kernel: " + what); }

// Donated buffers arrive as the results themselves. Where the caller kept its own, the state is copied first.
bool carry(const float* from, float* to, size_t bytes, [[maybe_unused]] void* stream) {
  if (from == to) return true;
#if defined(WAVEKEYS_EMULATED)
  std::memcpy(to, from, bytes);
  return true;
#else
  return !cudaMemcpyAsync(to, from, bytes, cudaMemcpyDeviceToDevice, static_cast<cudaStream_t>(stream));
#endif
}

ffi::Error handle(Launch with, ffi::Dictionary attributes, ffi::RemainingArgs args,
                  ffi::Result<ffi::BufferR2<ffi::F32>> value, ffi::Result<ffi::BufferR3<ffi::F32>> cache,
                  ffi::Result<ffi::BufferR2<ffi::F32>> recent, ffi::Result<ffi::BufferR3<ffi::F32>> outputs,
                  ffi::Result<ffi::BufferR2<ffi::F32>> prediction) {
  Reader read(attributes, args);
  with.device.teams = (int)read.number("teams", 0, 1 << 20);
  with.device.shared_bytes = read.number("shared_bytes", 0, 1 << 30);
  const auto of = (Format)read.number("format", 0, 2);
  const auto kernel = (Kernel)read.number("kernel", 0, 2);
  Problem p{};
  Sizes& s = p.sizes;
  const auto size = [&](const char* name, int64_t least, int64_t most) { return (int)read.number(name, least, most); };
  s.taps = size("taps", 2, 64);
  s.residual = size("residual", 16, 1 << 20);
  s.skip = size("skip", 16, 1 << 20);
  s.outputs = size("outputs", 1, 1 << 20);
  s.input_taps = size("input_taps", 0, kHistory);
  s.mixtures = size("mixtures", 0, 1 << 20);
  s.prediction_order = size("prediction_order", 0, kHistory);
  p.voices = size("voices", 1, 1 << 20);
  p.samples = size("samples", 1, 1 << 20);
  for (const int64_t dilation : read.numbers("dilations", kMaxLayers, 1 << 20)) {
    const int layer = s.layers++;
    s.dilations[layer] = (int)dilation;
    s.cache_offsets[layer + 1] = s.cache_offsets[layer] + s.length(layer);
  }
  read.require(s.residual % 16 == 0 && s.skip % 16 == 0, "residual and skip must be multiples of 16");
  read.require(!s.mixtures || s.outputs == 3 * s.mixtures, "`outputs` disagrees with `mixtures`");

  const int64_t R = s.residual, S = s.skip, L = s.layers, O = s.outputs, V = p.voices, T = p.samples;
  const int64_t past = L * (s.taps - 1);
  const auto matrix = [&](int64_t count, int64_t rows, int64_t columns, Format format, const char* name) {
    static constexpr int kWeights[] = {1, 2, 4};  // in a word
    const uint32_t* words = read.array<uint32_t>(count * rows * columns / kWeights[(int)format], name);
    return Matrix{words, read.array<float>(count * columns, name)};
  };
  Weights& w = p.weights;
  w.start = read.array<float>(s.input_taps * R, "start");
  w.skip_start = matrix(1, R, S, Format::kFp32, "skip_start");
  w.current = matrix(L, R, 2 * R, of, "current");
  w.past = matrix(past, R, 2 * R, of, "past");
  w.residual = matrix(L, R, R, of, "residual");
  w.residual_bias = read.array<float>(L * R, "residual_bias");
  w.skip = matrix(L, R, S, of, "skip");
  w.skip_bias = read.array<float>(S, "skip_bias");
  w.out1 = matrix(1, S, S, of, "out1");
  w.logits = matrix(1, S, O, Format::kFp32, "logits");
  w.logits_bias = read.array<float>(O, "logits_bias");
  w.fused = matrix(L, R, 2 * R, of, "fused");
  w.fused_bias = read.array<float>(L * 2 * R, "fused_bias");
  Ahead& a = p.ahead;
  a.age = read.array<int32_t>(T * V, "age");
  a.sounding = read.array<int32_t>(T * V, "sounding");
  a.enter = read.array<float>(T * V * R, "enter");
  a.gates = read.array<float>(T * L * V * 2 * R, "gates");
  a.out1 = read.array<float>(T * V * S, "out1");
  a.coefficients = read.array<float>(T * V * s.prediction_order, "coefficients");
  a.scalars = read.array<float>(T * V * kScalars, "scalars");
  p.first_rows = read.array<int32_t>(L, "first_rows");
  const bool scores = prediction->element_count() > 0;
  p.forced = read.array<float>(scores ? T * V : 0, "forced");
  if (!scores) p.forced = nullptr;
  const int64_t cached = V * s.cache_offsets[L] * R;
  const float* cache_before = read.array<float>(cached, "cache");
  const float* recent_before = read.array<float>(V * kHistory, "recent");
  p.value = read.result(value, T * V, "value");
  p.cache = read.result(cache, cached, "cache");
  p.recent = read.result(recent, V * kHistory, "recent");
  p.outputs = read.result(outputs, scores ? T * V * O : 0, "outputs");
  p.prediction = read.result(prediction, scores ? T * V : 0, "prediction");
  if (!read.wrong.empty()) return refuse(read.wrong);
  if (!scores) p.outputs = p.prediction = nullptr;

  if (!carry(cache_before, p.cache, cache->size_bytes(), with.stream) ||
      !carry(recent_before, p.recent, recent->size_bytes(), with.stream))
    return refuse("the state cannot be copied");
  const char* wrong = launch(p, of, kernel, with);
  return wrong ? refuse(wrong) : ffi::Error::Success();
}

#if defined(WAVEKEYS_EMULATED)
#define WAVEKEYS_CONTEXT
constexpr auto decode_block = [](auto... rest) { return handle({nullptr, nullptr, {}}, rest...); };
#else
#define WAVEKEYS_CONTEXT .Ctx<ffi::PlatformStream<cudaStream_t>>().Ctx<ffi::ScratchAllocator>()
constexpr auto decode_block = [](cudaStream_t stream, ffi::ScratchAllocator scratch, auto... rest) {
  const auto allocate = [&](size_t bytes) { return scratch.Allocate(bytes, 256).value_or(nullptr); };
  return handle({stream, allocate, {}}, rest...);
};
#endif

}  // namespace
}  // namespace wavekeys::gpu

extern "C" __attribute__((visibility("default"))) XLA_FFI_Error* wavekeys_gpu_decode(XLA_FFI_CallFrame* frame);

// clang-format off
XLA_FFI_DEFINE_HANDLER_SYMBOL(
    wavekeys_gpu_decode, wavekeys::gpu::decode_block,
    ffi::Ffi::Bind() WAVEKEYS_CONTEXT
        .Attrs().RemainingArgs()
        .Ret<ffi::BufferR2<ffi::F32>>().Ret<ffi::BufferR3<ffi::F32>>().Ret<ffi::BufferR2<ffi::F32>>()
        .Ret<ffi::BufferR3<ffi::F32>>().Ret<ffi::BufferR2<ffi::F32>>());
// clang-format on
