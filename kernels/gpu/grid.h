// The kernel for the paper's size: all teams work on every layer, each with some of its columns.
//
//   team i    gates of layer l, own channels --> mail, flag i            await all flags, take all channels' gates
//             input of layer l, own channels --> its ring in the cache   -------------------------------------------> l
//             + 1
//
// One exchange a layer: the next layer's gates come straight from this layer's, by weights that were multiplied ahead,
//     gates(l + 1) = past + x(l) current(l + 1) + gated(l) residual(l) current(l + 1)
// while x(l + 1) follows beside them and is wanted an exchange later. Skips and the past's share are computed behind
// the flag, while others are waited for; the past's for up to `reach` samples at once, so that its weights are read
// once for them. The head takes three exchanges; then every team draws the sample itself, and nobody needs to be told.
//
// Two slots of mail suffice: who writes exchange e + 2 has seen the flags of e + 1 of all, who had taken e by then.
#pragma once

#include "draw.h"

namespace wavekeys::gpu {

constexpr int kGridLanes = 32;  // threads that share a column: K is long, a team's columns are few
constexpr int kTile = 8;        // rows of the past that are multiplied together, at most

struct GridPlan {
  int teams, batches;
  int reach;            // samples whose past is multiplied at once, at most
  int resident_layers;  // whose weights the teams keep in their own memory; the others' come from the device's
  int64_t shared_bytes, scratch_words, flag_words;  // as in ChainPlan
};

template <class F, int kVoices>
class Grid {
 public:
  WAVEKEYS_DEVICE Grid(const Team& team, const Problem& problem, const GridPlan& plan, int number, float* shared,
                       uint32_t* scratch)
      : team_(team), problem_(problem), plan_(plan), number_(number), flags_(scratch) {
    const Sizes& s = problem.sizes;
    mail_ = reinterpret_cast<float*>(scratch + plan.flag_words);
    known_ = mail_ + 2 * slot(s, plan) + number * known_floats(s, plan);
    const auto take = [&](int64_t count) { return shared += count, shared - count; };
    weights_ = reinterpret_cast<uint32_t*>(take(plan.resident_layers * layer_bytes(s, plan.teams) / 4));
    rings_ = take(width() * kHistory);
    x_ = take(width() * R()), gated_ = take(width() * R());
    past_ = take(kTile * R());
    sums_ = take(width() * sums_of(s, plan.teams));
    own_x_ = take(width() * share(R())), own_skips_ = take(width() * share(S()));
    outputs_ = take(width() * longest(s));
    expected_ = take((2 * width() + 6) * share(R()));
    segments_ = take(2 * kSegments * kVoices);
  }

  static WAVEKEYS_BOTH int64_t flag_words(int teams) { return (teams + 31) / 32 * 32; }
  static WAVEKEYS_BOTH int64_t scratch_words(const Sizes& s, const GridPlan& plan) {
    return flag_words(plan.teams) + 2 * slot(s, plan) + plan.teams * known_floats(s, plan);
  }
  // Bytes of a team's memory without weights, and of one layer's weights.
  static WAVEKEYS_BOTH int64_t activation_bytes(const Sizes& s, const GridPlan& plan) {
    const int64_t channels = (s.residual + plan.teams - 1) / plan.teams;
    const int64_t own = sums_of(s, plan.teams) + (s.residual + s.skip) / plan.teams + 2 + 2 * channels;
    const int64_t of_voices = kHistory + 2 * s.residual + own + longest(s);
    return 4 * (plan.batches * kVoices * of_voices + kTile * s.residual + 6 * channels + 2 * kSegments * kVoices);
  }
  static WAVEKEYS_BOTH int64_t layer_bytes(const Sizes& s, int teams) {
    return 4 * (int64_t)((s.residual + teams - 1) / teams) * 5 * (s.residual / kChunk) * F::kWords;
  }

  WAVEKEYS_DEVICE void run() {
    const Sizes& s = problem_.sizes;
    fetch();
    for (int batch = 0; batch < plan_.batches; ++batch) voices(batch).recall(team_);
    for (int layer = 0; layer < s.layers; ++layer) look_ahead(layer, 0);
    expect(0, 0);
    // The first layer's input takes the place of the oldest in its ring, which all must have read.
    announce(1);
    await_all(1);
    for (int t = 0; t < problem_.samples; ++t) {
      begin(t);
      for (int layer = 0; layer < s.layers; ++layer) {
        if (layer + 1 < s.layers) expect(layer + 1, t);
        take(layer, t);
        if (layer + 1 < s.layers) run_layer(layer + 1, t);
        add_skips(layer);
        if (t + 1 < problem_.samples) look_ahead(layer, t + 1);
      }
      if (t + 1 < problem_.samples) expect(0, t + 1);
      conclude(t);
    }
    // Every team has a copy of what was drawn; the first one's is kept.
    for (int batch = 0; batch < plan_.batches && number_ == 0; ++batch) voices(batch).remember(team_);
  }

 private:
  WAVEKEYS_DEVICE int R() const { return problem_.sizes.residual; }
  WAVEKEYS_DEVICE int S() const { return problem_.sizes.skip; }
  WAVEKEYS_DEVICE int width() const { return plan_.batches * kVoices; }  // voices, idle ones included
  // A team's share of n columns: from first(n) on.
  WAVEKEYS_DEVICE int first(int n) const { return (int)((int64_t)n * number_ / plan_.teams); }
  WAVEKEYS_DEVICE int share(int n) const { return (int)((int64_t)n * (number_ + 1) / plan_.teams) - first(n); }
  static WAVEKEYS_BOTH int longest(const Sizes& s) { return s.skip > s.outputs ? s.skip : s.outputs; }
  static WAVEKEYS_BOTH int sums_of(const Sizes& s, int teams) {
    const int own = 5 * ((s.residual + teams - 1) / teams), head = (longest(s) + teams - 1) / teams;
    return own > head ? own : head;
  }
  static WAVEKEYS_BOTH int64_t slot(const Sizes& s, const GridPlan& plan) {
    const int64_t rows = s.residual > longest(s) ? s.residual : longest(s);
    return rows * plan.batches * kVoices;
  }
  static WAVEKEYS_BOTH int64_t known_floats(const Sizes& s, const GridPlan& plan) {
    const int64_t own = 2 * ((s.residual + plan.teams - 1) / plan.teams);
    return (int64_t)s.layers * plan.reach * plan.batches * kVoices * own;
  }

  WAVEKEYS_DEVICE Voices<kVoices> voices(int batch) const {
    return {problem_, batch * kVoices, rings_ + batch * kHistory * kVoices};
  }
  WAVEKEYS_DEVICE float* cache(int voice, int layer, int t, int distance) const {
    const Sizes& s = problem_.sizes;
    return problem_.cache +
           ((int64_t)voice * s.cache_offsets[s.layers] + s.row(problem_.first_rows, layer, t, distance)) * R();
  }
  WAVEKEYS_DEVICE int reach(int layer) const {
    const int dilation = problem_.sizes.dilations[layer];
    return dilation < plan_.reach ? dilation : plan_.reach;
  }
  // [width, own gates] of sample t.
  WAVEKEYS_DEVICE float* known(int layer, int t) const {
    return known_ + ((int64_t)layer * plan_.reach + t % reach(layer)) * width() * 2 * share(R());
  }

  // Of a layer: own columns of `current`, `fused` and `residual`.
  struct Layer {
    Piece current, fused, residual;
  };
  WAVEKEYS_DEVICE Layer layer_at(int layer) const {
    const Weights& w = problem_.weights;
    const int64_t gates = (int64_t)layer * 2 * R() + 2 * first(R()), channels = (int64_t)layer * R() + first(R());
    Layer there{columns_of<F>(w.current, R(), gates), columns_of<F>(w.fused, R(), gates),
                columns_of<F>(w.residual, R(), channels)};
    if (layer < plan_.resident_layers) {
      const int64_t column = R() / kChunk * F::kWords;
      const uint32_t* here = weights_ + layer * 5 * share(R()) * column;
      there.current.words = here;
      there.fused.words = here + 2 * share(R()) * column;
      there.residual.words = here + 4 * share(R()) * column;
    }
    return there;
  }

  WAVEKEYS_DEVICE void fetch() const {
    const int count = R() / kChunk * F::kWords;  // words of a column
    for (int layer = 0; layer < plan_.resident_layers; ++layer) {
      const Weights& w = problem_.weights;
      const int64_t gates = (int64_t)layer * 2 * R() + 2 * first(R()), channels = (int64_t)layer * R() + first(R());
      uint32_t* to = weights_ + (int64_t)layer * 5 * share(R()) * count;
      const int gate_words = 2 * share(R()) * count;
      team_.each(gate_words, [&](int i) { to[i] = w.current.words[gates * count + i]; });
      team_.each(gate_words, [&](int i) { to[gate_words + i] = w.fused.words[gates * count + i]; });
      team_.each(gate_words / 2, [&](int i) { to[2 * gate_words + i] = w.residual.words[channels * count + i]; });
    }
  }

  WAVEKEYS_DEVICE uint32_t exchange(int phase, int t) const {
    return (uint32_t)(t * (problem_.sizes.layers + 3) + phase + 2);  // 1: ready to begin
  }
  WAVEKEYS_DEVICE float* mail(uint32_t exchange) const { return mail_ + exchange % 2 * slot(problem_.sizes, plan_); }
  WAVEKEYS_DEVICE void announce(uint32_t exchange) const {
    team_.each(1, [&](int) { raise(flags_ + number_, exchange); });
  }
  WAVEKEYS_DEVICE void await_all(uint32_t exchange) const {
    team_.each(plan_.teams, [&](int i) { await(flags_ + i, exchange); });
  }

  WAVEKEYS_DEVICE float* expected_bias() const { return expected_ + 2 * share(R()) * width(); }
  WAVEKEYS_DEVICE float* expected_scales() const { return expected_bias() + share(R()); }

  // What a layer's own sums will be added to and scaled by, fetched while its flags are awaited: they empty L1.
  WAVEKEYS_DEVICE void expect(int layer, int t) const {
    const Weights& w = problem_.weights;
    const int own = share(R());
    const float *ahead = known(layer, t), *fused_bias = w.fused_bias + layer * 2 * R() + 2 * first(R());
    team_.each(2 * own * width(), [&](int i) { expected_[i] = ahead[i] + (layer ? fused_bias[i % (2 * own)] : 0.0f); });
    if (layer == 0) return;
    const Layer there = layer_at(layer);
    const Piece residual = layer_at(layer - 1).residual;
    const float* bias = w.residual_bias + (layer - 1) * R() + first(R());
    team_.each(5 * own, [&](int i) {
      if (i < own) expected_bias()[i] = bias[i];
      if constexpr (F::kScaled)
        expected_scales()[i] = i < 2 * own   ? there.current.scale[i]
                               : i < 4 * own ? there.fused.scale[i - 2 * own]
                                             : residual.scale[i - 4 * own];
    });
  }

  // From own sums of the current sample's gates (and with `fused` those of the layer before) to the mail.
  WAVEKEYS_DEVICE void publish(int layer, int t, bool fused) const {
    const int own = share(R()), columns = (fused ? 5 : 2) * own;
    float* to = mail(exchange(layer, t));
    team_.each(own * width(), [&](int i) {
      const int r = i / width(), v = i % width(), channel = first(R()) + r;
      const float* sum = sums_ + v * columns;
      float sides[2], x = own_x_[i];
      for (int side = 0; side < 2; ++side) {
        const int column = 2 * r + side;
        sides[side] = expected_[v * 2 * own + column] + sum[column];
        if (fused) sides[side] += sum[2 * own + column];
      }
      if (fused) own_x_[i] = x += sum[4 * own + r] + expected_bias()[r];
      to[channel * width() + v] = gate(sides[0], sides[1]);
      if (v < problem_.voices) cache(v, layer, t, 0)[channel] = x;
    });
    announce(exchange(layer, t));
  }

  // The first layer's input, by every team for itself; then its gates.
  WAVEKEYS_DEVICE void begin(int t) const {
    const int own = share(R());
    const Piece skip_start = columns_of<Fp32>(problem_.weights.skip_start, R(), first(S()));
    const Piece current = layer_at(0).current;
    for (int batch = 0; batch < plan_.batches; ++batch) {
      float* x = x_ + batch * R() * kVoices;
      voices(batch).enter(team_, t, x);
      product<F, kGridLanes, kVoices>(team_, current, R(), 2 * own, x, [&](int column, float(&sum)[kVoices]) {
        for (int v = 0; v < kVoices; ++v) sums_[(batch * kVoices + v) * 2 * own + column] = sum[v];
      });
    }
    team_.each(own * width(), [&](int i) {
      const int r = i / width(), v = i % width();
      own_x_[i] = x_[(v / kVoices * R() + first(R()) + r) * kVoices + v % kVoices];
    });
    publish(0, t, false);
    for (int batch = 0; batch < plan_.batches; ++batch)
      product<Fp32, kGridLanes, kVoices>(team_, skip_start, R(), share(S()), x_ + batch * R() * kVoices,
                                         [&](int column, float(&sum)[kVoices]) {
                                           for (int v = 0; v < kVoices; ++v)
                                             own_skips_[column * width() + batch * kVoices + v] =
                                                 sum[v] + problem_.weights.skip_bias[first(S()) + column];
                                         });
  }

  // Rows of an exchange, from all teams, into `to` [batches, rows, kVoices].
  WAVEKEYS_DEVICE void collect(uint32_t exchange, int rows, float* to) const {
    await_all(exchange);
    const float* from = mail(exchange);
    team_.each(rows * width(), [&](int i) {
      const int row = i / width(), v = i % width();
      to[(v / kVoices * rows + row) * kVoices + v % kVoices] = from[i];
    });
  }

  // All channels' gates and inputs of a layer; the first layer's input everybody computed.
  WAVEKEYS_DEVICE void take(int layer, int t) const {
    await_all(exchange(layer, t));
    const float* from = mail(exchange(layer, t));
    team_.each(R() * width(), [&](int i) {
      const int r = i / width(), v = i % width(), to = (v / kVoices * R() + r) * kVoices + v % kVoices;
      gated_[to] = from[i];
      if (layer) x_[to] = v < problem_.voices ? cache(v, layer, t, 0)[r] : 0.0f;
    });
  }

  // A layer's own gates and own input, from all of the layer before.
  WAVEKEYS_DEVICE void run_layer(int layer, int t) const {
    const int own = share(R());
    const Piece current = layer_at(layer).current, fused = layer_at(layer).fused;
    const Piece residual = layer_at(layer - 1).residual;
    for (int batch = 0; batch < plan_.batches; ++batch) {
      const float *x = x_ + batch * R() * kVoices, *gated = gated_ + batch * R() * kVoices;
      team_.template sums<kGridLanes, kVoices>(
          5 * own, R() / kChunk,
          [&](int column, int chunk, float(&sum)[kVoices]) {
            const int chunks = R() / kChunk;
            if (column < 2 * own) multiply<F>(current, column, chunk, chunks, x, sum);
            else if (column < 4 * own) multiply<F>(fused, column - 2 * own, chunk, chunks, gated, sum);
            else multiply<F>(residual, column - 4 * own, chunk, chunks, gated, sum);
          },
          [&](int column, float(&sum)[kVoices]) {
            for (int v = 0; v < kVoices; ++v)
              sums_[(batch * kVoices + v) * 5 * own + column] = scaled<F>(sum[v], expected_scales(), column);
          });
    }
    publish(layer, t, true);
  }

  WAVEKEYS_DEVICE void add_skips(int layer) const {
    const Piece skip = columns_of<F>(problem_.weights.skip, R(), (int64_t)layer * S() + first(S()));
    for (int batch = 0; batch < plan_.batches; ++batch)
      product<F, kGridLanes, kVoices>(team_, skip, R(), share(S()), gated_ + batch * R() * kVoices,
                                      [&](int column, float(&sum)[kVoices]) {
                                        for (int v = 0; v < kVoices; ++v)
                                          own_skips_[column * width() + batch * kVoices + v] += sum[v];
                                      });
  }

  // The conditioning and the past's share of a layer's own gates, from sample t on for as many as its dilation lets be
  // known.
  WAVEKEYS_DEVICE void look_ahead(int layer, int t) const {
    if (t % reach(layer)) return;
    const Sizes& s = problem_.sizes;
    const int own = 2 * share(R()), voices = problem_.voices;
    const int samples = reach(layer) < problem_.samples - t ? reach(layer) : problem_.samples - t;
    team_.each(samples * width() * own, [&](int i) {
      const int column = 2 * first(R()) + i % own, v = i / own % width(), j = i / own / width();
      const int64_t row = ((int64_t)(t + j) * s.layers + layer) * voices + v;
      const float* from = problem_.ahead.gates + row * 2 * R();
      known(layer, t + j)[v * own + i % own] = v < voices ? from[column % 2 * R() + column / 2] : 0.0f;
    });
    const int rows = samples * voices;
    for (int tap = 0; tap < s.taps - 1; ++tap)
      for (int start = 0; start < rows; start += kTile) {
        if (rows - start == 1) add_past<1>(layer, tap, t, start, rows);
        else if (rows - start <= 4) add_past<4>(layer, tap, t, start, rows);
        else add_past<kTile>(layer, tap, t, start, rows);
      }
  }

  // One tap's share of kWidth rows from `start` on, of `rows`: all voices' of sample t, then of the next.
  template <int kWidth>
  WAVEKEYS_DEVICE void add_past(int layer, int tap, int t, int start, int rows) const {
    constexpr int kTogether = kPlane<kWidth>;
    const Sizes& s = problem_.sizes;
    const int own = 2 * share(R()), voices = problem_.voices, distance = (s.taps - 1 - tap) * s.dilations[layer];
    const Piece piece =
        columns_of<F>(problem_.weights.past, R(), ((int64_t)layer * (s.taps - 1) + tap) * 2 * R() + 2 * first(R()));
    team_.each(kWidth * R(), [&](int i) {
      const int r = i / kTogether % R(), row = start + i / (kTogether * R()) * kTogether + i % kTogether;
      const int sample = t + row / voices, v = row % voices;
      const bool heard = row < rows && problem_.ahead.age[sample * voices + v] >= distance;
      past_[i] = heard ? cache(v, layer, sample, distance)[r] : 0.0f;
    });
    product<F, kGridLanes, kWidth>(team_, piece, R(), own, past_, [&](int column, float(&sum)[kWidth]) {
      for (int k = 0; k < kWidth && start + k < rows; ++k)
        known(layer, t + (start + k) / voices)[(start + k) % voices * own + column] += sum[k];
    });
  }

  // The head: own columns of each of its layers, an exchange before each, and the draw by every team.
  WAVEKEYS_DEVICE void conclude(int t) const {
    const Sizes& s = problem_.sizes;
    const Weights& w = problem_.weights;
    const uint32_t first_exchange = exchange(s.layers, t);
    float* to = mail(first_exchange);
    team_.each(share(S()) * width(), [&](int i) { to[first(S()) * width() + i] = relu(own_skips_[i]); });
    announce(first_exchange);
    head_layer<F>(first_exchange, columns_of<F>(w.out1, S(), first(S())), S(), [&](int column, int v, float sum) {
      const int64_t row = (int64_t)t * problem_.voices + v;
      return v < problem_.voices ? relu(sum + problem_.ahead.out1[row * S() + column]) : 0.0f;
    });
    head_layer<Fp32>(first_exchange + 1, columns_of<Fp32>(w.logits, S(), first(s.outputs)), s.outputs,
                     [&](int column, int, float sum) { return sum + w.logits_bias[column]; });
    collect(first_exchange + 2, s.outputs, outputs_);
    for (int batch = 0; batch < plan_.batches; ++batch)
      voices(batch).draw(team_, t, outputs_ + batch * s.outputs * kVoices, segments_, number_ == 0);
  }

  template <class G, class Finish>
  WAVEKEYS_DEVICE void head_layer(uint32_t exchange, const Piece& piece, int columns, Finish finish) const {
    collect(exchange, S(), outputs_);
    float* to = mail(exchange + 1);
    for (int batch = 0; batch < plan_.batches; ++batch)
      product<G, kGridLanes, kVoices>(team_, piece, S(), share(columns), outputs_ + batch * S() * kVoices,
                                      [&](int column, float(&sum)[kVoices]) {
                                        for (int k = 0; k < kVoices; ++k) {
                                          const int row = first(columns) + column, v = batch * kVoices + k;
                                          to[row * width() + v] = finish(row, v, sum[k]);
                                        }
                                      });
    announce(exchange + 1);
  }

  const Team& team_;
  const Problem& problem_;
  const GridPlan& plan_;
  const int number_;
  uint32_t* flags_;    // one a team: the last exchange that it has written
  float* mail_;        // two slots
  float* known_;       // [layers, reach, width, own gates], this team's
  uint32_t* weights_;  // [resident layers, 5 * own channels, R]
  float *rings_, *x_, *gated_, *past_, *sums_, *own_x_, *own_skips_, *outputs_, *segments_;
  float* expected_;  // [width, own gates], own biases of the layer before, scales of the columns of both
};

}  // namespace wavekeys::gpu
