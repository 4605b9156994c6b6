// An owned file descriptor, shared between a handle and the operations in
// flight on it: the number stays taken until the last of them lets go.
#pragma once

#include <fcntl.h>
#include <unistd.h>

#include <memory>
#include <string>

#include "failure.h"

namespace libbpf_ts {

class Fd {
 public:
  explicit Fd(int fd) : fd_(fd) {}
  ~Fd() {
    if (fd_ >= 0) close(fd_);
  }
  Fd(const Fd&) = delete;
  Fd& operator=(const Fd&) = delete;

  int get() const { return fd_; }

 private:
  int fd_;
};

using FdRef = std::shared_ptr<const Fd>;

// Numbers below 3 are kept free: the kernel reads a devmap's program descriptor 0 as "none".
inline FdRef DupFd(int fd, const char* operation, const std::string& subject) {
  int copy = fcntl(fd, F_DUPFD_CLOEXEC, 3);
  if (copy < 0) throw ErrnoFailure(errno, operation, subject);
  return std::make_shared<const Fd>(copy);
}

inline FdRef OwnFd(int fd, const char* operation, const std::string& subject) {
  auto owned = std::make_shared<const Fd>(fd);
  return fd >= 3 ? owned : DupFd(fd, operation, subject);
}

}  // namespace libbpf_ts
