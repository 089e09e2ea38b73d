// The XLA FFI handler: checks that types and shapes agree, and hands the block over.

#include <cstring>
#include <string>

#include "decode.h"
#include "xla/ffi/api/ffi.h"

namespace ffi = xla::ffi;

namespace wavekeys {
namespace {

using Buffer = ffi::AnyBuffer;
using Output = ffi::Result<ffi::AnyBuffer>;

bool precision_of(const Buffer& buffer, Precision& precision) {
  switch (buffer.element_type()) {
    case ffi::DataType::F32:
      precision = Precision::kFp32;
      return true;
    case ffi::DataType::BF16:
      precision = Precision::kBf16;
      return true;
    case ffi::DataType::S8:
      precision = Precision::kInt8;
      return true;
    case ffi::DataType::S16:
      precision = Precision::kInt16;
      return true;
    default:
      return false;
  }
}

Matrix matrix(const Buffer& words) { return {static_cast<const Word*>(words.untyped_data()), nullptr, nullptr}; }

Matrix matrix(const Buffer& words, const Buffer& scale, const Buffer& offset) {
  Matrix packed = matrix(words);
  if (scale.element_count()) packed.scale = scale.typed_data<float>();
  if (offset.element_count()) packed.offset = offset.typed_data<int32_t>();
  return packed;
}

// Donated buffers arrive as the results themselves. Where the caller kept its own, the state is copied first.
void carry(const Buffer& from, Output& to) {
  if (from.untyped_data() != to->untyped_data())
    std::memcpy(to->untyped_data(), from.untyped_data(), from.size_bytes());
}

ffi::Error handle(ffi::Span<const int64_t> numbers, ffi::Span<const int64_t> dilations, Buffer start, Buffer start_bias,
                  Buffer skip_start, Buffer layers, Buffer layers_scale, Buffer layers_offset, Buffer past,
                  Buffer past_scale, Buffer past_offset, Buffer residual_bias, Buffer skip, Buffer skip_scale,
                  Buffer skip_offset, Buffer skip_bias, Buffer out1, Buffer out1_scale, Buffer out1_offset,
                  Buffer logits, Buffer logits_bias, Buffer cache_in, Buffer history_in, Buffer strayed_in,
                  Buffer age_in, Buffer step_in, Buffer conditioning, Buffer position, Buffer clock, Buffer begin,
                  Buffer fresh, Buffer seed, Buffer temperature, Buffer forced, Output audio, Output cache,
                  Output history, Output strayed, Output age, Output step, Output outputs, Output prediction) {
  const auto refuse = [](const char* what) {
    return ffi::Error::InvalidArgument(std::string("wavekeys kernel: ") + what);
  };
  if (numbers.size() != 12 || dilations.size() == 0 || dilations.size() > kMaxLayers) return refuse("malformed sizes");
  Problem problem{};
  Sizes& sizes = problem.sizes;
  int64_t* const fields[] = {&sizes.taps,
                             &sizes.residual,
                             &sizes.skip,
                             &sizes.outputs,
                             &sizes.padded_outputs,
                             &sizes.input_taps,
                             &sizes.clock_harmonics,
                             &sizes.hop,
                             &sizes.smooth,
                             &sizes.mixtures,
                             &sizes.prediction_order,
                             &sizes.harmonics};
  for (size_t i = 0; i < numbers.size(); ++i) {
    *fields[i] = numbers[i];
    if (numbers[i] < 0 || numbers[i] > 1 << 20) return refuse("malformed sizes");
  }
  sizes.layers = (int64_t)dilations.size();
  for (int64_t i = 0; i < sizes.layers; ++i) {
    if (dilations[(size_t)i] < 1 || dilations[(size_t)i] > 1 << 20) return refuse("malformed sizes");
    sizes.dilations[i] = dilations[(size_t)i];
    sizes.cache_offsets[i + 1] = sizes.cache_offsets[i] + (sizes.taps - 1) * dilations[(size_t)i];
  }
  if (conditioning.dimensions().size() != 3 || clock.dimensions().size() != 2) return refuse("malformed block");

  const int64_t R = sizes.residual, S = sizes.skip, L = sizes.layers, past_taps = sizes.taps - 1;
  const int64_t V = clock.dimensions()[0], T = clock.dimensions()[1], scored = forced.element_count() ? V * T : 0;
  Precision& precision = problem.weights.precision;
  if (!precision_of(layers, precision)) return refuse("weights must be float32, bfloat16, int8 or int16");
  if (!supports(precision)) return refuse("this processor lacks the instructions for that precision");
  const auto alike = [&](const Buffer& words, const Buffer& scale, const Buffer& offset, int64_t columns) {
    const bool bytes = precision == Precision::kInt8, integers = bytes || precision == Precision::kInt16;
    return words.element_type() == layers.element_type() &&
           (int64_t)scale.element_count() == (integers ? columns : 0) &&
           (int64_t)offset.element_count() == (bytes ? columns : 0);
  };
  const auto counts = [](const Buffer& buffer, int64_t count) { return (int64_t)buffer.element_count() == count; };
  const struct {
    bool holds;
    const char* what;
  } requirements[] = {
      {sizes.taps >= 2 && sizes.hop >= 1 && sizes.outputs >= 1, "malformed sizes"},
      {R > 0 && R % kStrip == 0 && S > 0 && S % kStrip == 0, "residual and skip must be multiples of 16"},
      {R <= kMaxWidth && S <= kMaxWidth && sizes.outputs <= sizes.padded_outputs && sizes.padded_outputs <= kMaxOutputs,
       "too wide"},
      {sizes.padded_outputs % kStrip == 0, "padded outputs must be a multiple of 16"},
      {sizes.features() <= kMaxFeatures, "too many input features"},
      {sizes.harmonics <= kMaxFeatures && sizes.harmonics % kStrip == 0,
       "harmonics must be a multiple of 16, at most 256"},
      {sizes.input_taps <= kHistory && sizes.prediction_order <= kHistory, "taps beyond the history of 64 inputs"},
      {sizes.mixtures == 0 || sizes.outputs == 3 * sizes.mixtures, "`outputs` disagrees with `mixtures`"},
      {V <= kMaxVoices, "more than 256 voices"},
      {counts(start, sizes.features() * R) && counts(start_bias, R), "`start` disagrees with the sizes"},
      {counts(skip_start, R * S) && counts(skip_bias, S), "`skip_start` disagrees with the sizes"},
      {counts(layers, L * 3 * R * R) && alike(layers, layers_scale, layers_offset, L * 3 * R),
       "`layers` disagrees with the sizes"},
      {counts(past, L * past_taps * 2 * R * R) && alike(past, past_scale, past_offset, L * past_taps * 2 * R),
       "`past` disagrees with the sizes"},
      {counts(residual_bias, L * R), "`residual_bias` disagrees with the sizes"},
      {counts(skip, L * R * S) && alike(skip, skip_scale, skip_offset, S), "`skip` disagrees with the sizes"},
      {counts(out1, S * S) && alike(out1, out1_scale, out1_offset, S), "`out1` disagrees with the sizes"},
      {counts(logits, S * sizes.padded_outputs) && counts(logits_bias, sizes.padded_outputs),
       "`logits` disagrees with the sizes"},
      {conditioning.dimensions()[0] == V && conditioning.dimensions()[1] >= 1 &&
           conditioning.dimensions()[2] == sizes.columns(),
       "`conditioning` disagrees with the sizes"},
      {counts(*cache, V * sizes.cache_offsets[L] * R), "`cache` disagrees with the sizes"},
      {counts(*history, V * kHistory) && counts(*strayed, V * sizes.harmonics) && counts(*age, V) && counts(*step, 1),
       "the state disagrees with the sizes"},
      {counts(position, V) && counts(begin, V) && counts(fresh, V) && counts(seed, V),
       "the block disagrees with the number of voices"},
      {counts(temperature, V * T), "`temperature` disagrees with `clock`"},
      {counts(forced, scored), "`forced` disagrees with `clock`"},
  };
  for (const auto& requirement : requirements)
    if (!requirement.holds) return refuse(requirement.what);

  carry(cache_in, cache);
  carry(history_in, history);
  carry(strayed_in, strayed);
  carry(age_in, age);
  const uint32_t now = *step_in.typed_data<uint32_t>();
  problem.weights = {precision,
                     matrix(start),
                     start_bias.typed_data<float>(),
                     matrix(skip_start),
                     matrix(layers, layers_scale, layers_offset),
                     matrix(past, past_scale, past_offset),
                     residual_bias.typed_data<float>(),
                     matrix(skip, skip_scale, skip_offset),
                     skip_bias.typed_data<float>(),
                     matrix(out1, out1_scale, out1_offset),
                     matrix(logits),
                     logits_bias.typed_data<float>()};
  problem.block = {V,
                   T,
                   conditioning.dimensions()[1],
                   conditioning.typed_data<float>(),
                   position.typed_data<int32_t>(),
                   clock.typed_data<uint32_t>(),
                   begin.typed_data<int32_t>(),
                   fresh.typed_data<int32_t>(),
                   seed.typed_data<uint32_t>(),
                   temperature.typed_data<float>(),
                   scored ? forced.typed_data<float>() : nullptr};
  problem.state = {cache->typed_data<float>(), history->typed_data<float>(), strayed->typed_data<uint32_t>(),
                   age->typed_data<uint32_t>(), now};
  problem.result = {audio->typed_data<float>(), scored ? outputs->typed_data<float>() : nullptr,
                    scored ? prediction->typed_data<float>() : nullptr};
  decode(problem);
  *step->typed_data<uint32_t>() = now + (uint32_t)T;
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
        .Attr<ffi::Span<const int64_t>>("numbers").Attr<ffi::Span<const int64_t>>("dilations")
        .Arg<ffi::AnyBuffer>().Arg<ffi::AnyBuffer>().Arg<ffi::AnyBuffer>().Arg<ffi::AnyBuffer>().Arg<ffi::AnyBuffer>()
        .Arg<ffi::AnyBuffer>().Arg<ffi::AnyBuffer>().Arg<ffi::AnyBuffer>().Arg<ffi::AnyBuffer>().Arg<ffi::AnyBuffer>()
        .Arg<ffi::AnyBuffer>().Arg<ffi::AnyBuffer>().Arg<ffi::AnyBuffer>().Arg<ffi::AnyBuffer>().Arg<ffi::AnyBuffer>()
        .Arg<ffi::AnyBuffer>().Arg<ffi::AnyBuffer>().Arg<ffi::AnyBuffer>().Arg<ffi::AnyBuffer>().Arg<ffi::AnyBuffer>()
        .Arg<ffi::AnyBuffer>().Arg<ffi::AnyBuffer>().Arg<ffi::AnyBuffer>().Arg<ffi::AnyBuffer>().Arg<ffi::AnyBuffer>()
        .Arg<ffi::AnyBuffer>().Arg<ffi::AnyBuffer>().Arg<ffi::AnyBuffer>().Arg<ffi::AnyBuffer>().Arg<ffi::AnyBuffer>()
        .Arg<ffi::AnyBuffer>().Arg<ffi::AnyBuffer>()
        .Ret<ffi::AnyBuffer>().Ret<ffi::AnyBuffer>().Ret<ffi::AnyBuffer>().Ret<ffi::AnyBuffer>()
        .Ret<ffi::AnyBuffer>().Ret<ffi::AnyBuffer>().Ret<ffi::AnyBuffer>().Ret<ffi::AnyBuffer>());
// clang-format on

EXPORT const char* wavekeys_isa() { return wavekeys::instruction_set(); }

EXPORT int wavekeys_supports(int precision) { return wavekeys::supports((wavekeys::Precision)precision); }

EXPORT int wavekeys_fastest() { return (int)wavekeys::fastest(); }

EXPORT double wavekeys_peak(int precision, int64_t rounds) {
  return wavekeys::peak((wavekeys::Precision)precision, rounds);
}
