// bfloat16 weights and activations on AVX512-BF16, sums in fp32: 16 lanes, two rows of a matrix at once.
#define WAVEKEYS_LANES 16
#define WAVEKEYS_PRECISION Bf16Pairs
#define WAVEKEYS_VARIANT avx512_bf16_pairs
#include "decoder.inc"
