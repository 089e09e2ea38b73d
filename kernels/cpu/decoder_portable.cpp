// fp32 on any processor: four lanes, which every 128-bit unit has (SSE, NEON).
#define WAVEKEYS_LANES 4
#define WAVEKEYS_PRECISION Fp32
#define WAVEKEYS_VARIANT portable_fp32
#include "decoder.inc"
