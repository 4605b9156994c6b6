// The way from a C++ Failure to the JavaScript BpfError, and the data the addon
// keeps for each environment. The facade hands its BpfError class over at load
// (setErrorClass), so what is thrown here is an instance of it.
#pragma once

#include <napi.h>

#include <memory>
#include <utility>
#include <vector>

#include "failure.h"
#include "fd.h"

namespace libbpf_ts {

// One per environment; made in addon.cc, freed by Node-API when the environment ends.
struct EnvData {
  Napi::FunctionReference error_class;
  Napi::FunctionReference object_class;
  Napi::FunctionReference map_class;
  Napi::FunctionReference program_class;
  Napi::FunctionReference link_class;
  Napi::FunctionReference ring_class;
  // Set for the length of one `New` call: the native constructors take their
  // content from here, so JavaScript cannot construct them with anything else.
  void* birth = nullptr;
  // XDP links whose handle was collected without close() stay attached until the environment ends.
  // Shared with the handles: at the end either may be freed first.
  std::shared_ptr<std::vector<FdRef>> uncollected_links = std::make_shared<std::vector<FdRef>>();

  static EnvData& Of(Napi::Env env) { return *env.GetInstanceData<EnvData>(); }
};

Napi::Error MakeError(Napi::Env env, const Failure& failure);

// Runs a method's body; a Failure becomes a BpfError, running out of memory too.
template <typename Body>
auto Guarded(Napi::Env env, Body&& body) -> decltype(body()) {
  try {
    return body();
  } catch (const Failure& failure) {
    throw MakeError(env, failure);
  } catch (const Napi::Error&) {
    throw;
  } catch (const std::exception& error) {
    throw MakeError(env, CodeFailure("ENOMEM", "libbpf-ts", "", error.what()));
  }
}

// Makes an instance of a native class whose constructor takes `content`.
template <typename Content>
Napi::Object Construct(Napi::Env env, Napi::FunctionReference EnvData::* klass, Content& content) {
  EnvData& data = EnvData::Of(env);
  data.birth = &content;
  try {
    Napi::Object made = (data.*klass).New({});
    data.birth = nullptr;
    return made;
  } catch (...) {
    data.birth = nullptr;
    throw;
  }
}

// The constructor's side of Construct; throws when JavaScript called the constructor itself.
template <typename Content>
Content& Birth(Napi::Env env, const char* what) {
  EnvData& data = EnvData::Of(env);
  if (data.birth == nullptr)
    throw Napi::TypeError::New(env, std::string(what) + " cannot be constructed directly");
  return *static_cast<Content*>(std::exchange(data.birth, nullptr));
}

}  // namespace libbpf_ts
