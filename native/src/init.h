// The addon's parts: each translation unit that exports something to JavaScript
// offers one Init function, and addon.cc calls them all, once per environment
// (the main thread and every worker thread has its own).
#pragma once

#include <napi.h>

namespace libbpf_ts {

Napi::Object InitErrors(Napi::Env env, Napi::Object exports);
Napi::Object InitObject(Napi::Env env, Napi::Object exports);
Napi::Object InitMap(Napi::Env env, Napi::Object exports);
Napi::Object InitProgram(Napi::Env env, Napi::Object exports);
Napi::Object InitLink(Napi::Env env, Napi::Object exports);
Napi::Object InitRing(Napi::Env env, Napi::Object exports);
Napi::Object InitNetlink(Napi::Env env, Napi::Object exports);
Napi::Object InitNetns(Napi::Env env, Napi::Object exports);
Napi::Object InitEthtool(Napi::Env env, Napi::Object exports);
Napi::Object InitOffloads(Napi::Env env, Napi::Object exports);

}  // namespace libbpf_ts
