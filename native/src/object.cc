// NativeObject: opening an object file, what may be changed before it is loaded,
// and its maps and programs afterwards.
#include "object.h"

#include <bpf/btf.h>
#include <errno.h>
#include <napi.h>
#include <string.h>

#include <memory>

#include "async.h"
#include "errors.h"
#include "init.h"
#include "log.h"
#include "map.h"
#include "program.h"

namespace libbpf_ts {
namespace {

using StateRef = std::shared_ptr<ObjectState>;

class NativeObject : public Napi::ObjectWrap<NativeObject> {
 public:
  static Napi::Function Class(Napi::Env env);
  explicit NativeObject(const Napi::CallbackInfo& info)
      : Napi::ObjectWrap<NativeObject>(info), state_(Birth<StateRef>(info.Env(), "NativeObject")) {}

 private:
  // The object in a phase the operation is meant for.
  ObjectState& In(Phase phase, const char* operation) const;
  ObjectState& AtRest(const char* operation) const;
  bpf_map* MapOf(ObjectState& state, const Napi::Value& name, const char* operation) const;
  bpf_program* ProgramOf(ObjectState& state, const Napi::Value& name, const char* operation) const;

  Napi::Value Describe(const Napi::CallbackInfo& info);
  Napi::Value BtfBytes(const Napi::CallbackInfo& info);
  Napi::Value SetMaxEntries(const Napi::CallbackInfo& info);
  Napi::Value SetPinned(const Napi::CallbackInfo& info);
  Napi::Value SetInnerMap(const Napi::CallbackInfo& info);
  Napi::Value ReuseMap(const Napi::CallbackInfo& info);
  Napi::Value SetInitial(const Napi::CallbackInfo& info);
  Napi::Value SetAutoload(const Napi::CallbackInfo& info);
  Napi::Value SetAutocreate(const Napi::CallbackInfo& info);
  Napi::Value Load(const Napi::CallbackInfo& info);
  Napi::Value LogText(const Napi::CallbackInfo& info);
  Napi::Value Map(const Napi::CallbackInfo& info);
  Napi::Value Program(const Napi::CallbackInfo& info);
  Napi::Value Close(const Napi::CallbackInfo& info);

  StateRef state_;
};

// libbpf shows ".rodata" of object "x" as "x.rodata"; here it is ".rodata" whatever the file's name.
std::string NameOf(const bpf_map* map) {
  std::string name = bpf_map__name(map);
  size_t dot = name.find('.');
  return bpf_map__is_internal(map) && dot != std::string::npos ? name.substr(dot) : name;
}

Napi::Value Open(const Napi::CallbackInfo& info) {
  return Guarded(info.Env(), [&]() -> Napi::Value {
    constexpr const char* kOp = "object.open";
    static const std::string kNone;
    auto state = std::make_shared<ObjectState>();
    state->path = RequireString(info[0], {kOp, kNone, "path"});
    std::optional<std::string> name = OptionalString(info[1], {kOp, state->path, "name"});
    int64_t log_level = RequireInteger(info[2], {kOp, state->path, "logLevel"}, 0, 7);
    state->debug_log = log_level > 0;
    LogCapture capture;
    LIBBPF_OPTS(bpf_object_open_opts, options, .kernel_log_level = static_cast<__u32>(log_level));
    if (name) options.object_name = name->c_str();
    errno = 0;
    state->object = bpf_object__open_file(state->path.c_str(), &options);
    if (state->object == nullptr) {
      int errnum = errno != 0 ? errno : EINVAL;
      Failure failure =
          ErrnoFailure(errnum, kOp, state->path, errnum == ENOENT ? "" : "not a usable BPF object file");
      failure.log = capture.Take();
      throw failure;
    }
    bpf_map* map;
    bpf_object__for_each_map(map, state->object) {
      state->map_names.push_back(NameOf(map));
      state->maps.emplace(state->map_names.back(), map);
    }
    bpf_program* program;
    bpf_object__for_each_program(program, state->object) {
      state->program_names.push_back(bpf_program__name(program));
      state->programs.emplace(state->program_names.back(), program);
    }
    return Construct(info.Env(), &EnvData::object_class, state);
  });
}

ObjectState& NativeObject::In(Phase phase, const char* operation) const {
  ObjectState& state = AtRest(operation);
  if (state.phase == phase) return state;
  throw CodeFailure("ERR_STATE", operation, state.path,
                    phase == Phase::kOpen           ? "possible before load() only"
                    : state.phase == Phase::kFailed ? "loading the object failed; open it again"
                                                    : "the object is not loaded yet");
}

ObjectState& NativeObject::AtRest(const char* operation) const {
  ObjectState& state = *state_;
  if (state.phase == Phase::kClosed) {
    throw CodeFailure("ERR_CLOSED", operation, state.path, "the object is closed");
  }
  if (state.phase == Phase::kLoading) {
    throw CodeFailure("ERR_STATE", operation, state.path, "the object is being loaded; await load() first");
  }
  return state;
}

bpf_map* NativeObject::MapOf(ObjectState& state, const Napi::Value& value, const char* operation) const {
  std::string name = RequireString(value, {operation, state.path, "map"});
  auto found = state.maps.find(name);
  if (found == state.maps.end())
    throw CodeFailure("ERR_NOT_FOUND", operation, name, "no such map in " + state.path);
  return found->second;
}

bpf_program* NativeObject::ProgramOf(ObjectState& state, const Napi::Value& value,
                                     const char* operation) const {
  std::string name = RequireString(value, {operation, state.path, "program"});
  auto found = state.programs.find(name);
  if (found == state.programs.end()) {
    throw CodeFailure("ERR_NOT_FOUND", operation, name, "no such program in " + state.path);
  }
  return found->second;
}

Napi::Value NativeObject::Describe(const Napi::CallbackInfo& info) {
  return Guarded(info.Env(), [&]() -> Napi::Value {
    Napi::Env env = info.Env();
    ObjectState& state = AtRest("object.describe");
    Napi::Array maps = Napi::Array::New(env);
    for (const std::string& name : state.map_names) {
      const bpf_map* map = state.maps.at(name);
      Napi::Object out = Napi::Object::New(env);
      out.Set("name", name);
      out.Set("type", static_cast<uint32_t>(bpf_map__type(map)));
      out.Set("keySize", bpf_map__key_size(map));
      out.Set("valueSize", bpf_map__value_size(map));
      out.Set("maxEntries", bpf_map__max_entries(map));
      out.Set("flags", bpf_map__map_flags(map));
      out.Set("internal", bpf_map__is_internal(map));
      maps.Set(maps.Length(), out);
    }
    Napi::Array programs = Napi::Array::New(env);
    for (const std::string& name : state.program_names) {
      const bpf_program* program = state.programs.at(name);
      Napi::Object out = Napi::Object::New(env);
      out.Set("name", name);
      out.Set("section", bpf_program__section_name(program));
      out.Set("type", static_cast<uint32_t>(bpf_program__type(program)));
      out.Set("autoload", bpf_program__autoload(program));
      out.Set("instructions", static_cast<double>(bpf_program__insn_cnt(program)));
      programs.Set(programs.Length(), out);
    }
    Napi::Object out = Napi::Object::New(env);
    out.Set("maps", maps);
    out.Set("programs", programs);
    return out;
  });
}

Napi::Value NativeObject::BtfBytes(const Napi::CallbackInfo& info) {
  return Guarded(info.Env(), [&]() -> Napi::Value {
    ObjectState& state = AtRest("object.btf");
    const btf* types = bpf_object__btf(state.object);
    uint32_t size = 0;
    const void* data = types != nullptr ? btf__raw_data(types, &size) : nullptr;
    if (data == nullptr) {
      throw CodeFailure("ERR_NOT_FOUND", "object.btf", state.path,
                        "the object has no BTF; compile it with -g");
    }
    return Napi::Buffer<uint8_t>::Copy(info.Env(), static_cast<const uint8_t*>(data), size);
  });
}

Napi::Value NativeObject::SetMaxEntries(const Napi::CallbackInfo& info) {
  return Guarded(info.Env(), [&]() -> Napi::Value {
    constexpr const char* kOp = "object.setMaxEntries";
    ObjectState& state = In(Phase::kOpen, kOp);
    bpf_map* map = MapOf(state, info[0], kOp);
    int error = bpf_map__set_max_entries(map, RequireU32(info[1], {kOp, NameOf(map), "maxEntries"}));
    if (error != 0) throw ErrnoFailure(error, kOp, NameOf(map));
    return info.Env().Undefined();
  });
}

Napi::Value NativeObject::SetPinned(const Napi::CallbackInfo& info) {
  return Guarded(info.Env(), [&]() -> Napi::Value {
    constexpr const char* kOp = "object.setPinned";
    ObjectState& state = In(Phase::kOpen, kOp);
    bpf_map* map = MapOf(state, info[0], kOp);
    if (bpf_map__is_internal(map)) {
      throw CodeFailure("ERR_ARGUMENT", kOp, NameOf(map),
                        "the sections of an object's variables are not pinned");
    }
    state.pins[NameOf(map)] = RequireString(info[1], {kOp, NameOf(map), "path"});
    return info.Env().Undefined();
  });
}

Napi::Value NativeObject::SetInnerMap(const Napi::CallbackInfo& info) {
  return Guarded(info.Env(), [&]() -> Napi::Value {
    constexpr const char* kOp = "object.setInnerMap";
    ObjectState& state = In(Phase::kOpen, kOp);
    bpf_map* map = MapOf(state, info[0], kOp);
    uint32_t type = bpf_map__type(map);
    if (type != BPF_MAP_TYPE_ARRAY_OF_MAPS && type != BPF_MAP_TYPE_HASH_OF_MAPS) {
      throw CodeFailure("ERR_ARGUMENT", kOp, NameOf(map), "only a map of maps has an inner map");
    }
    FdRef inner = NativeMap::From(info[1], {kOp, NameOf(map), "inner"}).Open(kOp);
    int error = bpf_map__set_inner_map_fd(map, inner->get());
    if (error != 0) throw ErrnoFailure(error, kOp, NameOf(map));
    state.held.push_back(std::move(inner));
    return info.Env().Undefined();
  });
}

Napi::Value NativeObject::ReuseMap(const Napi::CallbackInfo& info) {
  return Guarded(info.Env(), [&]() -> Napi::Value {
    constexpr const char* kOp = "object.reuseMap";
    ObjectState& state = In(Phase::kOpen, kOp);
    bpf_map* map = MapOf(state, info[0], kOp);
    NativeMap& other = NativeMap::From(info[1], {kOp, NameOf(map), "existing"});
    FdRef fd = other.Open(kOp);
    RequireSameShape(map, other.shape(), kOp, NameOf(map));
    int error = bpf_map__reuse_fd(map, fd->get());
    if (error != 0) throw ErrnoFailure(error, kOp, NameOf(map));
    return info.Env().Undefined();
  });
}

Napi::Value NativeObject::SetInitial(const Napi::CallbackInfo& info) {
  return Guarded(info.Env(), [&]() -> Napi::Value {
    constexpr const char* kOp = "object.setConstants";
    ObjectState& state = In(Phase::kOpen, kOp);
    bpf_map* map = MapOf(state, info[0], kOp);
    uint32_t offset = RequireU32(info[1], {kOp, NameOf(map), "offset"});
    Bytes bytes = RequireBytes(info[2], {kOp, NameOf(map), "value"});
    size_t size = 0;
    const void* now = bpf_map__is_internal(map) ? bpf_map__initial_value(map, &size) : nullptr;
    if (now == nullptr) throw CodeFailure("ERR_ARGUMENT", kOp, NameOf(map), "not a section of variables");
    if (offset > size || bytes.size > size - offset) {
      throw CodeFailure("ERR_SIZE", kOp, NameOf(map), "the value reaches beyond its section");
    }
    std::vector<uint8_t> content(static_cast<const uint8_t*>(now), static_cast<const uint8_t*>(now) + size);
    memcpy(content.data() + offset, bytes.data, bytes.size);
    int error = bpf_map__set_initial_value(map, content.data(), content.size());
    if (error != 0) throw ErrnoFailure(error, kOp, NameOf(map));
    return info.Env().Undefined();
  });
}

Napi::Value NativeObject::SetAutoload(const Napi::CallbackInfo& info) {
  return Guarded(info.Env(), [&]() -> Napi::Value {
    constexpr const char* kOp = "object.setAutoload";
    ObjectState& state = In(Phase::kOpen, kOp);
    bpf_program* program = ProgramOf(state, info[0], kOp);
    int error = bpf_program__set_autoload(program, RequireBool(info[1], {kOp, state.path, "autoload"}));
    if (error != 0) throw ErrnoFailure(error, kOp, bpf_program__name(program));
    return info.Env().Undefined();
  });
}

Napi::Value NativeObject::SetAutocreate(const Napi::CallbackInfo& info) {
  return Guarded(info.Env(), [&]() -> Napi::Value {
    constexpr const char* kOp = "object.setAutocreate";
    ObjectState& state = In(Phase::kOpen, kOp);
    bpf_map* map = MapOf(state, info[0], kOp);
    int error = bpf_map__set_autocreate(map, RequireBool(info[1], {kOp, state.path, "autocreate"}));
    if (error != 0) throw ErrnoFailure(error, kOp, NameOf(map));
    return info.Env().Undefined();
  });
}

Napi::Value NativeObject::Load(const Napi::CallbackInfo& info) {
  return Guarded(info.Env(), [&]() -> Napi::Value {
    constexpr const char* kOp = "object.load";
    ObjectState& now = In(Phase::kOpen, kOp);
    StateRef state = state_;
    now.phase = Phase::kLoading;
    try {
      return RunAsync(
          info.Env(), kOp, [state] { LoadObject(*state); },
          [state](Napi::Env env) -> Napi::Value {
            if (state->phase == Phase::kClosed) {
              throw CodeFailure("ERR_CLOSED", kOp, state->path, "the object was closed while it was loaded");
            }
            state->phase = Phase::kLoaded;
            return env.Undefined();
          },
          [state] {
            if (state->phase != Phase::kClosed) state->phase = Phase::kFailed;
          });
    } catch (...) {
      now.phase = Phase::kFailed;
      throw;
    }
  });
}

Napi::Value NativeObject::LogText(const Napi::CallbackInfo& info) {
  return Guarded(info.Env(),
                 [&]() -> Napi::Value { return Napi::String::New(info.Env(), AtRest("object.log").log); });
}

Napi::Value NativeObject::Map(const Napi::CallbackInfo& info) {
  return Guarded(info.Env(), [&]() -> Napi::Value {
    constexpr const char* kOp = "object.map";
    ObjectState& state = In(Phase::kLoaded, kOp);
    bpf_map* map = MapOf(state, info[0], kOp);
    std::string name = info[0].As<Napi::String>().Utf8Value();
    // from libbpf 1.4 on a map that was not created has a placeholder for a descriptor
    int fd = bpf_map__autocreate(map) ? bpf_map__fd(map) : -1;
    if (fd < 0) throw CodeFailure("ERR_STATE", kOp, name, "the map was not created (autocreate is off)");
    return NativeMap::Make(info.Env(), DupFd(fd, kOp, name), name);
  });
}

Napi::Value NativeObject::Program(const Napi::CallbackInfo& info) {
  return Guarded(info.Env(), [&]() -> Napi::Value {
    constexpr const char* kOp = "object.program";
    ObjectState& state = In(Phase::kLoaded, kOp);
    bpf_program* program = ProgramOf(state, info[0], kOp);
    std::string name = bpf_program__name(program);
    int fd = bpf_program__fd(program);
    if (fd < 0) throw CodeFailure("ERR_STATE", kOp, name, "the program was not loaded (autoload is off)");
    return NativeProgram::Make(info.Env(), DupFd(fd, kOp, name), name);
  });
}

Napi::Value NativeObject::Close(const Napi::CallbackInfo& info) {
  if (state_->phase == Phase::kClosed) return info.Env().Undefined();
  bool loading = state_->phase == Phase::kLoading;
  state_->phase = Phase::kClosed;
  if (!loading) {
    // Freed here; while loading, the pool job holds the state and frees it when it is done.
    bpf_object__close(state_->object);
    state_->object = nullptr;
    state_->maps.clear();
    state_->programs.clear();
    state_->held.clear();
  } else {
    auto closed = std::make_shared<ObjectState>();
    closed->path = state_->path;
    closed->phase = Phase::kClosed;
    state_ = std::move(closed);
  }
  return info.Env().Undefined();
}

Napi::Function NativeObject::Class(Napi::Env env) {
  return DefineClass(env, "NativeObject",
                     {
                         InstanceMethod<&NativeObject::Describe>("describe"),
                         InstanceMethod<&NativeObject::BtfBytes>("btf"),
                         InstanceMethod<&NativeObject::SetMaxEntries>("setMaxEntries"),
                         InstanceMethod<&NativeObject::SetPinned>("setPinned"),
                         InstanceMethod<&NativeObject::SetInnerMap>("setInnerMap"),
                         InstanceMethod<&NativeObject::ReuseMap>("reuseMap"),
                         InstanceMethod<&NativeObject::SetInitial>("setInitial"),
                         InstanceMethod<&NativeObject::SetAutoload>("setAutoload"),
                         InstanceMethod<&NativeObject::SetAutocreate>("setAutocreate"),
                         InstanceMethod<&NativeObject::Load>("load"),
                         InstanceMethod<&NativeObject::LogText>("log"),
                         InstanceMethod<&NativeObject::Map>("map"),
                         InstanceMethod<&NativeObject::Program>("program"),
                         InstanceMethod<&NativeObject::Close>("close"),
                     });
}

}  // namespace

Napi::Object InitObject(Napi::Env env, Napi::Object exports) {
  EnvData::Of(env).object_class = Napi::Persistent(NativeObject::Class(env));
  exports.Set("objectOpen", Napi::Function::New(env, Open, "objectOpen"));
  return exports;
}

}  // namespace libbpf_ts
