// Per-thread capture of libbpf's messages.
#include "log.h"

#include <bpf/libbpf.h>
#include <stdarg.h>
#include <stdio.h>

#include <mutex>
#include <utility>

namespace libbpf_ts {
namespace {

thread_local LogCapture* current = nullptr;

}  // namespace

struct LogSink {
  static int Print(enum libbpf_print_level level, const char* format, va_list args) {
    LogCapture* capture = current;
    if (capture == nullptr || (level == LIBBPF_DEBUG && !capture->debug_)) return 0;
    va_list again;
    va_copy(again, args);
    int length = vsnprintf(nullptr, 0, format, args);
    if (length > 0) {
      try {
        size_t at = capture->text_.size();
        capture->text_.resize(at + static_cast<size_t>(length) + 1);
        vsnprintf(&capture->text_[at], static_cast<size_t>(length) + 1, format, again);
        capture->text_.pop_back();
      } catch (const std::exception&) {
        // No memory for a message: libbpf is C and must not see the exception.
      }
    }
    va_end(again);
    return 0;
  }
};

void InstallLog() {
  static std::once_flag once;
  std::call_once(once, [] { libbpf_set_print(LogSink::Print); });
}

LogCapture::LogCapture(bool debug) : outer_(current), debug_(debug) { current = this; }

LogCapture::~LogCapture() { current = outer_; }

std::string LogCapture::Take() { return std::exchange(text_, {}); }

}  // namespace libbpf_ts
