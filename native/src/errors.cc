// Builds BpfError instances: message "operation subject: detail (CODE)" and the
// same facts again as fields.
#include "errors.h"

#include "args.h"
#include "init.h"

namespace libbpf_ts {

Napi::Error MakeError(Napi::Env env, const Failure& failure) {
  Napi::HandleScope scope(env);
  Napi::Object facts = Napi::Object::New(env);
  facts.Set("code", failure.code);
  facts.Set("operation", failure.operation);
  facts.Set("detail", failure.detail);
  if (failure.errnum != 0) facts.Set("errno", failure.errnum);
  if (!failure.subject.empty()) facts.Set("subject", failure.subject);
  if (!failure.log.empty()) facts.Set("log", failure.log);
  if (failure.completed >= 0) facts.Set("completed", static_cast<double>(failure.completed));
  EnvData& data = EnvData::Of(env);
  if (data.error_class.IsEmpty()) {
    Napi::Error error = Napi::Error::New(env, failure.operation + ": " + failure.detail);
    error.Set("code", failure.code);
    return error;
  }
  return Napi::Error(env, data.error_class.New({facts}));
}

namespace {

void SetErrorClass(const Napi::CallbackInfo& info) {
  if (!info[0].IsFunction()) throw Napi::TypeError::New(info.Env(), "setErrorClass takes a class");
  EnvData::Of(info.Env()).error_class = Napi::Persistent(info[0].As<Napi::Function>());
}

}  // namespace

Napi::Object InitErrors(Napi::Env env, Napi::Object exports) {
  exports.Set("setErrorClass", Napi::Function::New(env, SetErrorClass, "setErrorClass"));
  return exports;
}

}  // namespace libbpf_ts
