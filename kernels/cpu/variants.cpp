// The choice among the builds of the decoder, once a process.

#include <cstdlib>
#include <string>

#include "decode.h"
#include "variant.h"

namespace wavekeys {
namespace {

struct Choice {
  const char* instruction_set;
  const Variant* variants[4];  // by precision; null where the processor cannot
};

// The widest instruction set that this processor has, or WAVEKEYS_ISA=avx512|avx2|portable where that is less.
Choice choose() {
  const char* forced = std::getenv("WAVEKEYS_ISA");
  const std::string wanted = forced ? forced : "avx512";
#if defined(__x86_64__)
  const bool avx512 = __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512dq") &&
                      __builtin_cpu_supports("avx512vl") && __builtin_cpu_supports("avx512bw");
  if (avx512 && wanted == "avx512")
    return {"avx512",
            {&avx512_fp32, __builtin_cpu_supports("avx512bf16") ? &avx512_bf16 : nullptr,
             __builtin_cpu_supports("avx512vnni") ? &avx512_int8 : nullptr, nullptr}};
  const bool avx2 = __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma");
  if (avx2 && wanted != "portable") return {"avx2", {&avx2_fp32, nullptr, nullptr, &avx2_int16}};
#endif
  return {"portable", {&portable_fp32, nullptr, nullptr, nullptr}};
}

const Choice& choice() {
  static const Choice chosen = choose();
  return chosen;
}

}  // namespace

const Variant* variant(Precision precision) { return choice().variants[(int)precision]; }

bool supports(Precision precision) { return variant(precision) != nullptr; }

const char* instruction_set() { return choice().instruction_set; }

double peak(Precision precision, int64_t rounds) { return variant(precision)->peak(rounds); }

}  // namespace wavekeys
