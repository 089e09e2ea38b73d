// What the decoder computes with: plain pointers and sizes. `prepare` in __init__.py packs the weights.
// Axis letters as in kernels/spec.py: V voices, T samples of a block, L layers, R residual, S skip, K filter taps.
#pragma once

#include <cstdint>

namespace wavekeys {

constexpr int kStrip = 16;    // columns of the widest vector
constexpr int kPanel = 4;     // strips that lie side by side in a packed matrix, at most
constexpr int kHistory = 64;  // past inputs of a voice, as HISTORY in kernels/spec.py
constexpr int kMaxVoices = 256;
constexpr int kMaxLayers = 64;
constexpr int kMaxWidth = 1024;    // of residual and skip
constexpr int kMaxFeatures = 256;  // input taps and clock together; also harmonics
constexpr int kMaxOutputs = 256;
constexpr int kMaxGroup = 8;  // voices that go through a layer together

struct Sizes {
  int64_t layers, taps, residual, skip, outputs, padded_outputs;
  int64_t input_taps, clock_harmonics, hop, smooth, mixtures, prediction_order, harmonics;
  int64_t dilations[kMaxLayers];
  int64_t cache_offsets[kMaxLayers + 1];  // rows

  int64_t features() const { return input_taps + 2 * clock_harmonics; }
  int64_t columns() const {
    return layers * 2 * residual + skip + (mixtures ? prediction_order + 2 * harmonics + 3 : 0);
  }
};

// The smallest piece that a product reads of a row: 1 float, 2 bfloat16 or integers of 16 bits, or 4 bytes, whatever
// the precision.
typedef uint32_t __attribute__((may_alias)) Word;

enum class Precision { kFp32, kBf16, kInt8, kInt16 };

// A packed matrix [K, N]: panels of up to 4 strips of 16 columns one after the other, in each the K rows, a Word of
// rows at a time: [K / rows of a Word, columns of the panel] Words. So a product reads it from one end to the other.
// The panels are of nearly equal width.
struct Matrix {
  const Word* words;
  const float* scale;     // [N], what an integer of each column is worth; int8 and int16 only
  const int32_t* offset;  // [N], 128 times the column's sum, since activations are stored plus 128; int8 only
};

struct Weights {
  Precision precision;         // of `layers`, `past`, `skip` and `out1`; the others are fp32
  Matrix start;                // [features, R]
  const float* start_bias;     // [R]
  Matrix skip_start;           // [R, S]
  Matrix layers;               // L times [R, 3R]: the gates of the current sample, then the residual
  Matrix past;                 // L times K - 1 times [R, 2R], the oldest tap first
  const float* residual_bias;  // [L, R]
  Matrix skip;                 // [L * R, S]
  const float* skip_bias;      // [S]
  Matrix out1;                 // [S, S]
  Matrix logits;               // [S, padded_outputs]
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
  const float* temperature;   // [V, T]
  const float* forced;        // [V, T], or null when generating

  // The voice's first sample in this block.
  int64_t begin_of(int32_t voice) const { return begin[voice] > 0 ? begin[voice] : 0; }
};

struct State {
  float* cache;       // [V, rows, R]
  float* history;     // [V, kHistory]
  uint32_t* strayed;  // [V, harmonics]
  uint32_t* age;      // [V]
  uint32_t step;      // at the block's first sample
};

struct Result {
  float* audio;       // [V, T]
  float* outputs;     // [V, T, outputs], or null when generating
  float* prediction;  // [V, T], or null when generating
};

struct Problem {
  Sizes sizes;
  Weights weights;
  Block block;
  State state;
  Result result;
};

}  // namespace wavekeys
