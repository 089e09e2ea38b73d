// What the GPU's kernels compute with: plain pointers into the device's memory, and sizes. `prepare` and `_call` in
// __init__.py lay it out. Axis letters as in kernels/spec.py; `Ahead` is that of kernels/ahead.py.
#pragma once

#include <cstdint>

#include "team.h"

namespace wavekeys::gpu {

constexpr int kHistory = 64;  // past inputs of a voice, as HISTORY in kernels/spec.py
constexpr int kMaxLayers = 64;
constexpr int kChunk = 8;      // weights of a column that are read together; residual and skip are multiples of 16
constexpr int kScalars = 7;    // of a sample, in the order of SCALARS in kernels/ahead.py
constexpr int kSegments = 32;  // of the softmax, summed apart

enum Scalar { kU, kV, kTemperature, kScale, kGain, kHarmonics, kRest };
enum class Format { kFp32, kBf16, kInt8 };

struct Sizes {
  int layers, taps, residual, skip, outputs, input_taps, mixtures, prediction_order;
  int dilations[kMaxLayers];
  int cache_offsets[kMaxLayers + 1];  // rows

  WAVEKEYS_BOTH int length(int layer) const { return (taps - 1) * dilations[layer]; }
  // The row of layer's ring that holds the input `distance` samples before sample t of the block, 0 the latest.
  WAVEKEYS_BOTH int row(const int* first_rows, int layer, int t, int distance) const {
    const int ring = length(layer);
    return cache_offsets[layer] + (first_rows[layer] + t + ring - distance) % ring;
  }
};

// A matrix [K, N] lies column after column, in words of 32 bits: 1 fp32, 2 bf16 or 4 of 8 bits, the first in the lowest
// bits. A column is K / 8 chunks, of which chunk c has the weights of rows c, c + K / 8, c + 2 K / 8, ... (`multiply`
// in product.h says why). Column n stands for its weights times scale[n]. Gates' columns lie by turns: filter, gate.
struct Matrix {
  const uint32_t* words;
  const float* scale;
};

struct Weights {
  const float* start;          // [input_taps, R], the latest first
  Matrix skip_start;           // [R, S], fp32
  Matrix current;              // L times [R, 2R]: the gates of the current sample
  Matrix past;                 // L times K - 1 times [R, 2R], the oldest tap first
  Matrix residual;             // L times [R, R]
  const float* residual_bias;  // [L, R]
  Matrix skip;                 // L times [R, S]
  const float* skip_bias;      // [S]
  Matrix out1;                 // [S, S]
  Matrix logits;               // [S, O], fp32
  const float* logits_bias;    // [O]
  // Of the grid alone: layer l's gates straight from the gates of the layer before, without the residual between:
  Matrix fused;             // L times [R, 2R]: residual of layer l - 1 times `current`; nothing for layer 0
  const float* fused_bias;  // [L, 2R]: residual bias of layer l - 1 times `current`, columns by turns
};

struct Ahead {
  const int32_t* age;         // [T, V]
  const int32_t* sounding;    // [T, V]
  const float* enter;         // [T, V, R]
  const float* gates;         // [T, L, V, 2R]
  const float* out1;          // [T, V, S]
  const float* coefficients;  // [T, V, P]
  const float* scalars;       // [T, V, kScalars]
};

struct Problem {
  Sizes sizes;
  Weights weights;
  Ahead ahead;
  int voices, samples;
  const int32_t* first_rows;  // [L]: the row of each ring at the block's first sample
  const float* forced;        // [T, V], or null when generating
  float* cache;               // [V, rows, R]
  float* recent;              // [V, kHistory], the latest first
  float* value;               // [T, V]: what was drawn
  float* outputs;             // [T, V, O], or null when generating
  float* prediction;          // [T, V], or null when generating
};

}  // namespace wavekeys::gpu
