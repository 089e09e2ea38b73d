// bfloat16 weights on AVX-512, widened where they are read, the rest in fp32: 16 lanes.
#define WAVEKEYS_LANES 16
#define WAVEKEYS_PRECISION Bf16
#define WAVEKEYS_VARIANT avx512_bf16
#include "decoder.inc"
