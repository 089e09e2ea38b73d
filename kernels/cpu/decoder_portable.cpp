// The decoder for any processor: four lanes, which every 128-bit unit has (SSE, NEON).
#define WAVEKEYS_LANES 4
#define WAVEKEYS_DECODE decode_portable
#define WAVEKEYS_PEAK peak_portable
#include "decoder.inc"
