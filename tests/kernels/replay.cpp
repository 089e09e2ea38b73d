// Replays a recorded problem through the decoder, without Python or XLA: for sanitizers, emulators and a malloc hook.
// `tests/kernels/test_replay.py` records, builds and runs it.
//
//   replay FILE            scores the recorded samples in blocks and compares with the reference's outputs
//   replay FILE allocate   plays blocks and counts allocations, then allocates on purpose and counts that
//   replay FILE idle       plays, rests for 300 ms and prints the processor time that the rest cost, in ms
//
// Prints one line; the test reads it.

#include <time.h>

#include <atomic>
#include <chrono>
#include <cmath>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <string>
#include <thread>
#include <vector>

#include "decode.h"

#if defined(WAVEKEYS_MALLOC_HOOK)
static std::atomic<long> allocations{0};
extern "C" {
void* __libc_malloc(size_t size);
void* __libc_memalign(size_t alignment, size_t size);
void* __libc_calloc(size_t count, size_t size);
void* __libc_realloc(void* old, size_t size);
void* malloc(size_t size) { return ++allocations, __libc_malloc(size); }
void* calloc(size_t count, size_t size) { return ++allocations, __libc_calloc(count, size); }
void* realloc(void* old, size_t size) { return ++allocations, __libc_realloc(old, size); }
void* aligned_alloc(size_t alignment, size_t size) { return ++allocations, __libc_memalign(alignment, size); }
int posix_memalign(void** to, size_t alignment, size_t size) {
  ++allocations;
  *to = __libc_memalign(alignment, size);
  return *to ? 0 : 12;
}
}
#endif

namespace {

using namespace wavekeys;

// The file: arrays one after the other, each as its size in bytes (int64) and its bytes.
class Recording {
 public:
  explicit Recording(const char* path) : file_(path, std::ios::binary) {}

  template <class T>
  T* array() {
    int64_t bytes = 0;
    file_.read(reinterpret_cast<char*>(&bytes), sizeof bytes);
    if (!file_ || bytes == 0) return nullptr;
    // Each array by itself and of exact size, so that a sanitizer sees the first byte beyond it.
    char* data = static_cast<char*>(std::aligned_alloc(64, (size_t)((bytes + 63) / 64 * 64)));
    file_.read(data, bytes);
    arrays_.push_back(data);
    return reinterpret_cast<T*>(data);
  }

  ~Recording() {
    for (char* data : arrays_) std::free(data);
  }

 private:
  std::ifstream file_;
  std::vector<char*> arrays_;
};

Matrix matrix(Recording& from, bool scaled) {
  Matrix read{};
  read.words = from.array<Word>();
  if (scaled) read.scale = from.array<float>(), read.offset = from.array<int32_t>();
  return read;
}

Problem read(Recording& from) {
  Problem p{};
  const int64_t* numbers = from.array<int64_t>();
  p.weights.precision = (Precision)*numbers++;
  p.block.voices = *numbers++;
  p.block.samples = *numbers++;
  p.block.frames = *numbers++;
  Sizes& s = p.sizes;
  for (int64_t* field : {&s.layers, &s.taps, &s.residual, &s.skip, &s.outputs, &s.padded_outputs, &s.input_taps,
                         &s.clock_harmonics, &s.hop, &s.smooth, &s.mixtures, &s.prediction_order, &s.harmonics})
    *field = *numbers++;
  for (int64_t i = 0; i < s.layers; ++i) {
    s.dilations[i] = *numbers++;
    s.cache_offsets[i + 1] = s.cache_offsets[i] + (s.taps - 1) * s.dilations[i];
  }
  Weights& w = p.weights;
  w.start = matrix(from, false);
  w.start_bias = from.array<float>();
  w.skip_start = matrix(from, false);
  w.layers = matrix(from, true);
  w.past = matrix(from, true);
  w.residual_bias = from.array<float>();
  w.skip = matrix(from, true);
  w.skip_bias = from.array<float>();
  w.out1 = matrix(from, true);
  w.logits = matrix(from, false);
  w.logits_bias = from.array<float>();
  p.block.conditioning = from.array<float>();
  p.block.position = from.array<int32_t>();
  p.block.clock = from.array<uint32_t>();
  p.block.begin = from.array<int32_t>();
  p.block.fresh = from.array<int32_t>();
  p.block.seed = from.array<uint32_t>();
  p.block.temperature = from.array<float>();
  p.block.forced = from.array<float>();
  return p;
}

// A problem's state and results, in memory of exact size.
struct Memory {
  std::vector<float> cache, history, audio, outputs, prediction;
  std::vector<uint32_t> strayed, age;

  explicit Memory(const Problem& p)
      : cache((size_t)(p.block.voices * p.sizes.cache_offsets[p.sizes.layers] * p.sizes.residual)),
        history((size_t)(p.block.voices * kHistory)),
        audio((size_t)(p.block.voices * p.block.samples)),
        outputs((size_t)(p.block.voices * p.block.samples * p.sizes.outputs)),
        prediction((size_t)(p.block.voices * p.block.samples)),
        strayed((size_t)(p.block.voices * p.sizes.harmonics)),
        age((size_t)p.block.voices) {}

  void attach(Problem& p) {
    p.state = {cache.data(), history.data(), strayed.data(), age.data(), 0};
    p.result = {audio.data(), outputs.data(), prediction.data()};
  }
};

int score(Problem p, const float* expected, float tolerance) {
  Memory memory(p);
  memory.attach(p);
  decode(p);
  float worst = 0.0f;
  for (size_t i = 0; i < memory.outputs.size() && !std::isnan(worst); ++i) {
    const float error = std::fabs(memory.outputs[i] - expected[i]);
    if (!(error <= worst)) worst = error;
  }
  std::printf("%s: worst error %g, allowed %g\n", instruction_set(), (double)worst, (double)tolerance);
  return worst <= tolerance ? 0 : 1;
}

void play(Problem& p, int blocks) {
  p.block.forced = nullptr;
  p.result.outputs = p.result.prediction = nullptr;
  for (int i = 0; i < blocks; ++i) {
    decode(p);
    p.state.step += (uint32_t)p.block.samples;
  }
}

int allocate(Problem p) {
#if defined(WAVEKEYS_MALLOC_HOOK)
  Memory memory(p);
  memory.attach(p);
  play(p, 3);
  const long warm = allocations;
  play(p, 50);
  const long playing = allocations - warm;
  std::free(std::malloc(1000));
  std::vector<char>* volatile control = new std::vector<char>(100);
  delete control;
  const long on_purpose = allocations - warm - playing;
  std::printf("%ld allocations in 50 blocks, %ld on purpose\n", playing, on_purpose);
  return playing == 0 && on_purpose >= 3 ? 0 : 1;
#else
  (void)p;
  std::printf("built without the hook\n");
  return 2;
#endif
}

int idle(Problem p) {
  Memory memory(p);
  memory.attach(p);
  play(p, 10);
  std::this_thread::sleep_for(std::chrono::milliseconds(20));
  timespec before{}, after{};
  clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &before);
  std::this_thread::sleep_for(std::chrono::milliseconds(300));
  clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &after);
  const double ms = 1e3 * (double)(after.tv_sec - before.tv_sec) + 1e-6 * (double)(after.tv_nsec - before.tv_nsec);
  std::printf("%.3f ms of processor time in 300 ms of rest\n", ms);
  return ms < 30.0 ? 0 : 1;
}

}  // namespace

int main(int count, char** arguments) {
  if (count < 2) return 2;
  Recording recording(arguments[1]);
  const Problem problem = read(recording);
  const float* expected = recording.array<float>();
  const float* tolerance = recording.array<float>();
  if (!supports(problem.weights.precision)) {
    std::printf("not supported here\n");
    return 3;
  }
  const std::string mode = count > 2 ? arguments[2] : "score";
  if (mode == "allocate") return allocate(problem);
  if (mode == "idle") return idle(problem);
  return score(problem, expected, *tolerance);
}
