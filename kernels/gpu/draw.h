// The voices' recent inputs, the first layer, and the draw from the head's outputs: both kernels' ends of a step. As
// kernels/reference.py and kernels/sampling.py.
#pragma once

#include "product.h"

namespace wavekeys::gpu {

constexpr float kLogisticTail = 0.0025f, kFarthest = 1e6f;
constexpr float kLargestMean = 2.0f, kMinLogScale = -4.0f, kMaxLogScale = 0.7f;
constexpr float kMinTemperature = 1e-6f;

// Of kVoices voices from `first` on: what they drew, in a ring of kHistory samples indexed by the block's sample.
template <int kVoices>
struct Voices {
  const Problem& problem;
  int first;
  float* ring;  // [kHistory, kVoices], the team's own

  WAVEKEYS_DEVICE bool there(int v) const { return first + v < problem.voices; }
  WAVEKEYS_DEVICE int64_t at(int t, int v) const { return (int64_t)t * problem.voices + first + v; }

  // A voice that sounds at the block's end sounded in it: other batches are skipped.
  WAVEKEYS_DEVICE bool any_sounds() const {
    bool sounds = false;
    for (int v = 0; v < kVoices; ++v) sounds |= there(v) && problem.ahead.sounding[at(problem.samples - 1, v)];
    return sounds;
  }

  WAVEKEYS_DEVICE float input(int t, int v, int delay) const {
    return delay <= problem.ahead.age[at(t, v)] ? ring[(uint32_t)(t - delay) % kHistory * kVoices + v] : 0.0f;
  }

  WAVEKEYS_DEVICE void recall(const Team& team) const {
    team.each(kHistory * kVoices, [&](int i) {
      const int delay = i / kVoices + 1, v = i % kVoices;
      const float value = there(v) ? problem.recent[(first + v) * kHistory + delay - 1] : 0.0f;
      ring[(kHistory - delay) * kVoices + v] = value;
    });
  }

  WAVEKEYS_DEVICE void remember(const Team& team) const {
    team.each(kHistory * kVoices, [&](int i) {
      const int delay = i / kVoices + 1, v = i % kVoices;
      const float value = ring[(uint32_t)(problem.samples - delay) % kHistory * kVoices + v];
      if (there(v)) problem.recent[(first + v) * kHistory + delay - 1] = value;
    });
  }

  // The first layer's input at sample t into x [R, kVoices].
  WAVEKEYS_DEVICE void enter(const Team& team, int t, float* x) const {
    const int R = problem.sizes.residual;
    team.each(R * kVoices, [&](int i) {
      const int r = i / kVoices, v = i % kVoices;
      float sum = there(v) ? problem.ahead.enter[at(t, v) * R + r] : 0.0f;
      for (int tap = 0; tap < problem.sizes.input_taps && there(v); ++tap)
        sum += input(t, v, tap + 1) * problem.weights.start[tap * R + r];
      x[i] = sum;
    });
  }

  // From outputs [O, kVoices] to a value in the ring. `segments` has room for 2 * kSegments * kVoices. Where several
  // teams draw the same sample, `writes` is true in one.
  WAVEKEYS_DEVICE void draw(const Team& team, int t, float* outputs, float* segments, bool writes) const {
    if (problem.outputs && writes)
      team.each(problem.sizes.outputs * kVoices, [&](int i) {
        const int output = i / kVoices, v = i % kVoices;
        if (there(v)) problem.outputs[at(t, v) * problem.sizes.outputs + output] = outputs[i];
      });
    const int choices = problem.sizes.mixtures ? problem.sizes.mixtures : problem.sizes.outputs;
    const int width = (choices + kSegments - 1) / kSegments;
    float* totals = segments + kSegments * kVoices;
    team.each(kSegments * kVoices, [&](int i) {
      const int segment = i / kVoices, v = i % kVoices;
      float largest = -1e30f;
      for (int k = segment * width; k < choices && k < (segment + 1) * width; ++k)
        largest = fmaxf(largest, outputs[k * kVoices + v]);
      segments[i] = largest;
    });
    // A choice's weight takes its logit's place.
    team.each(kSegments * kVoices, [&](int i) {
      const int segment = i / kVoices, v = i % kVoices;
      float largest = segments[v], total = 0.0f;
      for (int k = 1; k < kSegments; ++k) largest = fmaxf(largest, segments[k * kVoices + v]);
      const float heat =
          there(v) ? fmaxf(problem.ahead.scalars[at(t, v) * kScalars + kTemperature], kMinTemperature) : 1.0f;
      for (int k = segment * width; k < choices && k < (segment + 1) * width; ++k)
        total += outputs[k * kVoices + v] = expf((outputs[k * kVoices + v] - largest) / heat);
      totals[i] = total;
    });
    team.each(kVoices, [&](int v) {
      if (!there(v)) return;
      const float* scalars = problem.ahead.scalars + at(t, v) * kScalars;
      const int chosen = choose(outputs + v, totals + v, choices, width, scalars[kU]);
      const float harmonics = scalars[kHarmonics];
      float predicted = 0.0f, value = ((float)chosen - 128.0f) / 128.0f;
      if (problem.sizes.mixtures) {
        const int order = problem.sizes.prediction_order;
        for (int tap = 0; tap < order; ++tap)
          predicted += input(t, v, tap + 1) * problem.ahead.coefficients[at(t, v) * order + tap];
        const float mean = within(outputs[(choices + chosen) * kVoices + v], -kLargestMean, kLargestMean);
        const float log_scale = within(outputs[(2 * choices + chosen) * kVoices + v], kMinLogScale, kMaxLogScale);
        const float quantile = kLogisticTail + scalars[kV] * (1.0f - 2.0f * kLogisticTail);
        const float noise = logf(quantile) - log1pf(-quantile);
        const float drawn = mean + scalars[kTemperature] * expf(log_scale) * noise;
        value = within(predicted + scalars[kScale] * drawn, -kFarthest, kFarthest);
      }
      if (problem.forced) value = (problem.forced[at(t, v)] - harmonics) / scalars[kRest];
      ring[t % kHistory * kVoices + v] = value;
      if (writes) {
        problem.value[at(t, v)] = value;
        if (problem.prediction) problem.prediction[at(t, v)] = harmonics + scalars[kRest] * predicted;
      }
    });
  }

 private:
  // The first choice whose cumulative weight exceeds u of them all: first the segment, then within it.
  static WAVEKEYS_DEVICE int choose(const float* weights, const float* totals, int choices, int width, float u) {
    float total = 0.0f;
    for (int k = 0; k < kSegments; ++k) total += totals[k * kVoices];
    const float threshold = u * total;
    float sum = 0.0f;
    int segment = 0;
    const int last = (choices - 1) / width;
    while (segment < last && sum + totals[segment * kVoices] <= threshold) sum += totals[segment++ * kVoices];
    int choice = segment * width;
    while (choice < choices - 1 && (sum += weights[choice * kVoices]) <= threshold) ++choice;
    return choice;
  }
};

}  // namespace wavekeys::gpu
