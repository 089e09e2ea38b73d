// The XLA FFI handler: checks the shapes and hands plain pointers to `launch`. With WAVEKEYS_EMULATED the buffers are
// the processor's, otherwise the GPU's.

#include <cstring>
#include <string>

#include "launch.h"
#include "xla/ffi/api/ffi.h"

#if !defined(WAVEKEYS_EMULATED)
#include <cuda_runtime.h>
#endif

namespace ffi = xla::ffi;

namespace wavekeys::gpu {
namespace {

// The arguments one after the other, each with the number of elements that it must have.
class Reader {
 public:
  explicit Reader(ffi::RemainingArgs args) : args_(args) {}

  template <class T>
  const T* array(int64_t count, const char* name) {
    const auto buffer = args_.get<ffi::AnyBuffer>(next_++);
    if (!buffer.has_value() || (int64_t)buffer->element_count() != count || buffer->size_bytes() != count * sizeof(T)) {
      if (wrong.empty()) wrong = std::string("`") + name + "` disagrees with the sizes";
      return nullptr;
    }
    return static_cast<const T*>(buffer->untyped_data());
  }

  Matrix matrix(int64_t count, int64_t rows, int64_t columns, Format format, const char* name) {
    static constexpr int kWeights[] = {1, 2, 4};  // in a word
    const uint32_t* words = array<uint32_t>(count * rows * columns / kWeights[(int)format], name);
    return {words, array<float>(count * columns, name)};
  }

  std::string wrong;

 private:
  ffi::RemainingArgs args_;
  size_t next_ = 0;
};

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

ffi::Error handle(const Launch& with, ffi::Span<const int64_t> numbers, ffi::Span<const int64_t> dilations,
                  ffi::RemainingArgs args, ffi::Result<ffi::BufferR2<ffi::F32>> value,
                  ffi::Result<ffi::BufferR3<ffi::F32>> cache, ffi::Result<ffi::BufferR2<ffi::F32>> recent,
                  ffi::Result<ffi::BufferR3<ffi::F32>> outputs, ffi::Result<ffi::BufferR2<ffi::F32>> prediction) {
  Problem p{};
  Sizes& s = p.sizes;
  int format = 0, kernel = 0;
  int* const fields[] = {&format,    &kernel,       &s.taps,     &s.residual,         &s.skip,
                         &s.outputs, &s.input_taps, &s.mixtures, &s.prediction_order, &p.voices,
                         &p.samples};
  if (numbers.size() != std::size(fields) || dilations.size() == 0 || dilations.size() > kMaxLayers)
    return refuse("malformed sizes");
  for (size_t i = 0; i < numbers.size(); ++i) {
    if (numbers[i] < 0 || numbers[i] > 1 << 20) return refuse("malformed sizes");
    *fields[i] = (int)numbers[i];
  }
  s.layers = (int)dilations.size();
  if (s.taps < 2) return refuse("malformed sizes");
  for (int i = 0; i < s.layers; ++i) {
    if (dilations[(size_t)i] < 1 || dilations[(size_t)i] > 1 << 20) return refuse("malformed sizes");
    s.dilations[i] = (int)dilations[(size_t)i];
    s.cache_offsets[i + 1] = s.cache_offsets[i] + s.length(i);
  }
  if (format > 2 || kernel > 2 || p.voices < 1 || p.samples < 1) return refuse("malformed sizes");
  if (s.residual < 16 || s.residual % 16 || s.skip < 16 || s.skip % 16)
    return refuse("residual and skip must be multiples of 16");
  if (s.input_taps > kHistory || s.prediction_order > kHistory) return refuse("taps beyond the history of 64 inputs");
  if (s.outputs < 1 || (s.mixtures && s.outputs != 3 * s.mixtures))
    return refuse("`outputs` disagrees with `mixtures`");

  const int64_t R = s.residual, S = s.skip, L = s.layers, O = s.outputs, V = p.voices, T = p.samples;
  const int64_t past = L * (s.taps - 1);
  const auto of = (Format)format;
  Reader read(args);
  Weights& w = p.weights;
  w.start = read.array<float>(s.input_taps * R, "start");
  w.skip_start = read.matrix(1, R, S, Format::kFp32, "skip_start");
  w.current = read.matrix(L, R, 2 * R, of, "current");
  w.past = read.matrix(past, R, 2 * R, of, "past");
  w.residual = read.matrix(L, R, R, of, "residual");
  w.residual_bias = read.array<float>(L * R, "residual_bias");
  w.skip = read.matrix(L, R, S, of, "skip");
  w.skip_bias = read.array<float>(S, "skip_bias");
  w.out1 = read.matrix(1, S, S, of, "out1");
  w.logits = read.matrix(1, S, O, Format::kFp32, "logits");
  w.logits_bias = read.array<float>(O, "logits_bias");
  w.fused = read.matrix(L, R, 2 * R, of, "fused");
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
  if (!read.wrong.empty()) return refuse(read.wrong);
  const auto counts = [](auto buffer, int64_t count) { return (int64_t)buffer->element_count() == count; };
  if (!counts(value, T * V) || !counts(cache, cached) || !counts(recent, V * kHistory) ||
      !counts(outputs, scores ? T * V * O : 0) || !counts(prediction, scores ? T * V : 0))
    return refuse("the results disagree with the sizes");

  p.value = value->typed_data();
  p.cache = cache->typed_data();
  p.recent = recent->typed_data();
  if (scores) p.outputs = outputs->typed_data(), p.prediction = prediction->typed_data();
  if (!carry(cache_before, p.cache, cache->size_bytes(), with.stream) ||
      !carry(recent_before, p.recent, recent->size_bytes(), with.stream))
    return refuse("the state cannot be copied");
  const char* wrong = launch(p, of, (Kernel)kernel, with);
  return wrong ? refuse(wrong) : ffi::Error::Success();
}

#if defined(WAVEKEYS_EMULATED)
#define WAVEKEYS_CONTEXT
constexpr auto decode_block = [](int64_t teams, int64_t shared_bytes, auto... rest) {
  return handle({nullptr, nullptr, {(int)teams, shared_bytes}}, rest...);
};
#else
#define WAVEKEYS_CONTEXT .Ctx<ffi::PlatformStream<cudaStream_t>>().Ctx<ffi::ScratchAllocator>()
constexpr auto decode_block = [](cudaStream_t stream, ffi::ScratchAllocator scratch, int64_t teams,
                                 int64_t shared_bytes, auto... rest) {
  const auto allocate = [&](size_t bytes) { return scratch.Allocate(bytes, 256).value_or(nullptr); };
  return handle({stream, allocate, {(int)teams, shared_bytes}}, rest...);
};
#endif

}  // namespace
}  // namespace wavekeys::gpu

extern "C" __attribute__((visibility("default"))) XLA_FFI_Error* wavekeys_gpu_decode(XLA_FFI_CallFrame* frame);

// clang-format off
XLA_FFI_DEFINE_HANDLER_SYMBOL(
    wavekeys_gpu_decode, wavekeys::gpu::decode_block,
    ffi::Ffi::Bind() WAVEKEYS_CONTEXT
        .Attr<int64_t>("teams").Attr<int64_t>("shared_bytes")
        .Attr<ffi::Span<const int64_t>>("numbers").Attr<ffi::Span<const int64_t>>("dilations")
        .RemainingArgs()
        .Ret<ffi::BufferR2<ffi::F32>>().Ret<ffi::BufferR3<ffi::F32>>().Ret<ffi::BufferR2<ffi::F32>>()
        .Ret<ffi::BufferR3<ffi::F32>>().Ret<ffi::BufferR2<ffi::F32>>());
// clang-format on
