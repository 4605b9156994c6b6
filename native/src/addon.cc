// libbpf-ts: the addon's entry. One instance per environment (main thread and
// each worker); nothing here is shared between them but libbpf's print function.
#include <napi.h>

#include "errors.h"
#include "init.h"
#include "log.h"

namespace libbpf_ts {
namespace {

Napi::Object Init(Napi::Env env, Napi::Object exports) {
  InstallLog();
  env.SetInstanceData(new EnvData());
  InitErrors(env, exports);
  InitObject(env, exports);
  InitMap(env, exports);
  InitProgram(env, exports);
  InitLink(env, exports);
  InitRing(env, exports);
  InitNetlink(env, exports);
  InitNetns(env, exports);
  InitEthtool(env, exports);
  InitOffloads(env, exports);
  return exports;
}

}  // namespace
}  // namespace libbpf_ts

static Napi::Object InitAddon(Napi::Env env, Napi::Object exports) { return libbpf_ts::Init(env, exports); }

NODE_API_MODULE(NODE_GYP_MODULE_NAME, InitAddon)
