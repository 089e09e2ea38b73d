// 8-bit weights and activations on AVX2, sums in 32 bits: 8 lanes, four rows of a matrix at once.
#define WAVEKEYS_LANES 8
#define WAVEKEYS_PRECISION Int8
#define WAVEKEYS_VARIANT avx2_int8
#include "decoder.inc"
