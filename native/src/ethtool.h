// One interface and its ethtool ioctls. They act in the namespace of the socket they are made
// on, which a short-lived thread opens there.
#pragma once

#include <errno.h>
#include <linux/ethtool.h>
#include <linux/sockios.h>
#include <net/if.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

#include <string>

#include "apart.h"
#include "args.h"
#include "errors.h"
#include "fd.h"

namespace libbpf_ts {

struct Device {
  Place place;
  std::string name;
};

inline Device RequireDevice(const Napi::CallbackInfo& info, const char* operation) {
  static const std::string kNone;
  Device device;
  device.place.netns = OptionalString(info[0], {operation, kNone, "netns"});
  device.name = RequireString(info[1], {operation, kNone, "name"});
  if (device.name.size() >= IFNAMSIZ) {
    throw CodeFailure("ERR_ARGUMENT", operation, device.name, "name must have at most 15 bytes");
  }
  return device;
}

// One interface, reached through a socket in its namespace.
class Ioctl {
 public:
  Ioctl(const Device& device, const char* operation) : operation_(operation), name_(device.name) {
    int fd = -1;
    RunIn(device.place, operation, [&] {
      fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
      if (fd < 0) throw ErrnoFailure(errno, operation, name_);
    });
    fd_ = OwnFd(fd, operation, name_);
  }

  // Returns 0 or a positive errno.
  int Try(void* command) const {
    ifreq request = {};
    memcpy(request.ifr_name, name_.data(), name_.size());
    request.ifr_data = static_cast<char*>(command);
    // Some commands answer with bits above zero.
    return ioctl(fd_->get(), SIOCETHTOOL, &request) < 0 ? errno : 0;
  }
  void Do(void* command, const std::string& hint = {}) const {
    int error = Try(command);
    if (error != 0) throw ErrnoFailure(error, operation_, name_, hint);
  }
  uint32_t Get(uint32_t command) const {
    ethtool_value value = {command, 0};
    Do(&value);
    return value.data;
  }

 private:
  const char* operation_;
  std::string name_;
  FdRef fd_;
};

}  // namespace libbpf_ts
