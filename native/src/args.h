// Argument checks of the boundary. None of them runs JavaScript (no valueOf, no
// getters on bytes), so what was checked is still true when it is used.
#pragma once

#include <napi.h>

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace libbpf_ts {

// A view of a Uint8Array's memory, good until control returns to JavaScript.
struct Bytes {
  const uint8_t* data = nullptr;
  size_t size = 0;

  std::vector<uint8_t> Copy() const { return {data, data + size}; }
};

// Where an argument stands, for its error: the operation, its subject and the argument's name.
struct Arg {
  const char* operation;
  const std::string& subject;
  const char* name;
};

std::string RequireString(const Napi::Value& value, const Arg& arg);  // no NUL, < 4096 bytes
std::optional<std::string> OptionalString(const Napi::Value& value,
                                          const Arg& arg);  // null or undefined: none
uint32_t RequireU32(const Napi::Value& value, const Arg& arg);
int64_t RequireInteger(const Napi::Value& value, const Arg& arg, int64_t min, int64_t max);
bool RequireBool(const Napi::Value& value, const Arg& arg);
Bytes RequireBytes(const Napi::Value& value, const Arg& arg);
Bytes RequireBytesOf(const Napi::Value& value, const Arg& arg, size_t size);
std::optional<Bytes> OptionalBytes(const Napi::Value& value, const Arg& arg);
Napi::Function RequireFunction(const Napi::Value& value, const Arg& arg);

inline bool IsAbsent(const Napi::Value& value) { return value.IsNull() || value.IsUndefined(); }

}  // namespace libbpf_ts
