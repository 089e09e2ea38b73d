// One block of all voices: what the FFI handler calls.
#pragma once

#include "problem.h"

namespace wavekeys {

// Decodes a block, spread over the pool's threads, and moves the state on. Allocates when it meets a larger problem
// than before, and never else.
void decode(const Problem& problem);

// Whether this processor has what a precision needs; fp32 it always has.
bool supports(Precision precision);

// The precision in which this processor decodes fastest.
Precision fastest();

// The instruction set in use: "amx", "avx512bf16", "avx512", "avx2" or "portable".
const char* instruction_set();

// Multiply-adds in registers and nothing else, on one core; returns the number of operations.
double peak(Precision precision, int64_t rounds);

}  // namespace wavekeys
