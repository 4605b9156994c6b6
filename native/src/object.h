// A BPF object file between opening and closing. The libbpf object is not made
// for concurrent use: while it loads on libuv's pool, the JavaScript thread keeps
// its hands off (phase kLoading), and the last of the two to let go frees it.
#pragma once

#include <bpf/libbpf.h>

#include <map>
#include <string>
#include <vector>

#include "fd.h"
#include "map_shape.h"

namespace libbpf_ts {

enum class Phase { kOpen, kLoading, kLoaded, kFailed, kClosed };

struct ObjectState {
  ObjectState() = default;
  ~ObjectState() {
    if (object != nullptr) bpf_object__close(object);
  }
  ObjectState(const ObjectState&) = delete;
  ObjectState& operator=(const ObjectState&) = delete;

  bpf_object* object = nullptr;
  std::string path;
  Phase phase = Phase::kOpen;                         // changed on the JavaScript thread only
  std::vector<std::string> map_names, program_names;  // in the file's order
  std::map<std::string, bpf_map*> maps;
  std::map<std::string, bpf_program*> programs;
  std::map<std::string, std::string> pins;  // map name to path
  std::vector<FdRef> held;                  // inner and reused maps, until the object is gone
  bool debug_log = false;
  std::string log;  // of the last load
};

// Loads programs and maps, adopting or making the pins. Runs on libuv's pool.
void LoadObject(ObjectState& state);

// Throws ERR_SHAPE unless `shape` is what the object declares for `map`.
void RequireSameShape(const bpf_map* map, const MapShape& shape, const char* operation,
                      const std::string& subject);

}  // namespace libbpf_ts
