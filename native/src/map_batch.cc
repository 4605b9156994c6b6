// Operations on many elements and those the kernel makes wait, on libuv's pool.
// A map kind without batch operations is done element by element; what a caller
// sees is the same.
#include <bpf/bpf.h>
#include <errno.h>
#include <string.h>

#include <algorithm>
#include <string>
#include <unordered_set>

#include "async.h"
#include "errors.h"
#include "map.h"
#include "program.h"

namespace libbpf_ts {
namespace {

constexpr int kEnotsupp = 524;  // what the kernel answers for a map kind without this batch operation
constexpr uint32_t kFirstChunk = 1024;
constexpr uint32_t kLargestChunk = 1u << 18;

struct Elements {
  std::vector<uint8_t> keys;
  std::vector<uint8_t> values;
};

bool NoBatch(int errnum) { return errnum == kEnotsupp || errnum == EOPNOTSUPP || errnum == EINVAL; }

// Every element by next-key. A key removed meanwhile sends the kernel back to the first
// key, so keys are remembered; a map that never holds still ends in EAGAIN.
void LookupEach(const FdRef& fd, const MapShape& shape, const std::string& name, Elements& out) {
  std::unordered_set<std::string> seen;
  std::vector<uint8_t> key(shape.key_size), next(shape.key_size), value(shape.TransferSize());
  const uint8_t* from = nullptr;
  uint64_t steps = 0;
  while (bpf_map_get_next_key(fd->get(), from, next.data()) == 0) {
    if (++steps > 4 * static_cast<uint64_t>(shape.max_entries) + 1024) {
      throw ErrnoFailure(EAGAIN, "map.lookupBatch", name, "the map changed faster than it could be read");
    }
    bool is_new = seen.emplace(reinterpret_cast<const char*>(next.data()), next.size()).second;
    if (is_new) {
      if (bpf_map_lookup_elem(fd->get(), next.data(), value.data()) == 0) {
        out.keys.insert(out.keys.end(), next.begin(), next.end());
        out.values.insert(out.values.end(), value.begin(), value.end());
      } else if (errno != ENOENT) {
        throw ErrnoFailure(errno, "map.lookupBatch", name);
      }
    }
    key.swap(next);
    from = key.data();
  }
  if (errno != ENOENT) throw ErrnoFailure(errno, "map.lookupBatch", name);
}

void LookupAll(const FdRef& fd, const MapShape& shape, const std::string& name, uint32_t chunk,
               Elements& out) {
  const size_t value_size = shape.TransferSize();
  // The token is a key for arrays and tries, a 32-bit bucket number for hashes.
  std::vector<uint8_t> token(std::max<size_t>(shape.key_size, 8)), next_token(token.size());
  bool started = false;
  size_t total = 0;
  for (;;) {
    out.keys.resize((total + chunk) * shape.key_size);
    out.values.resize((total + chunk) * value_size);
    uint32_t count = chunk;
    int result = bpf_map_lookup_batch(fd->get(), started ? token.data() : nullptr, next_token.data(),
                                      out.keys.data() + total * shape.key_size,
                                      out.values.data() + total * value_size, &count, nullptr);
    int errnum = result == 0 ? 0 : errno;
    if (errnum == 0 || errnum == ENOENT) {
      total += count;
      token.swap(next_token);
      started = true;
      if (errnum == ENOENT) break;
      chunk = std::min(chunk * 2, kLargestChunk);
    } else if (errnum == ENOSPC && chunk < UINT32_MAX / 2) {
      chunk *= 2;  // one hash bucket holds more than fitted; the token still stands before it
    } else if (errnum == EINTR || (!started && NoBatch(errnum))) {
      out.keys.clear();
      out.values.clear();
      LookupEach(fd, shape, name, out);
      return;
    } else {
      throw ErrnoFailure(errnum, "map.lookupBatch", name);
    }
  }
  out.keys.resize(total * shape.key_size);
  out.values.resize(total * value_size);
}

Failure BatchFailure(int errnum, const char* operation, const std::string& name, size_t done, size_t count) {
  Failure failure = ErrnoFailure(
      errnum, operation, name, std::to_string(done) + " of " + std::to_string(count) + " elements were done");
  failure.completed = static_cast<long>(done);
  return failure;
}

void UpdateAll(const FdRef& fd, const MapShape& shape, const std::string& name,
               const std::vector<uint8_t>& keys, const std::vector<uint8_t>& values, size_t count,
               uint32_t flags) {
  constexpr const char* kOp = "map.updateBatch";
  if (count == 0) return;
  LIBBPF_OPTS(bpf_map_batch_opts, options, .elem_flags = flags);
  uint32_t done = static_cast<uint32_t>(count);
  if (bpf_map_update_batch(fd->get(), keys.data(), values.data(), &done, &options) == 0) return;
  int errnum = errno;
  // A refusal before the first element leaves the count as it was given.
  if (done == count) done = 0;
  if (done > 0 || !NoBatch(errnum)) throw BatchFailure(errnum, kOp, name, done, count);
  for (size_t i = 0; i < count; i++) {
    if (bpf_map_update_elem(fd->get(), &keys[i * shape.key_size], &values[i * shape.TransferSize()], flags) !=
        0) {
      throw BatchFailure(errno, kOp, name, i, count);
    }
  }
}

// Keys that are not there are passed over. Returns how many were.
size_t DeleteAll(const FdRef& fd, const MapShape& shape, const std::string& name,
                 const std::vector<uint8_t>& keys, size_t count) {
  constexpr const char* kOp = "map.deleteBatch";
  size_t deleted = 0;
  size_t at = 0;
  bool batch = true;
  while (at < count) {
    const uint8_t* key = &keys[at * shape.key_size];
    if (batch) {
      uint32_t asked = static_cast<uint32_t>(count - at);
      uint32_t done = asked;
      if (bpf_map_delete_batch(fd->get(), key, &done, nullptr) == 0) return deleted + asked;
      int errnum = errno;
      if (errnum == ENOENT && done < asked) {
        deleted += done;
        at += done + 1;
        continue;
      }
      if (done == asked) done = 0;
      if (done > 0 || !NoBatch(errnum)) throw BatchFailure(errnum, kOp, name, at + done, count);
      batch = false;
      continue;
    }
    if (bpf_map_delete_elem(fd->get(), key) == 0) {
      deleted++;
    } else if (errno != ENOENT) {
      throw BatchFailure(errno, kOp, name, at, count);
    }
    at++;
  }
  return deleted;
}

size_t RequireWholeKeys(const Bytes& keys, const MapShape& shape, const Arg& arg) {
  if (shape.key_size == 0) {
    throw CodeFailure("ERR_STATE", arg.operation, arg.subject, "a map without keys has no batch operations");
  }
  if (keys.size % shape.key_size != 0 || keys.size / shape.key_size > UINT32_MAX) {
    throw CodeFailure("ERR_SIZE", arg.operation, arg.subject,
                      "keys must be a whole number of " + std::to_string(shape.key_size) +
                          "-byte keys, not " + std::to_string(keys.size) + " bytes");
  }
  return keys.size / shape.key_size;
}

FdRef HandleFd(const Napi::Value& value, const Arg& arg) {
  if (NativeProgram::Is(value)) return NativeProgram::From(value, arg).Open(arg.operation);
  return NativeMap::From(value, arg).Open(arg.operation);
}

}  // namespace

ValueArg RequireValues(const Napi::Value& value, const Arg& arg, const MapShape& shape, size_t count) {
  ValueArg out;
  if (value.IsTypedArray()) {
    out.bytes = RequireBytesOf(value, arg, shape.TransferSize() * count).Copy();
    return out;
  }
  if (!value.IsObject()) {
    throw CodeFailure("ERR_ARGUMENT", arg.operation, arg.subject,
                      std::string(arg.name) + " must be a Uint8Array, or the map or program to refer to");
  }
  if (shape.TransferSize() != sizeof(int)) {
    throw CodeFailure("ERR_SIZE", arg.operation, arg.subject,
                      "values of this map have " + std::to_string(shape.TransferSize()) +
                          " bytes: no map or program can be one");
  }
  if (value.IsArray()) {
    Napi::Array list = value.As<Napi::Array>();
    if (list.Length() != count) {
      throw CodeFailure("ERR_SIZE", arg.operation, arg.subject,
                        std::string(arg.name) + " must have " + std::to_string(count) + " elements, not " +
                            std::to_string(list.Length()));
    }
    for (uint32_t i = 0; i < count; i++) out.held.push_back(HandleFd(list.Get(i), arg));
  } else if (count == 1) {
    out.held.push_back(HandleFd(value, arg));
  } else {
    throw CodeFailure("ERR_ARGUMENT", arg.operation, arg.subject,
                      std::string(arg.name) + " must be an array");
  }
  out.bytes.resize(count * sizeof(int));
  for (size_t i = 0; i < count; i++) {
    int fd = out.held[i]->get();
    memcpy(&out.bytes[i * sizeof(int)], &fd, sizeof(int));
  }
  return out;
}

Napi::Value NativeMap::UpdateAsync(const Napi::CallbackInfo& info) {
  return Guarded(info.Env(), [&]() -> Napi::Value {
    constexpr const char* kOp = "map.updateAsync";
    FdRef fd = Open(kOp);
    auto key = RequireBytesOf(info[0], {kOp, name(), "key"}, shape().key_size).Copy();
    auto value = std::make_shared<ValueArg>(RequireValues(info[1], {kOp, name(), "value"}, shape(), 1));
    uint32_t flags = RequireU32(info[2], {kOp, name(), "flags"});
    return RunAsync(
        info.Env(), kOp,
        [fd, key, value, flags, name = name()] {
          if (bpf_map_update_elem(fd->get(), key.empty() ? nullptr : key.data(), value->bytes.data(),
                                  flags) != 0) {
            throw ErrnoFailure(errno, kOp, name);
          }
        },
        [](Napi::Env env) { return env.Undefined(); });
  });
}

Napi::Value NativeMap::DeleteAsync(const Napi::CallbackInfo& info) {
  return Guarded(info.Env(), [&]() -> Napi::Value {
    constexpr const char* kOp = "map.deleteAsync";
    FdRef fd = Open(kOp);
    auto key = RequireBytesOf(info[0], {kOp, name(), "key"}, shape().key_size).Copy();
    auto found = std::make_shared<bool>(true);
    return RunAsync(
        info.Env(), kOp,
        [fd, key, found, name = name()] {
          if (bpf_map_delete_elem(fd->get(), key.empty() ? nullptr : key.data()) == 0) return;
          if (errno != ENOENT) throw ErrnoFailure(errno, kOp, name);
          *found = false;
        },
        [found](Napi::Env env) -> Napi::Value { return Napi::Boolean::New(env, *found); });
  });
}

Napi::Value NativeMap::LookupBatch(const Napi::CallbackInfo& info) {
  return Guarded(info.Env(), [&]() -> Napi::Value {
    constexpr const char* kOp = "map.lookupBatch";
    FdRef fd = Open(kOp);
    if (shape().key_size == 0)
      throw CodeFailure("ERR_STATE", kOp, name(), "a map without keys cannot be listed");
    uint32_t chunk = std::clamp<uint32_t>(shape().max_entries, 1, kFirstChunk);
    if (!IsAbsent(info[0])) {
      chunk = static_cast<uint32_t>(RequireInteger(info[0], {kOp, name(), "chunk"}, 1, kLargestChunk));
    }
    auto out = std::make_shared<Elements>();
    return RunAsync(
        info.Env(), kOp,
        [fd, chunk, out, shape = shape(), name = name()] { LookupAll(fd, shape, name, chunk, *out); },
        [out](Napi::Env env) -> Napi::Value {
          Napi::Object result = Napi::Object::New(env);
          result.Set("keys", Napi::Buffer<uint8_t>::Copy(env, out->keys.data(), out->keys.size()));
          result.Set("values", Napi::Buffer<uint8_t>::Copy(env, out->values.data(), out->values.size()));
          return result;
        });
  });
}

Napi::Value NativeMap::UpdateBatch(const Napi::CallbackInfo& info) {
  return Guarded(info.Env(), [&]() -> Napi::Value {
    constexpr const char* kOp = "map.updateBatch";
    FdRef fd = Open(kOp);
    Bytes view = RequireBytes(info[0], {kOp, name(), "keys"});
    size_t count = RequireWholeKeys(view, shape(), {kOp, name(), "keys"});
    auto keys = std::make_shared<std::vector<uint8_t>>(view.Copy());
    auto values = std::make_shared<ValueArg>(RequireValues(info[1], {kOp, name(), "values"}, shape(), count));
    uint32_t flags = RequireU32(info[2], {kOp, name(), "flags"});
    return RunAsync(
        info.Env(), kOp,
        [fd, keys, values, count, flags, shape = shape(), name = name()] {
          UpdateAll(fd, shape, name, *keys, values->bytes, count, flags);
        },
        [](Napi::Env env) { return env.Undefined(); });
  });
}

Napi::Value NativeMap::DeleteBatch(const Napi::CallbackInfo& info) {
  return Guarded(info.Env(), [&]() -> Napi::Value {
    constexpr const char* kOp = "map.deleteBatch";
    FdRef fd = Open(kOp);
    Bytes view = RequireBytes(info[0], {kOp, name(), "keys"});
    size_t count = RequireWholeKeys(view, shape(), {kOp, name(), "keys"});
    auto keys = std::make_shared<std::vector<uint8_t>>(view.Copy());
    auto deleted = std::make_shared<size_t>(0);
    return RunAsync(
        info.Env(), kOp,
        [fd, keys, count, deleted, shape = shape(), name = name()] {
          *deleted = DeleteAll(fd, shape, name, *keys, count);
        },
        [deleted](Napi::Env env) -> Napi::Value {
          return Napi::Number::New(env, static_cast<double>(*deleted));
        });
  });
}

}  // namespace libbpf_ts
