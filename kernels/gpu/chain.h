// The kernel for live sizes: a chain of teams, each with some of the layers, whose weights stay in its own memory.
//
//     link 0            link 1                   last link
//     layers 0..3  -->  layers 4..7  --> ... --> layers, head, draw, first layer of the next sample
//        ^                                           |
//        +-------------------------------------------+
//
// What travels is a batch of voices: the next layer's input and the skips so far, through a mailbox in the device's
// memory, announced by a flag. While one batch is at one link, others are at others. When a batch has left, the link
// computes what the past adds to that batch's next sample, off the path that the sample waits for. A mailbox is written
// again only when its last message has gone round the chain, hence has been read.
#pragma once

#include "draw.h"

namespace wavekeys::gpu {

constexpr int kMaxLinks = 64;
constexpr int kMaxBatches = 64;
constexpr int kChainLanes = 4;  // threads that share a column: K is short, columns are many

struct ChainPlan {
  int links, chains, batches;  // batches of each chain, at most
  int first_layer[kMaxLinks + 1];
  int64_t shared_bytes;               // of a team
  int64_t scratch_words, flag_words;  // of the device's memory; its flags come first and are 0 when the kernel starts
};

template <class F, int kVoices>
class Chain {
 public:
  // `number` counts teams, chain after chain.
  WAVEKEYS_DEVICE Chain(const Team& team, const Problem& problem, const ChainPlan& plan, int number, float* shared,
                        uint32_t* scratch)
      : team_(team), problem_(problem), plan_(plan), chain_(number / plan.links), link_(number % plan.links) {
    flags_ = scratch;
    mail_ = reinterpret_cast<float*>(scratch + plan.flag_words);
    place(shared);
    for (int batch = 0; batch < plan.batches; ++batch) sounding_ |= (uint64_t)voices(batch).any_sounds() << batch;
  }

  // Bytes of a team's memory for so many layers, with the head or without.
  static WAVEKEYS_BOTH int64_t bytes(const Sizes& s, int layers, bool head, int batches) {
    const int64_t R = s.residual, S = s.skip;
    const int64_t activations = kVoices * (5 * R + 2 * S + s.outputs + 2 * kSegments);
    const int64_t voices = kVoices * batches * (layers * 2 * R + (head ? kHistory + S : 0));
    return 4 * (weight_words(s, layers, head) + activations + voices + beside_floats(s, layers, head));
  }
  static WAVEKEYS_BOTH int64_t weight_words(const Sizes& s, int layers, bool head) {
    const int64_t R = s.residual, S = s.skip, layer = words(s.residual, s.taps * 2 * s.residual + s.residual + s.skip);
    return layers * layer + (head ? words(s.skip, s.skip) + R * S + S * s.outputs : 0);
  }

  WAVEKEYS_DEVICE void run() {
    const bool first_sends = last();
    fetch();
    for (int batch = 0; batch < plan_.batches; ++batch) {
      if (!sounds(batch)) continue;
      if (first_sends) {
        voices(batch).recall(team_);
        begin(batch, 0);
      }
      look_ahead(batch, 0);
    }
    for (int t = 0; t < problem_.samples; ++t) {
      for (int batch = 0; batch < plan_.batches; ++batch) {
        if (!sounds(batch)) continue;
        receive(batch, t);
        for (int layer = first_layer(); layer < end_layer(); ++layer) run_layer(layer, batch, t);
        if (!last()) send(batch, link_ + 1, t);
        else {
          conclude(batch, t);
          if (t + 1 < problem_.samples) begin(batch, t + 1);
        }
        if (t + 1 < problem_.samples) look_ahead(batch, t + 1);
      }
    }
    for (int batch = 0; batch < plan_.batches && last(); ++batch)
      if (sounds(batch)) voices(batch).remember(team_);
  }

 private:
  WAVEKEYS_DEVICE int R() const { return problem_.sizes.residual; }
  WAVEKEYS_DEVICE int S() const { return problem_.sizes.skip; }
  WAVEKEYS_DEVICE bool last() const { return link_ == plan_.links - 1; }
  WAVEKEYS_DEVICE int first_layer() const { return plan_.first_layer[link_]; }
  WAVEKEYS_DEVICE int end_layer() const { return plan_.first_layer[link_ + 1]; }
  WAVEKEYS_DEVICE int first_voice(int batch) const { return (batch * plan_.chains + chain_) * kVoices; }
  WAVEKEYS_DEVICE Voices<kVoices> voices(int batch) const {
    return {problem_, first_voice(batch), rings_ + batch * kHistory * kVoices};
  }
  WAVEKEYS_DEVICE bool sounds(int batch) const { return sounding_ >> batch & 1; }
  WAVEKEYS_DEVICE int64_t mailbox(int batch, int link) const {
    return ((int64_t)chain_ * plan_.links + link) * plan_.batches + batch;
  }
  WAVEKEYS_DEVICE float* letter(int batch, int link) const {
    return mail_ + mailbox(batch, link) * (R() + S()) * kVoices;
  }
  WAVEKEYS_DEVICE float* known(int layer, int batch) const {
    return known_ + ((layer - first_layer()) * plan_.batches + batch) * 2 * R() * kVoices;
  }
  WAVEKEYS_DEVICE float* cache(int voice, int layer, int t, int distance) const {
    const Sizes& s = problem_.sizes;
    return problem_.cache +
           ((int64_t)voice * s.cache_offsets[s.layers] + s.row(problem_.first_rows, layer, t, distance)) * R();
  }

  // Scales and biases, of a layer and of all: every flag that is awaited empties L1, so they lie in the team's memory.
  static WAVEKEYS_BOTH int64_t scales_of_layer(const Sizes& s) {
    return F::kScaled ? s.taps * 2 * s.residual + s.residual + s.skip : 0;
  }
  static WAVEKEYS_BOTH int64_t beside_floats(const Sizes& s, int layers, bool head) {
    return layers * (scales_of_layer(s) + s.residual) + (head ? 2 * s.skip + s.outputs : 0);
  }

  WAVEKEYS_DEVICE void place(float* shared) {
    weights_ = reinterpret_cast<uint32_t*>(shared);
    shared += weight_words(problem_.sizes, end_layer() - first_layer(), last());
    const auto take = [&](int64_t count) { return shared += count, shared - count; };
    x_ = take(R() * kVoices), skips_ = take(S() * kVoices);
    gates_ = take(2 * R() * kVoices), gated_ = take(R() * kVoices), past_ = take(R() * kVoices);
    hidden_ = take(S() * kVoices), outputs_ = take(problem_.sizes.outputs * kVoices);
    segments_ = take(2 * kSegments * kVoices);
    known_ = take((int64_t)(end_layer() - first_layer()) * plan_.batches * 2 * R() * kVoices);
    rings_ = last() ? take(plan_.batches * kHistory * kVoices) : nullptr;
    head_known_ = last() ? take(plan_.batches * S() * kVoices) : nullptr;
    beside_ = take(beside_floats(problem_.sizes, end_layer() - first_layer(), last()));
  }

  // Columns in the team's memory, chunk by chunk and in each column by column: the threads of a warp then read from
  // different banks.
  template <class G>
  static WAVEKEYS_DEVICE Piece held(const uint32_t* words, const float* scale, int columns) {
    return {words, scale, G::kWords, G::kWords * columns};
  }
  static WAVEKEYS_BOTH int64_t words(int rows, int columns) { return (int64_t)rows / kChunk * columns * F::kWords; }

  struct Layer {
    Piece current, past, residual, skip;
    float* bias;  // of the residual
  };
  WAVEKEYS_DEVICE Layer held_layer(int layer) const {
    const int64_t scales = scales_of_layer(problem_.sizes);
    float* beside = beside_ + (layer - first_layer()) * (scales + R());
    const int taps = problem_.sizes.taps, gates = 2 * R(), past = (taps - 1) * gates;
    const uint32_t* from = weights_ + (layer - first_layer()) * words(R(), taps * gates + R() + S());
    const uint32_t *residual = from + words(R(), gates + past), *skip = residual + words(R(), R());
    return {held<F>(from, beside, gates), held<F>(from + words(R(), gates), beside + gates, past),
            held<F>(residual, beside + gates + past, R()), held<F>(skip, beside + gates + past + R(), S()),
            beside + scales};
  }

  struct Head {
    Piece out1, skip_start, logits;
    float *skip_bias, *logits_bias;
  };
  WAVEKEYS_DEVICE Head held_head() const {
    const int layers = end_layer() - first_layer();
    float* beside = beside_ + beside_floats(problem_.sizes, layers, false);
    const uint32_t* out1 = weights_ + layers * words(R(), problem_.sizes.taps * 2 * R() + R() + S());
    const uint32_t *skip_start = out1 + words(S(), S()), *logits = skip_start + R() * S();
    return {held<F>(out1, beside, S()), held<Fp32>(skip_start, nullptr, S()),
            held<Fp32>(logits, nullptr, problem_.sizes.outputs), beside + S(), beside + 2 * S()};
  }

  template <class G>
  WAVEKEYS_DEVICE void fetch(const Matrix& matrix, int rows, int64_t first_column, int columns, const Piece& to) const {
    const Piece from = columns_of<G>(matrix, rows, first_column);
    uint32_t* there = const_cast<uint32_t*>(to.words);
    team_.each(rows / kChunk * columns, [&](int i) {
      const int chunk = i % (rows / kChunk), column = i / (rows / kChunk);
      uint32_t chunk_words[G::kWords];
      load(from.words + column * from.column_stride + chunk * from.chunk_stride, chunk_words);
      for (int k = 0; k < G::kWords; ++k)
        there[column * to.column_stride + chunk * to.chunk_stride + k] = chunk_words[k];
    });
    if constexpr (G::kScaled) copy(from.scale, columns, const_cast<float*>(to.scale));
  }
  WAVEKEYS_DEVICE void copy(const float* from, int count, float* to) const {
    team_.each(count, [&](int i) { to[i] = from[i]; });
  }

  WAVEKEYS_DEVICE void fetch() const {
    const Weights& w = problem_.weights;
    const int past = (problem_.sizes.taps - 1) * 2 * R();
    for (int layer = first_layer(); layer < end_layer(); ++layer) {
      const Layer to = held_layer(layer);
      fetch<F>(w.current, R(), (int64_t)layer * 2 * R(), 2 * R(), to.current);
      fetch<F>(w.past, R(), (int64_t)layer * past, past, to.past);
      fetch<F>(w.residual, R(), (int64_t)layer * R(), R(), to.residual);
      fetch<F>(w.skip, R(), (int64_t)layer * S(), S(), to.skip);
      copy(w.residual_bias + layer * R(), R(), to.bias);
    }
    if (!last()) return;
    const Head head = held_head();
    fetch<F>(w.out1, S(), 0, S(), head.out1);
    fetch<Fp32>(w.skip_start, R(), 0, S(), head.skip_start);
    fetch<Fp32>(w.logits, S(), 0, problem_.sizes.outputs, head.logits);
    copy(w.skip_bias, S(), head.skip_bias);
    copy(w.logits_bias, problem_.sizes.outputs, head.logits_bias);
  }

  // What a batch's sample t needs and the samples before it already tell.
  WAVEKEYS_DEVICE void look_ahead(int batch, int t) {
    const Voices<kVoices> group = voices(batch);
    const Sizes& s = problem_.sizes;
    for (int layer = first_layer(); layer < end_layer(); ++layer) {
      float* to = known(layer, batch);
      const Layer from = held_layer(layer);
      team_.each(2 * R() * kVoices, [&](int i) {
        const int column = i / kVoices, v = i % kVoices;
        const int64_t row = ((int64_t)t * s.layers + layer) * problem_.voices + group.first + v;
        to[i] = group.there(v) ? problem_.ahead.gates[row * 2 * R() + column % 2 * R() + column / 2] : 0.0f;
      });
      for (int tap = 0; tap < s.taps - 1; ++tap) {
        const int distance = (s.taps - 1 - tap) * s.dilations[layer];
        team_.each(R() * kVoices, [&](int i) {
          const int r = i / kVoices, v = i % kVoices;
          const bool heard = group.there(v) && problem_.ahead.age[group.at(t, v)] >= distance;
          past_[i] = heard ? cache(group.first + v, layer, t, distance)[r] : 0.0f;
        });
        Piece columns = from.past;
        columns.words += tap * 2 * R() * columns.column_stride;
        columns.scale += tap * 2 * R();
        product<F, kChainLanes, kVoices>(team_, columns, R(), 2 * R(), past_, [&](int column, float(&sum)[kVoices]) {
          for (int v = 0; v < kVoices; ++v) to[column * kVoices + v] += sum[v];
        });
      }
    }
    if (!last()) return;
    float* to = head_known_ + batch * S() * kVoices;
    team_.each(S() * kVoices, [&](int i) {
      const int column = i / kVoices, v = i % kVoices;
      to[i] = group.there(v) ? problem_.ahead.out1[group.at(t, v) * S() + column] : 0.0f;
    });
  }

  WAVEKEYS_DEVICE void begin(int batch, int t) {
    voices(batch).enter(team_, t, x_);
    const Head head = held_head();
    product<Fp32, kChainLanes, kVoices>(team_, head.skip_start, R(), S(), x_, [&](int column, float(&sum)[kVoices]) {
      for (int v = 0; v < kVoices; ++v) skips_[column * kVoices + v] = sum[v] + head.skip_bias[column];
    });
    send(batch, 0, t);
  }

  WAVEKEYS_DEVICE void send(int batch, int link, int t) {
    float* to = letter(batch, link);
    const int border = R() * kVoices;
    team_.each((R() + S()) * kVoices, [&](int i) { to[i] = i < border ? x_[i] : skips_[i - border]; });
    team_.each(1, [&](int) { raise(flags_ + mailbox(batch, link), (uint32_t)t + 1); });
  }

  WAVEKEYS_DEVICE void receive(int batch, int t) {
    team_.each(1, [&](int) { await(flags_ + mailbox(batch, link_), (uint32_t)t + 1); });
    const float* from = letter(batch, link_);
    const int border = R() * kVoices;
    team_.each((R() + S()) * kVoices, [&](int i) { (i < border ? x_[i] : skips_[i - border]) = from[i]; });
  }

  WAVEKEYS_DEVICE void run_layer(int layer, int batch, int t) {
    const Voices<kVoices> group = voices(batch);
    const Layer from = held_layer(layer);
    const float* ahead = known(layer, batch);
    product<F, kChainLanes, kVoices>(team_, from.current, R(), 2 * R(), x_, [&](int column, float(&sum)[kVoices]) {
      for (int v = 0; v < kVoices; ++v) gates_[column * kVoices + v] = sum[v] + ahead[column * kVoices + v];
    });
    team_.each(R() * kVoices, [&](int i) {
      const int r = i / kVoices, v = i % kVoices;
      gated_[i] = gate(gates_[2 * r * kVoices + v], gates_[(2 * r + 1) * kVoices + v]);
      if (group.there(v)) cache(group.first + v, layer, t, 0)[r] = x_[i];
    });
    // Residual and skip are one product: a column of the one is followed by those of the other.
    team_.template sums<kChainLanes, kVoices>(
        R() + S(), R() / kChunk,
        [&](int column, int chunk, float(&sum)[kVoices]) {
          if (column < R()) multiply<F>(from.residual, column, chunk, R() / kChunk, gated_, sum);
          else multiply<F>(from.skip, column - R(), chunk, R() / kChunk, gated_, sum);
        },
        [&](int column, float(&sum)[kVoices]) {
          for (int v = 0; v < kVoices; ++v) {
            if (column < R())
              x_[column * kVoices + v] += scaled<F>(sum[v], from.residual.scale, column) + from.bias[column];
            else skips_[(column - R()) * kVoices + v] += scaled<F>(sum[v], from.skip.scale, column - R());
          }
        });
  }

  WAVEKEYS_DEVICE void conclude(int batch, int t) {
    const float* ahead = head_known_ + batch * S() * kVoices;
    team_.each(S() * kVoices, [&](int i) { skips_[i] = relu(skips_[i]); });
    const Head head = held_head();
    product<F, kChainLanes, kVoices>(team_, head.out1, S(), S(), skips_, [&](int column, float(&sum)[kVoices]) {
      for (int v = 0; v < kVoices; ++v) hidden_[column * kVoices + v] = relu(sum[v] + ahead[column * kVoices + v]);
    });
    product<Fp32, kChainLanes, kVoices>(team_, head.logits, S(), problem_.sizes.outputs, hidden_,
                                        [&](int column, float(&sum)[kVoices]) {
                                          for (int v = 0; v < kVoices; ++v)
                                            outputs_[column * kVoices + v] = sum[v] + head.logits_bias[column];
                                        });
    voices(batch).draw(team_, t, outputs_, segments_, true);
  }

  const Team& team_;
  const Problem& problem_;
  const ChainPlan& plan_;
  const int chain_, link_;
  uint64_t sounding_ = 0;  // a bit for each batch
  uint32_t* flags_;        // a mailbox each
  float* mail_;            // a letter each: [R + S, kVoices]
  uint32_t* weights_;      // the team's own: its layers, then with the last link the head
  float *x_, *skips_, *gates_, *gated_, *past_, *hidden_, *outputs_, *segments_;
  float* known_;  // [layers, batches, 2R, kVoices]: all of the next sample's gates but for the current input's share
  float* rings_;  // [batches, kHistory, kVoices]
  float* head_known_;  // [batches, S, kVoices]
  float* beside_;      // scales and biases, as weights_
};

}  // namespace wavekeys::gpu
