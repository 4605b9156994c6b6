// Questions to the kernel about maps and about descriptors of unknown kind.
#include "map_shape.h"

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <errno.h>
#include <limits.h>
#include <string.h>
#include <unistd.h>

#include <string_view>

#include "failure.h"
#include "fd.h"

namespace libbpf_ts {

bool MapShape::PerCpu() const {
  return type == BPF_MAP_TYPE_PERCPU_HASH || type == BPF_MAP_TYPE_LRU_PERCPU_HASH ||
         type == BPF_MAP_TYPE_PERCPU_ARRAY || type == BPF_MAP_TYPE_PERCPU_CGROUP_STORAGE;
}

size_t MapShape::TransferSize() const {
  return PerCpu() ? Stride() * static_cast<size_t>(PossibleCpus()) : value_size;
}

MapShape MapShape::Of(int fd, const char* operation, const std::string& subject) {
  bpf_map_info info = {};
  uint32_t length = sizeof(info);
  if (bpf_obj_get_info_by_fd(fd, &info, &length) != 0) throw ErrnoFailure(errno, operation, subject);
  MapShape shape;
  shape.type = info.type;
  shape.id = info.id;
  shape.key_size = info.key_size;
  shape.value_size = info.value_size;
  shape.max_entries = info.max_entries;
  shape.flags = info.map_flags;
  shape.name = std::string(info.name, strnlen(info.name, sizeof(info.name)));
  return shape;
}

int PossibleCpus() {
  static const int cpus = [] {
    int count = libbpf_num_possible_cpus();
    return count > 0 ? count : static_cast<int>(sysconf(_SC_NPROCESSORS_CONF));
  }();
  return cpus;
}

char KindOfFd(int fd) {
  char target[PATH_MAX];
  ssize_t length = readlink(("/proc/self/fd/" + std::to_string(fd)).c_str(), target, sizeof(target));
  if (length <= 0) return '?';
  // "anon_inode:bpf-map", "anon_inode:bpf-prog", "anon_inode:bpf_link" (later "bpf-link")
  std::string_view text(target, static_cast<size_t>(length));
  if (text.find("bpf") == std::string_view::npos) return '?';
  if (text.find("map") != std::string_view::npos) return 'm';
  if (text.find("prog") != std::string_view::npos) return 'p';
  if (text.find("link") != std::string_view::npos) return 'l';
  return '?';
}

int OpenPin(const std::string& path, char kind, const char* operation) {
  int fd = bpf_obj_get(path.c_str());
  if (fd < 0) {
    const char* hint = errno == ENOENT ? "nothing is pinned here"
                       : errno == EINVAL || errno == EACCES || errno == EPERM
                           ? "the path must be a pin in a mounted BPF file system that this process may open"
                           : "";
    throw ErrnoFailure(errno, operation, path, hint);
  }
  if (KindOfFd(fd) != kind) {
    Fd owned(fd);
    const char* wanted = kind == 'm' ? "a map" : kind == 'p' ? "a program" : "a link";
    throw CodeFailure("ERR_FOREIGN", operation, path, std::string("what is pinned here is not ") + wanted);
  }
  return fd;
}

}  // namespace libbpf_ts
