// How the kernels' handlers read an XLA FFI call: numbers by their names, arrays one after the other, all of them
// checked. What disagrees first is `wrong`, and nothing that was read counts then. Where all agrees nothing is
// allocated.
#pragma once

#include <cstdint>
#include <string>

#include "xla/ffi/api/ffi.h"

namespace wavekeys {

class Reader {
 public:
  Reader(xla::ffi::Dictionary attributes, xla::ffi::RemainingArgs args) : attributes_(attributes), args_(args) {}

  void require(bool holds, const char* otherwise) {
    if (!holds) refuse(otherwise);
  }

  // An attribute from `least` to `most`.
  int64_t number(const char* name, int64_t least, int64_t most) {
    const auto value = attributes_.get<int64_t>(name);
    if (value.has_value() && least <= *value && *value <= most) return *value;
    refuse(quoted(name) + " must be from " + std::to_string(least) + " to " + std::to_string(most));
    return least;
  }

  // At most so many numbers in one, of which each is from 1 to `most`.
  xla::ffi::Span<const int64_t> numbers(const char* name, size_t count, int64_t most) {
    const auto values = attributes_.get<xla::ffi::Span<const int64_t>>(name);
    bool fits = values.has_value() && values->size() > 0 && values->size() <= count;
    for (size_t i = 0; fits && i < values->size(); ++i) fits = 1 <= (*values)[i] && (*values)[i] <= most;
    if (fits) return *values;
    refuse(quoted(name) + " must be 1 to " + std::to_string(count) + " numbers from 1 to " + std::to_string(most));
    return {nullptr, 0};
  }

  // The next argument, of so many elements.
  template <class T>
  const T* array(int64_t count, const char* name) {
    return static_cast<const T*>(elements(count, sizeof(T), name));
  }

  const void* elements(int64_t count, int64_t bytes, const char* name) {
    const auto buffer = args_.get<xla::ffi::AnyBuffer>(next_++);
    if (buffer.has_value() && (int64_t)buffer->element_count() == count &&
        (int64_t)buffer->size_bytes() == count * bytes)
      return buffer->untyped_data();
    refuse(quoted(name) + " disagrees with the sizes");
    return nullptr;
  }

  // A result, of so many elements.
  template <class Result>
  auto* result(Result& buffer, int64_t count, const char* name) {
    if ((int64_t)buffer->element_count() != count) refuse(quoted(name) + " disagrees with the sizes");
    return buffer->typed_data();
  }

  std::string wrong;

 private:
  void refuse(const std::string& why) {
    if (wrong.empty()) wrong = why;
  }

  static std::string quoted(const char* name) { return std::string("`") + name + "`"; }

  xla::ffi::Dictionary attributes_;
  xla::ffi::RemainingArgs args_;
  size_t next_ = 0;
};

}  // namespace wavekeys
