// One build of the decoder, for one instruction set and precision; `variants.cpp` chooses among them.
#pragma once

#include "arena.h"
#include "problem.h"

namespace wavekeys {

struct Variant {
  // Bytes that `decode` takes of its arena for `count` voices or fewer.
  int64_t (*bytes)(const Problem&, int count);

  // Decodes voices[0 .. count) from sample `from` to `to` of the block; all of them sound throughout. Thread-safe for
  // disjoint sets of voices and arenas. Allocates nothing, takes no lock.
  void (*decode)(const Problem&, Arena&, const int32_t* voices, int count, int64_t from, int64_t to);

  // Does multiply-adds in registers and nothing else; returns the number of operations.
  double (*peak)(int64_t rounds);
};

// The build for this processor, or null where it lacks what the precision needs.
const Variant* variant(Precision precision);

extern const Variant portable_fp32;
#if defined(__x86_64__)
extern const Variant avx2_fp32, avx2_bf16, avx2_int8, avx2_int16;
extern const Variant avx512_fp32, avx512_bf16, avx512_bf16_pairs, avx512_int8;
extern const Variant amx_bf16;
#endif

}  // namespace wavekeys
