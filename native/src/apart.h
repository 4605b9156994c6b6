// Some system calls mean "in the caller's network namespace" or "on the caller's
// CPU". They are made from a short-lived thread which has gone there, so that no
// thread of Node's ever moves.
#pragma once

#include <functional>
#include <optional>
#include <string>

namespace libbpf_ts {

struct Place {
  std::optional<std::string> netns;  // path such as /run/netns/x
  std::optional<int> cpu;

  bool IsHere() const { return !netns && !cpu; }
};

// Runs `body` in `place` and waits for it; on the calling thread when the place is here.
// Exceptions of `body` are rethrown to the caller.
void RunIn(const Place& place, const char* operation, const std::function<void()>& body);

}  // namespace libbpf_ts
