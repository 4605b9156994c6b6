// Argument checks: each names the operation, the argument and what would be right.
#include "args.h"

#include <limits.h>

#include <cmath>

#include "failure.h"

namespace libbpf_ts {
namespace {

const char* KindOf(const Napi::Value& value) {
  switch (value.Type()) {
    case napi_undefined:
      return "undefined";
    case napi_null:
      return "null";
    case napi_boolean:
      return "a boolean";
    case napi_number:
      return "a number";
    case napi_string:
      return "a string";
    case napi_symbol:
      return "a symbol";
    case napi_function:
      return "a function";
    case napi_bigint:
      return "a bigint";
    default:
      return "an object of another kind";
  }
}

Failure Wrong(const Arg& arg, const std::string& wanted, const std::string& got) {
  return CodeFailure("ERR_ARGUMENT", arg.operation, arg.subject,
                     std::string(arg.name) + " must be " + wanted + ", not " + got);
}

}  // namespace

std::string RequireString(const Napi::Value& value, const Arg& arg) {
  if (!value.IsString()) throw Wrong(arg, "a string", KindOf(value));
  std::string text = value.As<Napi::String>().Utf8Value();
  if (text.empty()) throw Wrong(arg, "a non-empty string", "empty");
  if (text.find('\0') != std::string::npos) throw Wrong(arg, "a string without NUL", "one that contains it");
  if (text.size() >= PATH_MAX) throw Wrong(arg, "shorter than 4096 bytes", "longer");
  return text;
}

std::optional<std::string> OptionalString(const Napi::Value& value, const Arg& arg) {
  if (IsAbsent(value)) return std::nullopt;
  return RequireString(value, arg);
}

int64_t RequireInteger(const Napi::Value& value, const Arg& arg, int64_t min, int64_t max) {
  std::string wanted = "an integer between " + std::to_string(min) + " and " + std::to_string(max);
  if (!value.IsNumber()) throw Wrong(arg, wanted, KindOf(value));
  double number = value.As<Napi::Number>().DoubleValue();
  if (!(number >= static_cast<double>(min) && number <= static_cast<double>(max)) ||
      number != std::trunc(number)) {
    throw Wrong(arg, wanted, std::isfinite(number) ? std::to_string(number) : "a number without a value");
  }
  return static_cast<int64_t>(number);
}

uint32_t RequireU32(const Napi::Value& value, const Arg& arg) {
  return static_cast<uint32_t>(RequireInteger(value, arg, 0, UINT32_MAX));
}

bool RequireBool(const Napi::Value& value, const Arg& arg) {
  if (!value.IsBoolean()) throw Wrong(arg, "a boolean", KindOf(value));
  return value.As<Napi::Boolean>().Value();
}

Bytes RequireBytes(const Napi::Value& value, const Arg& arg) {
  if (!value.IsTypedArray()) throw Wrong(arg, "a Uint8Array", KindOf(value));
  napi_typedarray_type type;
  size_t length = 0;
  void* data = nullptr;
  napi_status status = napi_get_typedarray_info(value.Env(), value, &type, &length, &data, nullptr, nullptr);
  if (status != napi_ok || (type != napi_uint8_array && type != napi_uint8_clamped_array)) {
    throw Wrong(arg, "a Uint8Array", "an array of another element type");
  }
  static const uint8_t kNothing = 0;
  if (data == nullptr || length == 0) return {&kNothing, 0};
  return {static_cast<const uint8_t*>(data), length};
}

Bytes RequireBytesOf(const Napi::Value& value, const Arg& arg, size_t size) {
  Bytes bytes = RequireBytes(value, arg);
  if (bytes.size != size) {
    throw CodeFailure("ERR_SIZE", arg.operation, arg.subject,
                      std::string(arg.name) + " must have " + std::to_string(size) + " bytes, not " +
                          std::to_string(bytes.size));
  }
  return bytes;
}

std::optional<Bytes> OptionalBytes(const Napi::Value& value, const Arg& arg) {
  if (IsAbsent(value)) return std::nullopt;
  return RequireBytes(value, arg);
}

Napi::Function RequireFunction(const Napi::Value& value, const Arg& arg) {
  if (!value.IsFunction()) throw Wrong(arg, "a function", KindOf(value));
  return value.As<Napi::Function>();
}

}  // namespace libbpf_ts
