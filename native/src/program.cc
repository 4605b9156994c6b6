// NativeProgram: identity, pins.
#include "program.h"

#include <bpf/bpf.h>
#include <errno.h>
#include <string.h>
#include <sys/stat.h>

#include "errors.h"
#include "init.h"
#include "map_shape.h"

namespace libbpf_ts {
namespace {

constexpr napi_type_tag kProgramTag = {0x6c696262706674b2, 0x9d0c6a1f4e2b4c02};

bpf_prog_info InfoOf(int fd, const char* operation, const std::string& subject) {
  bpf_prog_info info = {};
  uint32_t length = sizeof(info);
  if (bpf_obj_get_info_by_fd(fd, &info, &length) != 0) throw ErrnoFailure(errno, operation, subject);
  return info;
}

Napi::Value OpenPinned(const Napi::CallbackInfo& info) {
  return Guarded(info.Env(), [&]() -> Napi::Value {
    constexpr const char* kOp = "program.openPinned";
    static const std::string kNone;
    std::string path = RequireString(info[0], {kOp, kNone, "path"});
    return NativeProgram::Make(info.Env(), OwnFd(OpenPin(path, 'p', kOp), kOp, path), "");
  });
}

Napi::Value OpenId(const Napi::CallbackInfo& info) {
  return Guarded(info.Env(), [&]() -> Napi::Value {
    constexpr const char* kOp = "program.openId";
    static const std::string kNone;
    uint32_t id = RequireU32(info[0], {kOp, kNone, "id"});
    int fd = bpf_prog_get_fd_by_id(id);
    if (fd < 0) throw ErrnoFailure(errno, kOp, "id " + std::to_string(id));
    return NativeProgram::Make(info.Env(), OwnFd(fd, kOp, ""), "");
  });
}

}  // namespace

void PinFd(int fd, const std::string& path, const char* operation) {
  for (size_t slash = path.find('/', 1); slash != std::string::npos; slash = path.find('/', slash + 1)) {
    if (mkdir(path.substr(0, slash).c_str(), 0700) != 0 && errno != EEXIST) {
      throw ErrnoFailure(errno, operation, path, "cannot make its directory");
    }
  }
  if (bpf_obj_pin(fd, path.c_str()) != 0) {
    const char* hint = errno == EEXIST  ? "something is pinned here already"
                       : errno == EPERM ? "the path must lie in a mounted BPF file system"
                                        : "";
    throw ErrnoFailure(errno, operation, path, hint);
  }
}

NativeProgram::NativeProgram(const Napi::CallbackInfo& info)
    : Napi::ObjectWrap<NativeProgram>(info), content_(Birth<ProgramContent>(info.Env(), "NativeProgram")) {
  info.This().As<Napi::Object>().TypeTag(&kProgramTag);
}

Napi::Object NativeProgram::Make(Napi::Env env, FdRef fd, const std::string& declared_name) {
  bpf_prog_info info = InfoOf(fd->get(), "program.open", declared_name);
  ProgramContent content;
  content.name =
      declared_name.empty() ? std::string(info.name, strnlen(info.name, sizeof(info.name))) : declared_name;
  content.id = info.id;
  content.type = info.type;
  for (uint8_t byte : info.tag) {
    constexpr char kDigits[] = "0123456789abcdef";
    content.tag += kDigits[byte >> 4];
    content.tag += kDigits[byte & 15];
  }
  content.fd = std::move(fd);
  return Construct(env, &EnvData::program_class, content);
}

bool NativeProgram::Is(const Napi::Value& value) {
  return value.IsObject() && value.As<Napi::Object>().CheckTypeTag(&kProgramTag);
}

NativeProgram& NativeProgram::From(const Napi::Value& value, const Arg& arg) {
  if (!Is(value)) {
    throw CodeFailure("ERR_FOREIGN", arg.operation, arg.subject,
                      std::string(arg.name) + " must be a BpfProgram");
  }
  return *NativeProgram::Unwrap(value.As<Napi::Object>());
}

const FdRef& NativeProgram::Open(const char* operation) const {
  if (!content_.fd) throw CodeFailure("ERR_CLOSED", operation, content_.name, "the program handle is closed");
  return content_.fd;
}

Napi::Value NativeProgram::Info(const Napi::CallbackInfo& info) {
  return Guarded(info.Env(), [&]() -> Napi::Value {
    Napi::Env env = info.Env();
    Napi::Object out = Napi::Object::New(env);
    out.Set("name", content_.name);
    out.Set("id", content_.id);
    out.Set("type", content_.type);
    out.Set("tag", content_.tag);
    if (info[0].IsBoolean() && info[0].As<Napi::Boolean>().Value()) {
      bpf_prog_info now = InfoOf(Open("program.info")->get(), "program.info", content_.name);
      out.Set("runTimeNs", Napi::BigInt::New(env, static_cast<uint64_t>(now.run_time_ns)));
      out.Set("runCount", Napi::BigInt::New(env, static_cast<uint64_t>(now.run_cnt)));
      out.Set("verifiedInstructions", now.verified_insns);
      out.Set("translatedBytes", now.xlated_prog_len);
      out.Set("jitedBytes", now.jited_prog_len);
    }
    return out;
  });
}

Napi::Value NativeProgram::Descriptor(const Napi::CallbackInfo& info) {
  return Guarded(info.Env(), [&] { return Napi::Number::New(info.Env(), Open("program.fd")->get()); });
}

Napi::Value NativeProgram::Pin(const Napi::CallbackInfo& info) {
  return Guarded(info.Env(), [&]() -> Napi::Value {
    const FdRef& fd = Open("program.pin");
    PinFd(fd->get(), RequireString(info[0], {"program.pin", content_.name, "path"}), "program.pin");
    return info.Env().Undefined();
  });
}

Napi::Value NativeProgram::Close(const Napi::CallbackInfo& info) {
  content_.fd.reset();
  return info.Env().Undefined();
}

Napi::Function NativeProgram::Class(Napi::Env env) {
  return DefineClass(env, "NativeProgram",
                     {
                         InstanceMethod<&NativeProgram::Info>("info"),
                         InstanceMethod<&NativeProgram::Descriptor>("fd"),
                         InstanceMethod<&NativeProgram::TestRun>("testRun"),
                         InstanceMethod<&NativeProgram::AttachXdp>("attachXdp"),
                         InstanceMethod<&NativeProgram::AttachXdpAsync>("attachXdpAsync"),
                         InstanceMethod<&NativeProgram::Pin>("pin"),
                         InstanceMethod<&NativeProgram::Close>("close"),
                     });
}

Napi::Object InitProgram(Napi::Env env, Napi::Object exports) {
  EnvData::Of(env).program_class = Napi::Persistent(NativeProgram::Class(env));
  exports.Set("programOpenPinned", Napi::Function::New(env, OpenPinned, "programOpenPinned"));
  exports.Set("programOpenId", Napi::Function::New(env, OpenId, "programOpenId"));
  return exports;
}

}  // namespace libbpf_ts
