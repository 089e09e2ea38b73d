// bfloat16 weights and activations on AVX2 and FMA, sums in fp32: 8 lanes, two rows of a matrix at once.
#define WAVEKEYS_LANES 8
#define WAVEKEYS_PRECISION Bf16
#define WAVEKEYS_VARIANT avx2_bf16
#include "decoder.inc"
