// bfloat16 weights on AVX2 and FMA, widened where they are read, the rest in fp32: 8 lanes.
#define WAVEKEYS_LANES 8
#define WAVEKEYS_PRECISION Bf16
#define WAVEKEYS_VARIANT avx2_bf16
#include "decoder.inc"
