// The decoder for AVX512: 16 lanes.
#define WAVEKEYS_LANES 16
#define WAVEKEYS_DECODE decode_avx512
#define WAVEKEYS_PEAK peak_avx512
#include "decoder.inc"
