// libbpf writes its messages (and the verifier's log) through one process-wide
// print function. Ours hands each message to the capture of the thread that
// caused it; with no capture on that thread the message is dropped.
#pragma once

#include <string>

namespace libbpf_ts {

void InstallLog();  // once per process; safe to call from every environment

class LogCapture {
 public:
  explicit LogCapture(bool debug = false);
  ~LogCapture();
  LogCapture(const LogCapture&) = delete;
  LogCapture& operator=(const LogCapture&) = delete;

  std::string Take();

 private:
  friend struct LogSink;
  LogCapture* outer_;
  bool debug_;
  std::string text_;
};

}  // namespace libbpf_ts
