// fp32 on AVX-512: 16 lanes.
#define WAVEKEYS_LANES 16
#define WAVEKEYS_PRECISION Fp32
#define WAVEKEYS_VARIANT avx512_fp32
#include "decoder.inc"
