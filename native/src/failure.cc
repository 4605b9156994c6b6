// Names and texts for errno values, and the two ways a Failure begins.
#include "failure.h"

#include <bpf/libbpf.h>
#include <string.h>

#include <iterator>
#include <utility>

namespace libbpf_ts {
namespace {

// The kernel's own "operation not supported" of BPF map operations; user space has no name for it.
constexpr int kEnotsupp = 524;

// libbpf's own error numbers, from LIBBPF_ERRNO__LIBELF on (bpf/libbpf.h).
constexpr int kLibbpfFirst = 4000;
constexpr const char* kLibbpfNames[] = {
    "LIBBPF_LIBELF",   "LIBBPF_FORMAT",  "LIBBPF_KVERSION", "LIBBPF_ENDIAN",   "LIBBPF_INTERNAL",
    "LIBBPF_RELOC",    "LIBBPF_LOAD",    "LIBBPF_VERIFY",   "LIBBPF_PROG2BIG", "LIBBPF_KVER",
    "LIBBPF_PROGTYPE", "LIBBPF_WRNGPID", "LIBBPF_INVSEQ",   "LIBBPF_NLPARSE"};

bool IsLibbpf(int errnum) {
  return errnum >= kLibbpfFirst && errnum < kLibbpfFirst + static_cast<int>(std::size(kLibbpfNames));
}

std::string TextOf(int errnum) {
  if (errnum == kEnotsupp) return "Operation not supported by this kind";
  if (IsLibbpf(errnum)) {
    char text[128] = "";
    libbpf_strerror(errnum, text, sizeof(text));
    return text;
  }
  const char* text = strerrordesc_np(errnum);
  return text != nullptr ? text : "Unknown error";
}

}  // namespace

std::string ErrnoName(int errnum) {
  if (errnum == kEnotsupp) return "ENOTSUPP";
  if (IsLibbpf(errnum)) return kLibbpfNames[errnum - kLibbpfFirst];
  const char* name = strerrorname_np(errnum);
  return name != nullptr ? std::string(name) : "E" + std::to_string(errnum);
}

Failure ErrnoFailure(int errnum, std::string operation, std::string subject, const std::string& hint) {
  if (errnum < 0) errnum = -errnum;
  Failure failure;
  failure.code = ErrnoName(errnum);
  failure.errnum = errnum;
  failure.operation = std::move(operation);
  failure.subject = std::move(subject);
  failure.detail = TextOf(errnum);
  if (!hint.empty()) failure.detail += "; " + hint;
  return failure;
}

Failure CodeFailure(std::string code, std::string operation, std::string subject, std::string detail) {
  Failure failure;
  failure.code = std::move(code);
  failure.operation = std::move(operation);
  failure.subject = std::move(subject);
  failure.detail = std::move(detail);
  return failure;
}

}  // namespace libbpf_ts
