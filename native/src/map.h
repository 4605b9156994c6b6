// NativeMap: one handle on one kernel map. Single elements are synchronous;
// whole-map and waiting operations are in map_batch.cc.
#pragma once

#include <napi.h>

#include <string>
#include <vector>

#include "args.h"
#include "fd.h"
#include "map_shape.h"

namespace libbpf_ts {

struct MapContent {
  FdRef fd;
  MapShape shape;
  std::string name;  // as declared; the kernel's own is cut to 15 characters
};

class NativeMap : public Napi::ObjectWrap<NativeMap> {
 public:
  static Napi::Function Class(Napi::Env env);
  static Napi::Object Make(Napi::Env env, FdRef fd, const std::string& declared_name);
  // The handle behind a JavaScript value; ERR_FOREIGN when it is something else, ERR_CLOSED when closed.
  static NativeMap& From(const Napi::Value& value, const Arg& arg);

  explicit NativeMap(const Napi::CallbackInfo& info);

  const FdRef& Open(const char* operation) const;
  const MapShape& shape() const { return content_.shape; }
  const std::string& name() const { return content_.name; }

 private:
  Napi::Value Info(const Napi::CallbackInfo& info);
  Napi::Value Descriptor(const Napi::CallbackInfo& info);
  Napi::Value LookupInto(const Napi::CallbackInfo& info);
  Napi::Value Update(const Napi::CallbackInfo& info);
  Napi::Value Delete(const Napi::CallbackInfo& info);
  Napi::Value LookupAndDelete(const Napi::CallbackInfo& info);
  Napi::Value NextKeyInto(const Napi::CallbackInfo& info);
  Napi::Value Mmap(const Napi::CallbackInfo& info);
  Napi::Value Freeze(const Napi::CallbackInfo& info);
  Napi::Value Pin(const Napi::CallbackInfo& info);
  Napi::Value Close(const Napi::CallbackInfo& info);
  // map_batch.cc
  Napi::Value UpdateAsync(const Napi::CallbackInfo& info);
  Napi::Value DeleteAsync(const Napi::CallbackInfo& info);
  Napi::Value LookupBatch(const Napi::CallbackInfo& info);
  Napi::Value UpdateBatch(const Napi::CallbackInfo& info);
  Napi::Value DeleteBatch(const Napi::CallbackInfo& info);

  MapContent content_;
};

// A value given to an update: bytes, or handles whose descriptors are the value
// (inner maps, tail-call programs), which are held until the update is done.
struct ValueArg {
  std::vector<uint8_t> bytes;
  std::vector<FdRef> held;
};
ValueArg RequireValues(const Napi::Value& value, const Arg& arg, const MapShape& shape, size_t count);

}  // namespace libbpf_ts
