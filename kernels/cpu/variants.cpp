// The choice among the builds of the decoder, once a process.

#include <cstdlib>
#include <string>

#if defined(__x86_64__) && defined(__linux__)
#include <cpuid.h>
#include <sys/syscall.h>
#include <unistd.h>
#endif

#include "decode.h"
#include "variant.h"

namespace wavekeys {
namespace {

struct Choice {
  const char* instruction_set;
  Precision fastest;
  const Variant* variants[4];  // by precision; null where the processor cannot
};

#if defined(__x86_64__)
// Whether processor and system have AMX for bfloat16; Linux wants to be asked for the registers.
bool amx() {
#if defined(__linux__)
  constexpr unsigned kAll = 1u << 22 | 1u << 24;        // AMX-BF16, AMX-TILE
  constexpr int kAskForState = 0x1023, kTileData = 18;  // ARCH_REQ_XCOMP_PERM, XFEATURE_XTILEDATA
  unsigned a = 0, b = 0, c = 0, d = 0;
  return __get_cpuid_count(7, 0, &a, &b, &c, &d) && (d & kAll) == kAll &&
         syscall(SYS_arch_prctl, kAskForState, kTileData) == 0;
#else
  return false;
#endif
}
#endif

#if defined(__x86_64__)
bool has(const std::string& name) {
  const bool avx2 = __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma");
  const bool avx512 = avx2 && __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512dq") &&
                      __builtin_cpu_supports("avx512vl") && __builtin_cpu_supports("avx512bw");
  const bool pairs = avx512 && __builtin_cpu_supports("avx512bf16");
  if (name == "amx") return pairs && amx();
  if (name == "avx512bf16") return pairs;
  if (name == "avx512") return avx512;
  return name == "avx2" && avx2;
}
#endif

// The best instruction set that this processor has, or WAVEKEYS_ISA=amx|avx512bf16|avx512|avx2|portable where it has
// that. avx512bf16 is avx512 with bfloat16 in pairs, for processors that compute these as fast as they do fp32; amx is
// avx512 with matrix registers for bfloat16; bytes gain nothing from them (docs/kernel.md).
Choice choose() {
  Choice chosen{"portable", Precision::kFp32, {&portable_fp32, nullptr, nullptr, nullptr}};
#if defined(__x86_64__)
  const char* forced = std::getenv("WAVEKEYS_ISA");
  std::string taken = forced ? forced : "";
  if (taken == "portable") return chosen;
  for (const char* next : {__builtin_cpu_is("amd") ? "avx512bf16" : "amx", "avx512", "avx2"})
    if (!has(taken)) taken = next;
  if (!has(taken)) return chosen;
  chosen = {"avx2", Precision::kInt16, {&avx2_fp32, &avx2_bf16, &avx2_int8, &avx2_int16}};
  if (taken == "avx2") return chosen;
  chosen.instruction_set = taken == "amx" ? "amx" : taken == "avx512bf16" ? "avx512bf16" : "avx512";
  chosen.fastest = Precision::kBf16;
  chosen.variants[(int)Precision::kFp32] = &avx512_fp32;
  chosen.variants[(int)Precision::kBf16] = taken == "amx"          ? &amx_bf16
                                           : taken == "avx512bf16" ? &avx512_bf16_pairs
                                                                   : &avx512_bf16;
  if (__builtin_cpu_supports("avx512vnni")) {
    chosen.variants[(int)Precision::kInt8] = &avx512_int8;
    chosen.fastest = Precision::kInt8;
  }
#endif
  return chosen;
}

const Choice& choice() {
  static const Choice chosen = choose();
  return chosen;
}

}  // namespace

const Variant* variant(Precision precision) { return choice().variants[(int)precision]; }

bool supports(Precision precision) { return variant(precision) != nullptr; }

Precision fastest() { return choice().fastest; }

const char* instruction_set() { return choice().instruction_set; }

double peak(Precision precision, int64_t rounds) { return variant(precision)->peak(rounds); }

}  // namespace wavekeys
