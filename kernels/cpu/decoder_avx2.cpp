// The decoder for AVX2: 8 lanes.
#define WAVEKEYS_LANES 8
#define WAVEKEYS_DECODE decode_avx2
#define WAVEKEYS_PEAK peak_avx2
#include "decoder.inc"
