// NativeMap: creation, single elements, mmap, pins.
#include "map.h"

#include <bpf/bpf.h>
#include <ctype.h>
#include <errno.h>
#include <sys/mman.h>

#include <utility>

#include "apart.h"
#include "errors.h"
#include "init.h"
#include "program.h"

namespace libbpf_ts {
namespace {

constexpr napi_type_tag kMapTag = {0x6c696262706674b1, 0x9d0c6a1f4e2b4c01};

const char* UpdateHint(int errnum, const MapShape& shape) {
  switch (errnum) {
    case E2BIG:
      return "no such index, or the map is full";
    case ENOSPC:
      return "the map is full";
    case EEXIST:
      return shape.type == BPF_MAP_TYPE_ARRAY ? "an array's elements always exist"
                                              : "the key is there already";
    case ENOENT:
      return "the key is not there";
    default:
      return "";
  }
}

const uint8_t* KeyPointer(const Bytes& key) { return key.size == 0 ? nullptr : key.data; }

Napi::Value Create(const Napi::CallbackInfo& info) {
  return Guarded(info.Env(), [&]() -> Napi::Value {
    constexpr const char* kOp = "map.create";
    static const std::string kNone;
    std::string name = RequireString(info[1], {kOp, kNone, "name"});
    uint32_t type = RequireU32(info[0], {kOp, name, "type"});
    uint32_t key_size = RequireU32(info[2], {kOp, name, "keySize"});
    uint32_t value_size = RequireU32(info[3], {kOp, name, "valueSize"});
    uint32_t max_entries = RequireU32(info[4], {kOp, name, "maxEntries"});
    uint32_t flags = RequireU32(info[5], {kOp, name, "flags"});
    LIBBPF_OPTS(bpf_map_create_opts, options, .map_flags = flags);
    FdRef inner;
    if (!IsAbsent(info[6])) {
      inner = NativeMap::From(info[6], {kOp, name, "innerMap"}).Open(kOp);
      options.inner_map_fd = static_cast<uint32_t>(inner->get());
    }
    if (!IsAbsent(info[7])) options.map_extra = RequireU32(info[7], {kOp, name, "mapExtra"});
    std::string kernel_name = name.substr(0, BPF_OBJ_NAME_LEN - 1);
    for (char& letter : kernel_name) {
      if (!isalnum(static_cast<unsigned char>(letter)) && letter != '_' && letter != '.') letter = '_';
    }
    int fd = bpf_map_create(static_cast<bpf_map_type>(type), kernel_name.c_str(), key_size, value_size,
                            max_entries, &options);
    if (fd < 0) {
      throw ErrnoFailure(errno, kOp, name,
                         errno == EINVAL ? "type, sizes and flags do not fit together" : "");
    }
    return NativeMap::Make(info.Env(), OwnFd(fd, kOp, name), name);
  });
}

Napi::Value OpenPinned(const Napi::CallbackInfo& info) {
  return Guarded(info.Env(), [&]() -> Napi::Value {
    constexpr const char* kOp = "map.openPinned";
    static const std::string kNone;
    std::string path = RequireString(info[0], {kOp, kNone, "path"});
    return NativeMap::Make(info.Env(), OwnFd(OpenPin(path, 'm', kOp), kOp, path), "");
  });
}

Napi::Value OpenId(const Napi::CallbackInfo& info) {
  return Guarded(info.Env(), [&]() -> Napi::Value {
    constexpr const char* kOp = "map.openId";
    static const std::string kNone;
    uint32_t id = RequireU32(info[0], {kOp, kNone, "id"});
    int fd = bpf_map_get_fd_by_id(id);
    if (fd < 0) throw ErrnoFailure(errno, kOp, "id " + std::to_string(id));
    return NativeMap::Make(info.Env(), OwnFd(fd, kOp, ""), "");
  });
}

}  // namespace

NativeMap::NativeMap(const Napi::CallbackInfo& info)
    : Napi::ObjectWrap<NativeMap>(info), content_(Birth<MapContent>(info.Env(), "NativeMap")) {
  info.This().As<Napi::Object>().TypeTag(&kMapTag);
}

Napi::Object NativeMap::Make(Napi::Env env, FdRef fd, const std::string& declared_name) {
  MapShape shape = MapShape::Of(fd->get(), "map.open", declared_name);
  std::string name = declared_name.empty() ? shape.name : declared_name;
  MapContent content{std::move(fd), std::move(shape), std::move(name)};
  return Construct(env, &EnvData::map_class, content);
}

NativeMap& NativeMap::From(const Napi::Value& value, const Arg& arg) {
  if (!value.IsObject() || !value.As<Napi::Object>().CheckTypeTag(&kMapTag)) {
    throw CodeFailure("ERR_FOREIGN", arg.operation, arg.subject, std::string(arg.name) + " must be a BpfMap");
  }
  return *NativeMap::Unwrap(value.As<Napi::Object>());
}

const FdRef& NativeMap::Open(const char* operation) const {
  if (!content_.fd) throw CodeFailure("ERR_CLOSED", operation, content_.name, "the map handle is closed");
  return content_.fd;
}

Napi::Value NativeMap::Info(const Napi::CallbackInfo& info) {
  const MapShape& shape = content_.shape;
  Napi::Object out = Napi::Object::New(info.Env());
  out.Set("name", content_.name);
  out.Set("type", shape.type);
  out.Set("id", shape.id);
  out.Set("keySize", shape.key_size);
  out.Set("valueSize", shape.value_size);
  out.Set("maxEntries", shape.max_entries);
  out.Set("flags", shape.flags);
  out.Set("stride", static_cast<double>(shape.Stride()));
  out.Set("transferSize", static_cast<double>(shape.TransferSize()));
  return out;
}

Napi::Value NativeMap::Descriptor(const Napi::CallbackInfo& info) {
  return Guarded(info.Env(), [&] { return Napi::Number::New(info.Env(), Open("map.fd")->get()); });
}

Napi::Value NativeMap::LookupInto(const Napi::CallbackInfo& info) {
  return Guarded(info.Env(), [&]() -> Napi::Value {
    constexpr const char* kOp = "map.lookup";
    const FdRef& fd = Open(kOp);
    Bytes key = RequireBytesOf(info[0], {kOp, content_.name, "key"}, content_.shape.key_size);
    Bytes value = RequireBytesOf(info[1], {kOp, content_.name, "value"}, content_.shape.TransferSize());
    if (bpf_map_lookup_elem(fd->get(), KeyPointer(key), const_cast<uint8_t*>(value.data)) != 0) {
      if (errno == ENOENT) return Napi::Boolean::New(info.Env(), false);
      throw ErrnoFailure(errno, kOp, content_.name);
    }
    return Napi::Boolean::New(info.Env(), true);
  });
}

Napi::Value NativeMap::Update(const Napi::CallbackInfo& info) {
  return Guarded(info.Env(), [&]() -> Napi::Value {
    constexpr const char* kOp = "map.update";
    // Handles first: reading a list of them may run JavaScript, which may close this map.
    ValueArg handles;
    if (!info[1].IsTypedArray()) {
      handles = RequireValues(info[1], {kOp, content_.name, "value"}, content_.shape, 1);
    }
    const FdRef& fd = Open(kOp);
    Bytes key = RequireBytesOf(info[0], {kOp, content_.name, "key"}, content_.shape.key_size);
    uint32_t flags = RequireU32(info[2], {kOp, content_.name, "flags"});
    std::optional<std::string> netns = OptionalString(info[3], {kOp, content_.name, "netns"});
    const uint8_t* bytes =
        handles.bytes.empty()
            ? RequireBytesOf(info[1], {kOp, content_.name, "value"}, content_.shape.TransferSize()).data
            : handles.bytes.data();
    int errnum = 0;
    auto update = [&] {
      if (bpf_map_update_elem(fd->get(), KeyPointer(key), bytes, flags) != 0) errnum = errno;
    };
    if (netns) {
      RunIn({netns, std::nullopt}, kOp, update);
    } else {
      update();
    }
    if (errnum != 0) throw ErrnoFailure(errnum, kOp, content_.name, UpdateHint(errnum, content_.shape));
    return info.Env().Undefined();
  });
}

Napi::Value NativeMap::Delete(const Napi::CallbackInfo& info) {
  return Guarded(info.Env(), [&]() -> Napi::Value {
    constexpr const char* kOp = "map.delete";
    const FdRef& fd = Open(kOp);
    Bytes key = RequireBytesOf(info[0], {kOp, content_.name, "key"}, content_.shape.key_size);
    if (bpf_map_delete_elem(fd->get(), KeyPointer(key)) != 0) {
      if (errno == ENOENT) return Napi::Boolean::New(info.Env(), false);
      throw ErrnoFailure(errno, kOp, content_.name, errno == EINVAL ? "elements of an array stay" : "");
    }
    return Napi::Boolean::New(info.Env(), true);
  });
}

Napi::Value NativeMap::LookupAndDelete(const Napi::CallbackInfo& info) {
  return Guarded(info.Env(), [&]() -> Napi::Value {
    constexpr const char* kOp = "map.lookupAndDelete";
    const FdRef& fd = Open(kOp);
    Bytes key = RequireBytesOf(info[0], {kOp, content_.name, "key"}, content_.shape.key_size);
    std::vector<uint8_t> value(content_.shape.TransferSize());
    if (bpf_map_lookup_and_delete_elem(fd->get(), KeyPointer(key), value.data()) != 0) {
      if (errno == ENOENT) return info.Env().Undefined();
      throw ErrnoFailure(errno, kOp, content_.name);
    }
    return Napi::Buffer<uint8_t>::Copy(info.Env(), value.data(), value.size());
  });
}

Napi::Value NativeMap::NextKeyInto(const Napi::CallbackInfo& info) {
  return Guarded(info.Env(), [&]() -> Napi::Value {
    constexpr const char* kOp = "map.nextKey";
    const FdRef& fd = Open(kOp);
    const uint8_t* from = nullptr;
    if (!IsAbsent(info[0])) {
      from = KeyPointer(RequireBytesOf(info[0], {kOp, content_.name, "key"}, content_.shape.key_size));
    }
    Bytes next = RequireBytesOf(info[1], {kOp, content_.name, "next"}, content_.shape.key_size);
    if (bpf_map_get_next_key(fd->get(), from, const_cast<uint8_t*>(next.data)) != 0) {
      if (errno == ENOENT) return Napi::Boolean::New(info.Env(), false);
      throw ErrnoFailure(errno, kOp, content_.name);
    }
    return Napi::Boolean::New(info.Env(), true);
  });
}

Napi::Value NativeMap::Mmap(const Napi::CallbackInfo& info) {
  return Guarded(info.Env(), [&]() -> Napi::Value {
    constexpr const char* kOp = "map.mmap";
    const FdRef& fd = Open(kOp);
    const MapShape& shape = content_.shape;
    if (shape.type != BPF_MAP_TYPE_ARRAY || (shape.flags & BPF_F_MMAPABLE) == 0) {
      throw CodeFailure("ERR_STATE", kOp, content_.name,
                        "only an array made with BPF_F_MMAPABLE can be mapped");
    }
    size_t length = shape.Stride() * shape.max_entries;
    // Never mapped read-only: JavaScript would fault on writing to it.
    void* memory = mmap(nullptr, length, PROT_READ | PROT_WRITE, MAP_SHARED, fd->get(), 0);
    if (memory == MAP_FAILED) {
      throw ErrnoFailure(errno, kOp, content_.name,
                         errno == EPERM ? "a frozen or read-only map stays unmapped" : "");
    }
    auto unmap = [](Napi::Env, void* data, size_t* size) {
      munmap(data, *size);
      delete size;
    };
    auto* size = new size_t(length);
    try {
      return Napi::ArrayBuffer::New(info.Env(), memory, length, unmap, size);
    } catch (const Napi::Error&) {
      munmap(memory, length);
      delete size;
      throw;
    }
  });
}

Napi::Value NativeMap::Freeze(const Napi::CallbackInfo& info) {
  return Guarded(info.Env(), [&]() -> Napi::Value {
    if (bpf_map_freeze(Open("map.freeze")->get()) != 0) {
      throw ErrnoFailure(errno, "map.freeze", content_.name,
                         errno == EBUSY ? "it is frozen already, or mapped for writing" : "");
    }
    return info.Env().Undefined();
  });
}

Napi::Value NativeMap::Pin(const Napi::CallbackInfo& info) {
  return Guarded(info.Env(), [&]() -> Napi::Value {
    const FdRef& fd = Open("map.pin");
    std::string path = RequireString(info[0], {"map.pin", content_.name, "path"});
    PinFd(fd->get(), path, "map.pin");
    return info.Env().Undefined();
  });
}

Napi::Value NativeMap::Close(const Napi::CallbackInfo& info) {
  content_.fd.reset();
  return info.Env().Undefined();
}

Napi::Function NativeMap::Class(Napi::Env env) {
  return DefineClass(env, "NativeMap",
                     {
                         InstanceMethod<&NativeMap::Info>("info"),
                         InstanceMethod<&NativeMap::Descriptor>("fd"),
                         InstanceMethod<&NativeMap::LookupInto>("lookupInto"),
                         InstanceMethod<&NativeMap::Update>("update"),
                         InstanceMethod<&NativeMap::Delete>("delete"),
                         InstanceMethod<&NativeMap::LookupAndDelete>("lookupAndDelete"),
                         InstanceMethod<&NativeMap::NextKeyInto>("nextKeyInto"),
                         InstanceMethod<&NativeMap::Mmap>("mmap"),
                         InstanceMethod<&NativeMap::Freeze>("freeze"),
                         InstanceMethod<&NativeMap::Pin>("pin"),
                         InstanceMethod<&NativeMap::Close>("close"),
                         InstanceMethod<&NativeMap::UpdateAsync>("updateAsync"),
                         InstanceMethod<&NativeMap::DeleteAsync>("deleteAsync"),
                         InstanceMethod<&NativeMap::LookupBatch>("lookupBatch"),
                         InstanceMethod<&NativeMap::UpdateBatch>("updateBatch"),
                         InstanceMethod<&NativeMap::DeleteBatch>("deleteBatch"),
                     });
}

Napi::Object InitMap(Napi::Env env, Napi::Object exports) {
  EnvData::Of(env).map_class = Napi::Persistent(NativeMap::Class(env));
  exports.Set("mapCreate", Napi::Function::New(env, Create, "mapCreate"));
  exports.Set("mapOpenPinned", Napi::Function::New(env, OpenPinned, "mapOpenPinned"));
  exports.Set("mapOpenId", Napi::Function::New(env, OpenId, "mapOpenId"));
  exports.Set("possibleCpus", Napi::Number::New(env, PossibleCpus()));
  return exports;
}

}  // namespace libbpf_ts
