// What the decoder computes with: plain pointers and sizes, laid out by `prepare` in __init__.py.
// Axis letters as in kernels/spec.py: V voices, T samples of a block, L layers, R residual, S skip, K filter taps.
#pragma once

#include <cstdint>

namespace wavekeys {

constexpr int kHistory = 64;          // past inputs of a voice, as HISTORY in kernels/spec.py
constexpr int kLevels = 256;          // mu-law bins
constexpr int kMaxLayers = 64;
constexpr int kMaxWidth = 1024;       // of residual and skip
constexpr int kMaxFeatures = 256;     // input taps and clock together; also harmonics
constexpr int kMaxOutputs = 256;

struct Sizes {
  int64_t layers, taps, residual, skip, outputs, padded_outputs;
  int64_t input_taps, clock_harmonics, hop, smooth, mixtures, prediction_order, harmonics;
  int64_t dilations[kMaxLayers];
  int64_t cache_offsets[kMaxLayers + 1];  // rows

  int64_t features() const { return input_taps + 2 * clock_harmonics; }
  int64_t columns() const {
    return layers * 2 * residual + skip + (mixtures ? prediction_order + harmonics + 2 : 0);
  }
};

struct Weights {
  const float* start;          // [features, R]
  const float* start_bias;     // [R]
  const float* skip_start;     // [R, S]
  const float* taps;           // [L, K, R, 2R]
  const float* mix;            // [L, R, R + S]: residual and skip side by side
  const float* residual_bias;  // [L, R]
  const float* skip_bias;      // [S]
  const float* out1;           // [S, S]
  const float* logits;         // [S, padded_outputs]
  const float* logits_bias;    // [padded_outputs]
};

struct Block {
  int64_t voices, samples, frames;
  const float* conditioning;  // [V, F, columns]
  const int32_t* position;    // [V]
  const uint32_t* clock;      // [V, T]
  const int32_t* begin;       // [V]
  const int32_t* fresh;       // [V]
  const uint32_t* seed;       // [V]
  const float* temperature;   // [V]
  const float* forced;        // [V, T], or null when generating
};

struct State {
  float* cache;    // [V, rows, R]
  float* history;  // [V, kHistory]
  uint32_t* age;   // [V]
  uint32_t step;   // at the block's first sample
};

struct Result {
  float* audio;       // [V, T]
  float* outputs;     // [V, T, outputs], or null when generating
  float* prediction;  // [V, T], or null when generating
};

// Decodes voices[0 .. count) from sample `from` to `to` of the block; all of them sound throughout.
// Thread-safe for disjoint sets of voices. Allocates nothing, takes no lock.
using DecodeFunction = void(const Sizes&, const Weights&, const Block&, const State&, const Result&,
                            const int32_t* voices, int count, int64_t from, int64_t to);

DecodeFunction decode_portable;
DecodeFunction decode_avx2;
DecodeFunction decode_avx512;

// Nothing but multiply-adds in registers, `rounds` of them in each of many independent chains: the yardstick for the
// decoder. Returns the number of floating-point operations done.
using PeakFunction = double(int64_t rounds);

PeakFunction peak_portable;
PeakFunction peak_avx2;
PeakFunction peak_avx512;

}  // namespace wavekeys
