// 8-bit weights and activations on AVX512-VNNI, sums in 32 bits: 16 lanes, four rows of a matrix at once.
#define WAVEKEYS_LANES 16
#define WAVEKEYS_PRECISION Int8
#define WAVEKEYS_VARIANT avx512_int8
#include "decoder.inc"
