// fp32 on AVX2 and FMA: 8 lanes.
#define WAVEKEYS_LANES 8
#define WAVEKEYS_PRECISION Fp32
#define WAVEKEYS_VARIANT avx2_fp32
#include "decoder.inc"
