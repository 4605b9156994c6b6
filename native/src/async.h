// Work off the JavaScript thread: `run` on libuv's pool, where it may wait for
// the kernel and must not touch JavaScript; then `result` on the JavaScript
// thread. A Failure thrown by either rejects the promise, after `failed` was called.
#pragma once

#include <napi.h>

#include <functional>

namespace libbpf_ts {

// What the two functions capture must keep alive whatever they use (an FdRef, copied bytes).
Napi::Promise RunAsync(Napi::Env env, const char* resource, std::function<void()> run,
                       std::function<Napi::Value(Napi::Env)> result, std::function<void()> failed = {});

}  // namespace libbpf_ts
