// Both GPU kernels on a random problem, a thread for each team, to be run under ThreadSanitizer; they must agree,
// though they add in different orders and one has a residual less between two layers. `test_gpu.py` builds and runs it.
//
//   races         runs a chain of several links and a grid of several teams; prints the worst difference of outputs
//   races plan    prints how the sizes given on stdin are laid over a GPU

#include <cmath>
#include <cstdio>
#include <cstring>
#include <random>
#include <vector>

#include "plan.h"

namespace {

using namespace wavekeys::gpu;

constexpr int kVoices = 6, kSamples = 20, kAll = kVoices * kSamples;

Sizes sizes() {
  Sizes s{3, 3, 16, 32, 12, 3, 4, 5, {1, 2, 4}, {}};
  for (int i = 0; i < s.layers; ++i) s.cache_offsets[i + 1] = s.cache_offsets[i] + s.length(i);
  return s;
}

// Arrays that live as long as the program.
class Random {
 public:
  float* floats(int count, float scale) {
    std::normal_distribution<float> normal(0.0f, scale);
    auto& array = *new std::vector<float>((size_t)count);
    for (float& value : array) value = normal(engine_);
    return array.data();
  }
  Matrix matrix(int matrices, int rows, int columns) {
    auto* ones = new std::vector<float>((size_t)(matrices * columns), 1.0f);
    const float* weights = floats(matrices * rows * columns, 1.0f / std::sqrt((float)rows));
    auto* words = new std::vector<uint32_t>((size_t)(matrices * rows * columns));
    std::memcpy(words->data(), weights, words->size() * sizeof(uint32_t));
    return {words->data(), ones->data()};
  }

 private:
  std::mt19937 engine_{1};
};

// Where the weight of a row lies; see `Matrix`.
int place(int rows, int column, int row) {
  const int chunks = rows / kChunk;
  return column * rows + row % chunks * kChunk + row / chunks;
}

float weight(const Matrix& matrix, int rows, int column, int row) {
  return as_float(matrix.words[place(rows, column, row)]);
}

// The next layer's gates straight from the gates before.
void fuse(const Sizes& s, Weights& w, Random& random) {
  const int R = s.residual;
  w.fused = random.matrix(s.layers, R, 2 * R);
  auto* words = const_cast<uint32_t*>(w.fused.words);
  float* bias = random.floats(s.layers * 2 * R, 0.0f);
  for (int layer = 1; layer < s.layers; ++layer)
    for (int column = layer * 2 * R; column < (layer + 1) * 2 * R; ++column)
      for (int row = 0; row <= R; ++row) {
        float sum = 0.0f;
        for (int k = 0; k < R; ++k) {
          const int channel = (layer - 1) * R + k;
          sum += (row < R ? weight(w.residual, R, channel, row) : w.residual_bias[channel]) *
                 weight(w.current, R, column, k);
        }
        if (row < R) std::memcpy(words + place(R, column, row), &sum, sizeof sum);
        else bias[column] = sum;
      }
  w.fused_bias = bias;
}

Problem problem() {
  Random random;
  Problem p{};
  const Sizes& s = p.sizes = sizes();
  const int R = s.residual, S = s.skip, L = s.layers, past = L * (s.taps - 1);
  Weights& w = p.weights;
  w = {random.floats(s.input_taps * R, 0.3f),
       random.matrix(1, R, S),
       random.matrix(L, R, 2 * R),
       random.matrix(past, R, 2 * R),
       random.matrix(L, R, R),
       random.floats(L * R, 0.1f),
       random.matrix(L, R, S),
       random.floats(S, 0.1f),
       random.matrix(1, S, S),
       random.matrix(1, S, s.outputs),
       random.floats(s.outputs, 0.1f),
       {},
       nullptr};
  fuse(s, w, random);
  auto *age = new std::vector<int32_t>(kAll), *sounding = new std::vector<int32_t>(kAll, 1);
  for (int i = 0; i < kAll; ++i) (*age)[(size_t)i] = i / kVoices;
  for (int i = 0; i < 5; ++i) (*sounding)[(size_t)(i * kVoices)] = 0;
  p.ahead = {age->data(),
             sounding->data(),
             random.floats(kAll * R, 0.3f),
             random.floats(kAll * L * 2 * R, 0.5f),
             random.floats(kAll * S, 0.5f),
             random.floats(kAll * s.prediction_order, 0.1f),
             random.floats(kAll * kScalars, 0.1f)};
  p.voices = kVoices, p.samples = kSamples;
  p.first_rows = new int32_t[kMaxLayers]{};
  p.forced = random.floats(kAll, 0.3f);
  return p;
}

std::vector<float> outputs(Problem p, Kernel kernel, const Device& device) {
  const Sizes& s = p.sizes;
  std::vector<float> cache((size_t)(kVoices * s.cache_offsets[s.layers] * s.residual)), recent(kVoices * kHistory);
  std::vector<float> value(kAll), outputs((size_t)(kAll * s.outputs)), prediction(kAll);
  p.cache = cache.data(), p.recent = recent.data(), p.value = value.data();
  p.outputs = outputs.data(), p.prediction = prediction.data();
  if (const char* wrong = launch(p, Format::kFp32, kernel, {nullptr, nullptr, device})) {
    std::fprintf(stderr, "%s\n", wrong);
    std::exit(1);
  }
  return outputs;
}

// How a problem would start, without starting it.
struct Print {
  template <class F, int kVoices>
  const char* chain(const ChainPlan& plan) const {
    std::printf("chain links %d chains %d bytes %lld\n", plan.links, plan.chains, (long long)plan.shared_bytes);
    return nullptr;
  }
  template <class F, int kVoices>
  const char* grid(const GridPlan& plan) const {
    std::printf("grid teams %d resident %d bytes %lld\n", plan.teams, plan.resident_layers,
                (long long)plan.shared_bytes);
    return nullptr;
  }
};

}  // namespace

int main(int count, char**) {
  if (count > 1) {
    Problem p{};
    Sizes& s = p.sizes;
    int format = 0;
    Device device{};
    while (std::scanf("%d %d %d %d %d %d %d %d %ld", &format, &s.layers, &s.taps, &s.residual, &s.skip, &s.outputs,
                      &p.voices, &device.teams, &device.shared_bytes) == 9) {
      const char* wrong = decode(p, (Format)format, Kernel::kAny, device, Print{});
      if (wrong) std::printf("%s\n", wrong);
    }
    return 0;
  }
  const Problem p = problem();
  const std::vector<float> chain = outputs(p, Kernel::kChain, {3, 26000}), grid = outputs(p, Kernel::kGrid, {4, 60000});
  float worst = 0.0f, largest = 0.0f;
  for (size_t i = 0; i < chain.size(); ++i) {
    const float difference = std::fabs(chain[i] - grid[i]);
    worst = difference <= worst || std::isnan(worst) ? worst : difference;
    largest = std::fmax(largest, std::fabs(chain[i]));
  }
  std::printf("worst difference %g of %g\n", (double)worst, (double)largest);
  return worst < 1e-5f * largest ? 0 : 1;
}
