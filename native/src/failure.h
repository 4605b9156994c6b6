// What went wrong, as plain C++ data: code below the N-API boundary throws a
// Failure, on any thread; errors.h turns it into a JavaScript BpfError.
#pragma once

#include <exception>
#include <string>

namespace libbpf_ts {

struct Failure : std::exception {
  std::string code;       // an errno's name, or one of the ERR_ codes of the typed facade
  int errnum = 0;         // positive errno, 0 when the kernel was not asked
  std::string operation;  // "map.update"
  std::string subject;    // the map, program, path or argument it was about; may be empty
  std::string detail;     // one sentence: what is wrong and what would be right
  std::string log;        // libbpf's and the verifier's messages; may be empty
  long completed = -1;    // elements of a batch that were done before the failure; -1: does not apply

  const char* what() const noexcept override { return detail.c_str(); }
};

// A failure the kernel (or libbpf) reported; `hint` is added to the errno's own text.
Failure ErrnoFailure(int errnum, std::string operation, std::string subject, const std::string& hint = {});

// A failure found here, before the kernel was asked.
Failure CodeFailure(std::string code, std::string operation, std::string subject, std::string detail);

std::string ErrnoName(int errnum);

}  // namespace libbpf_ts
