// What the kernel says a map is, and the buffer sizes that follow: the sizes
// every call is checked against before the kernel copies anything.
#pragma once

#include <linux/bpf.h>

#include <cstddef>
#include <cstdint>
#include <string>

namespace libbpf_ts {

struct MapShape {
  uint32_t type = 0;
  uint32_t id = 0;
  uint32_t key_size = 0;
  uint32_t value_size = 0;
  uint32_t max_entries = 0;
  uint32_t flags = 0;
  std::string name;  // the kernel keeps 15 characters

  // Distance between elements in a mmap'ed array, and between CPUs in a per-CPU value.
  size_t Stride() const { return (static_cast<size_t>(value_size) + 7) / 8 * 8; }
  bool PerCpu() const;
  // Bytes the kernel reads or writes for one value.
  size_t TransferSize() const;

  static MapShape Of(int fd, const char* operation, const std::string& subject);
};

// CPUs the kernel may ever have; per-CPU values have this many parts.
int PossibleCpus();

// What a BPF descriptor is: 'm' map, 'p' program, 'l' link, '?' something else.
char KindOfFd(int fd);

// Opens a pin and checks that it is a `kind`; returns an owned descriptor.
int OpenPin(const std::string& path, char kind, const char* operation);

}  // namespace libbpf_ts
