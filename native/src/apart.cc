// The short-lived thread of apart.h.
#include "apart.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>

#include <exception>
#include <thread>

#include "failure.h"
#include "fd.h"

namespace libbpf_ts {
namespace {

void Go(const Place& place, const char* operation) {
  if (place.netns) {
    Fd ns(open(place.netns->c_str(), O_RDONLY | O_CLOEXEC));
    if (ns.get() < 0) throw ErrnoFailure(errno, operation, *place.netns, "no such network namespace");
    if (setns(ns.get(), CLONE_NEWNET) != 0) {
      throw ErrnoFailure(errno, operation, *place.netns, "cannot enter this network namespace");
    }
  }
  if (place.cpu) {
    cpu_set_t set;
    CPU_ZERO(&set);
    if (*place.cpu < 0 || *place.cpu >= CPU_SETSIZE) {
      throw ErrnoFailure(EINVAL, operation, "cpu", "no such CPU");
    }
    CPU_SET(*place.cpu, &set);
    if (sched_setaffinity(0, sizeof(set), &set) != 0) {
      throw ErrnoFailure(errno, operation, "cpu " + std::to_string(*place.cpu), "cannot run on this CPU");
    }
  }
}

}  // namespace

void RunIn(const Place& place, const char* operation, const std::function<void()>& body) {
  if (place.IsHere()) {
    body();
    return;
  }
  std::exception_ptr error;
  std::thread thread([&] {
    try {
      Go(place, operation);
      body();
    } catch (...) {
      error = std::current_exception();
    }
  });
  thread.join();
  if (error) std::rethrow_exception(error);
}

}  // namespace libbpf_ts
