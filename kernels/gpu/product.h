// Weights in three formats, and their products with activations in fp32. Activations of kVoices voices lie side by
// side, [K, kVoices], so that a weight is read once for all of them; more than four in planes of four, [planes, K, 4],
// since a thread reads four at once, and a warp's reads must lie side by side to come from different banks.
#pragma once

#include "problem.h"

namespace wavekeys::gpu {

template <int kVoices>
constexpr int kPlane = kVoices < 4 ? kVoices : 4;  // voices whose activations lie together

WAVEKEYS_DEVICE float as_float(uint32_t bits) {
#if defined(__CUDACC__)
  return __uint_as_float(bits);
#else
  float value;
  __builtin_memcpy(&value, &bits, sizeof value);
  return value;
#endif
}

// Not a number stays what it is in both, as in the reference.
WAVEKEYS_DEVICE float relu(float x) { return x < 0.0f ? 0.0f : x; }
WAVEKEYS_DEVICE float within(float x, float low, float high) { return x < low ? low : x > high ? high : x; }

// kCount words at once, in the widest loads there are; `from` is aligned to them.
template <class Word, int kCount>
WAVEKEYS_DEVICE void load(const Word* from, Word (&to)[kCount]) {
  constexpr int kWide = kCount < 4 ? kCount : 4;
  struct alignas(kWide * sizeof(Word)) Wide {
    Word words[kWide];
  };
  for (int i = 0; i < kCount; i += kWide) {
    const Wide wide = *reinterpret_cast<const Wide*>(from + i);
    for (int k = 0; k < kWide; ++k) to[i + k] = wide.words[k];
  }
}

struct Fp32 {
  static constexpr int kWords = 8;  // of a chunk
  static constexpr bool kScaled = false;
  static WAVEKEYS_DEVICE float weight(const uint32_t (&words)[kWords], int i) { return as_float(words[i]); }
};

struct Bf16 {
  static constexpr int kWords = 4;
  static constexpr bool kScaled = false;
  static WAVEKEYS_DEVICE float weight(const uint32_t (&words)[kWords], int i) {
    return as_float(i % 2 ? words[i / 2] & 0xFFFF0000u : words[i / 2] << 16);
  }
};

struct Int8 {
  static constexpr int kWords = 2;
  static constexpr bool kScaled = true;
  static WAVEKEYS_DEVICE float weight(const uint32_t (&words)[kWords], int i) {
    return (float)((int32_t)(words[i / 4] << (24 - 8 * (i % 4))) >> 24);
  }
};

// Some columns of a matrix where they are read from: the device's memory or the team's own.
struct Piece {
  const uint32_t* words;
  const float* scale;
  int column_stride, chunk_stride;  // words
};

template <class F>
WAVEKEYS_DEVICE Piece columns_of(const Matrix& matrix, int rows, int64_t first_column) {
  const int column = rows / kChunk * F::kWords;
  return {matrix.words + first_column * column, matrix.scale + first_column, column, F::kWords};
}

// Adds one chunk's share of a column's products with x. Its rows are `chunks` apart: threads with neighbouring chunks
// read neighbouring rows at each turn, which lie in different banks.
template <class F, int kVoices>
WAVEKEYS_DEVICE void multiply(const Piece& piece, int column, int chunk, int chunks, const float* x,
                              float (&sum)[kVoices]) {
  constexpr int kTogether = kPlane<kVoices>;
  uint32_t words[F::kWords];
  load(piece.words + column * piece.column_stride + chunk * piece.chunk_stride, words);
  for (int i = 0; i < kChunk; ++i) {
    const float weight = F::weight(words, i);
    for (int first = 0; first < kVoices; first += kTogether) {
      float row[kTogether];
      load(x + first * kChunk * chunks + (i * chunks + chunk) * kTogether, row);
      for (int v = 0; v < kTogether; ++v) sum[first + v] += weight * row[v];
    }
  }
}

// A column's sum in the units of its weights. Without scales there is nothing to wait for.
template <class F>
WAVEKEYS_DEVICE float scaled(float sum, const float* scale, int column) {
  if constexpr (F::kScaled) sum *= scale[column];
  return sum;
}

// A whole product of the team: `piece` [rows, columns] with x of kVoices voices, each sum handed to store(column, sum).
template <class F, int kLanes, int kVoices, class Store>
WAVEKEYS_DEVICE void product(const Team& team, const Piece& piece, int rows, int columns, const float* x, Store store) {
  team.sums<kLanes, kVoices>(
      columns, rows / kChunk,
      [&](int column, int chunk, float(&sum)[kVoices]) { multiply<F>(piece, column, chunk, rows / kChunk, x, sum); },
      [&](int column, float(&sum)[kVoices]) {
        for (int v = 0; v < kVoices; ++v) sum[v] = scaled<F>(sum[v], piece.scale, column);
        store(column, sum);
      });
}

WAVEKEYS_DEVICE float gate(float filter, float gate) { return tanhf(gate) / (1.0f + expf(-filter)); }

}  // namespace wavekeys::gpu
