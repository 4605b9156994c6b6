// NativeProgram: one handle on one loaded program: what it is, test runs
// (test_run.cc), attachment to interfaces (link.cc).
#pragma once

#include <napi.h>

#include <string>

#include "args.h"
#include "fd.h"

namespace libbpf_ts {

struct ProgramContent {
  FdRef fd;
  std::string name;  // as declared; the kernel's own is cut to 15 characters
  uint32_t id = 0;
  uint32_t type = 0;
  std::string tag;
};

class NativeProgram : public Napi::ObjectWrap<NativeProgram> {
 public:
  static Napi::Function Class(Napi::Env env);
  static Napi::Object Make(Napi::Env env, FdRef fd, const std::string& declared_name);
  static bool Is(const Napi::Value& value);
  static NativeProgram& From(const Napi::Value& value, const Arg& arg);

  explicit NativeProgram(const Napi::CallbackInfo& info);

  const FdRef& Open(const char* operation) const;
  const std::string& name() const { return content_.name; }

 private:
  Napi::Value Info(const Napi::CallbackInfo& info);
  Napi::Value Descriptor(const Napi::CallbackInfo& info);
  Napi::Value TestRun(const Napi::CallbackInfo& info);         // test_run.cc
  Napi::Value AttachXdp(const Napi::CallbackInfo& info);       // link.cc
  Napi::Value AttachXdpAsync(const Napi::CallbackInfo& info);  // link.cc
  Napi::Value Pin(const Napi::CallbackInfo& info);
  Napi::Value Close(const Napi::CallbackInfo& info);

  ProgramContent content_;
};

// Pins a map, program or link; the directory is made when missing.
void PinFd(int fd, const std::string& path, const char* operation);

}  // namespace libbpf_ts
