// bfloat16 weights and activations, sums in fp32 by AMX, the rest on AVX-512: 16 lanes.
#define WAVEKEYS_LANES 16
#define WAVEKEYS_AMX
#define WAVEKEYS_PRECISION Bf16Amx
#define WAVEKEYS_VARIANT amx_bf16
#include "decoder.inc"
