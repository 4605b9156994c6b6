// Loading: pinned maps of identical shape are adopted, missing pins are made once
// everything else has succeeded, and the verifier's log travels in the failure.
#include <bpf/bpf.h>
#include <errno.h>
#include <sys/stat.h>
#include <unistd.h>

#include <string_view>

#include "log.h"
#include "object.h"
#include "program.h"

namespace libbpf_ts {
namespace {

constexpr const char* kOp = "object.load";

// The sentence a person needs first: which program, and the verifier's last word on it.
std::string VerifierSays(const std::string& log) {
  constexpr std::string_view kBegin = "-- BEGIN PROG LOAD LOG --\n", kEnd = "-- END PROG LOAD LOG --";
  std::string_view text(log);
  size_t begin = text.find(kBegin);
  if (begin == std::string_view::npos) return {};
  std::string name;
  size_t prog = text.rfind("prog '", begin);
  if (prog != std::string_view::npos) {
    prog += 6;
    size_t quote = text.find('\'', prog);
    if (quote != std::string_view::npos) name = text.substr(prog, quote - prog);
  }
  begin += kBegin.size();
  text = text.substr(begin, text.find(kEnd, begin) - begin);
  std::string_view last;
  while (!text.empty()) {
    size_t line_end = text.find('\n');
    std::string_view line = text.substr(0, line_end);
    text = line_end == std::string_view::npos ? std::string_view() : text.substr(line_end + 1);
    if (!line.empty() && line.rfind("processed ", 0) != 0 && line.rfind("verification time", 0) != 0 &&
        line.rfind("stack depth", 0) != 0) {
      last = line;
    }
  }
  return "program " + name + ": " + std::string(last);
}

void Require(uint32_t wanted, uint32_t found, const char* what, const char* operation,
             const std::string& subject) {
  if (wanted == found) return;
  throw CodeFailure("ERR_SHAPE", operation, subject,
                    std::string("the existing map has ") + what + " " + std::to_string(found) +
                        ", the object declares " + std::to_string(wanted));
}

void AdoptPins(ObjectState& state, std::vector<std::pair<bpf_map*, std::string>>& missing) {
  for (const auto& [name, path] : state.pins) {
    bpf_map* map = state.maps.at(name);
    struct stat ignored;
    if (stat(path.c_str(), &ignored) != 0 && errno == ENOENT) {
      missing.emplace_back(map, path);
      continue;
    }
    FdRef fd = OwnFd(OpenPin(path, 'm', kOp), kOp, path);
    RequireSameShape(map, MapShape::Of(fd->get(), kOp, path), kOp, path);
    int error = bpf_map__reuse_fd(map, fd->get());
    if (error != 0) throw ErrnoFailure(error, kOp, path, "cannot use the pinned map");
  }
}

void MakePins(const std::vector<std::pair<bpf_map*, std::string>>& missing) {
  for (size_t i = 0; i < missing.size(); i++) {
    try {
      PinFd(bpf_map__fd(missing[i].first), missing[i].second, kOp);
    } catch (const Failure&) {
      while (i-- > 0) unlink(missing[i].second.c_str());
      throw;
    }
  }
}

}  // namespace

void RequireSameShape(const bpf_map* map, const MapShape& shape, const char* operation,
                      const std::string& subject) {
  Require(bpf_map__type(map), shape.type, "type", operation, subject);
  Require(bpf_map__key_size(map), shape.key_size, "key size", operation, subject);
  Require(bpf_map__value_size(map), shape.value_size, "value size", operation, subject);
  Require(bpf_map__max_entries(map), shape.max_entries, "max entries", operation, subject);
  // The kernel adds the read-only flag to device maps by itself.
  bool device = shape.type == BPF_MAP_TYPE_DEVMAP || shape.type == BPF_MAP_TYPE_DEVMAP_HASH;
  uint32_t ignored = device ? static_cast<uint32_t>(BPF_F_RDONLY_PROG) : 0;
  Require(bpf_map__map_flags(map) | ignored, shape.flags | ignored, "flags", operation, subject);
}

void LoadObject(ObjectState& state) {
  LogCapture capture(state.debug_log);
  std::vector<std::pair<bpf_map*, std::string>> missing;
  AdoptPins(state, missing);
  int error = bpf_object__load(state.object);
  state.log = capture.Take();
  if (error != 0) {
    Failure failure = ErrnoFailure(error, kOp, state.path, VerifierSays(state.log));
    failure.log = state.log;
    throw failure;
  }
  MakePins(missing);
}

}  // namespace libbpf_ts
