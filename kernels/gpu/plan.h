// Which kernel a problem gets, and how it is laid over a GPU's processors. On the host.
#pragma once

#include "chain.h"
#include "grid.h"
#include "launch.h"

namespace wavekeys::gpu {

constexpr int kReach = 16;      // samples whose past is multiplied at once: enough that its weights cost little
constexpr int kMaxTeams = 512;  // of the grid, each with a flag that all others watch

// The shortest chain whose links can hold their weights; false where the processors or their memory do not suffice.
template <class F, int kVoices>
bool plan_chain(const Sizes& s, int voices, const Device& device, ChainPlan& plan) {
  const int all = (voices + kVoices - 1) / kVoices;
  for (plan.links = 1; plan.links <= s.layers && plan.links <= kMaxLinks && plan.links <= device.teams; ++plan.links) {
    plan.chains = device.teams / plan.links < all ? device.teams / plan.links : all;
    plan.batches = (all + plan.chains - 1) / plan.chains;
    if (plan.batches > kMaxBatches) continue;
    const auto bytes = [&](int layers, bool head) { return Chain<F, kVoices>::bytes(s, layers, head, plan.batches); };
    // The last link has the head too, hence as few layers as the others let it.
    const int others = plan.links - 1;
    int each = 0, last = s.layers;
    if (others) {
      while (each < s.layers && bytes(each + 1, false) <= device.shared_bytes) ++each;
      last = s.layers - each * others;
      if (last < 1) last = 1;
    }
    const int most = others ? (s.layers - last + others - 1) / others : 0;
    if (last > s.layers - others || bytes(last, true) > device.shared_bytes || most > each) continue;
    for (int link = 0; link < plan.links; ++link)
      plan.first_layer[link] = others ? (int)((int64_t)(s.layers - last) * link / others) : 0;
    plan.first_layer[plan.links] = s.layers;
    plan.shared_bytes = bytes(last, true);
    if (others && bytes(most, false) > plan.shared_bytes) plan.shared_bytes = bytes(most, false);
    const int64_t mailboxes = (int64_t)plan.chains * plan.links * plan.batches;
    plan.flag_words = (mailboxes + 31) / 32 * 32;
    plan.scratch_words = plan.flag_words + mailboxes * (s.residual + s.skip) * kVoices;
    return true;
  }
  return false;
}

// All teams, or as many as there are channels; as many layers' weights held as fit.
template <class F, int kVoices>
bool plan_grid(const Sizes& s, int voices, const Device& device, GridPlan& plan) {
  const int most = s.residual < kMaxTeams ? s.residual : kMaxTeams;
  // Shares of equal size: a team with a channel more would make all others wait.
  plan.teams = device.teams < most ? device.teams : most;
  plan.teams = s.residual / ((s.residual + plan.teams - 1) / plan.teams);
  plan.batches = (voices + kVoices - 1) / kVoices;
  plan.reach = kReach;
  const int64_t activations = Grid<F, kVoices>::activation_bytes(s, plan);
  const int64_t layer = Grid<F, kVoices>::layer_bytes(s, plan.teams), room = device.shared_bytes - activations;
  if (room < 0) return false;
  plan.resident_layers = room / layer < s.layers ? (int)(room / layer) : s.layers;
  plan.shared_bytes = activations + plan.resident_layers * layer;
  plan.flag_words = Grid<F, kVoices>::flag_words(plan.teams);
  plan.scratch_words = Grid<F, kVoices>::scratch_words(s, plan);
  return true;
}

// Plans a problem and starts it: start.template chain<F, kVoices>(plan) or grid. Returns what is wrong, or null.
template <class F, int kVoices, class Start>
const char* plan_and_start(const Problem& problem, Kernel kernel, const Device& device, const Start& start) {
  ChainPlan chain{};
  if (kernel != Kernel::kGrid && plan_chain<F, kVoices>(problem.sizes, problem.voices, device, chain))
    return start.template chain<F, kVoices>(chain);
  if (kernel == Kernel::kChain) return "the GPU has too few processors, or too little memory in each, for a chain";
  GridPlan grid{};
  if (plan_grid<F, kVoices>(problem.sizes, problem.voices, device, grid)) return start.template grid<F, kVoices>(grid);
  return "too many voices for the memory of the GPU's processors";
}

template <class Start>
const char* decode(const Problem& problem, Format format, Kernel kernel, const Device& device, const Start& start) {
  const auto with = [&](auto of_format) {
    using F = decltype(of_format);
    return problem.voices == 1 ? plan_and_start<F, 1>(problem, kernel, device, start)
                               : plan_and_start<F, 4>(problem, kernel, device, start);
  };
  switch (format) {
    case Format::kFp32:
      return with(Fp32{});
    case Format::kBf16:
      return with(Bf16{});
    default:
      return with(Int8{});
  }
}

}  // namespace wavekeys::gpu
