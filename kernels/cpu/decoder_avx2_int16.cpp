// 16-bit weights and activations on AVX2, sums in 32 bits: 8 lanes, two rows of a matrix at once.
#define WAVEKEYS_LANES 8
#define WAVEKEYS_PRECISION Int16
#define WAVEKEYS_VARIANT avx2_int16
#include "decoder.inc"
