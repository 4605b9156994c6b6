// Named network namespaces, kept as iproute2 keeps them (a bind mount of the namespace
// on /run/netns/NAME), and the kernel's settings under /proc/sys in any of them. The
// thread that enters or leaves a namespace is always one made for it.
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <sys/file.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#include <exception>
#include <memory>
#include <thread>

#include "apart.h"
#include "args.h"
#include "async.h"
#include "errors.h"
#include "fd.h"
#include "init.h"

namespace libbpf_ts {
namespace {

// Runs `body` on a thread of its own and waits for it.
template <typename Body>
void RunApart(Body&& body) {
  std::exception_ptr error;
  std::thread thread([&] {
    try {
      body();
    } catch (...) {
      error = std::current_exception();
    }
  });
  thread.join();
  if (error) std::rethrow_exception(error);
}

// Mounts below the directory reach other mount namespaces only while it is a shared mount point.
// The lock is the one iproute2 takes, so that two do not each bind the directory over itself.
void ShareDirectory(const std::string& directory, const char* operation) {
  if (mkdir(directory.c_str(), 0755) != 0 && errno != EEXIST) throw ErrnoFailure(errno, operation, directory);
  Fd lock(open(directory.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (lock.get() < 0) throw ErrnoFailure(errno, operation, directory);
  while (flock(lock.get(), LOCK_EX) != 0) {
    if (errno != EINTR) throw ErrnoFailure(errno, operation, directory);
  }
  if (mount("", directory.c_str(), "none", MS_SHARED | MS_REC, nullptr) == 0) return;
  if (errno != EINVAL) throw ErrnoFailure(errno, operation, directory, "cannot make this a shared mount");
  if (mount(directory.c_str(), directory.c_str(), "none", MS_BIND | MS_REC, nullptr) != 0 ||
      mount("", directory.c_str(), "none", MS_SHARED | MS_REC, nullptr) != 0) {
    throw ErrnoFailure(errno, operation, directory, "cannot make this a shared mount");
  }
}

void CreateNetns(const std::string& directory, const std::string& path) {
  constexpr const char* kOp = "netns.create";
  ShareDirectory(directory, kOp);
  {
    Fd file(open(path.c_str(), O_RDONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0));
    if (file.get() < 0) throw ErrnoFailure(errno, kOp, path);
  }
  try {
    RunApart([&] {
      if (unshare(CLONE_NEWNET) != 0) throw ErrnoFailure(errno, kOp, path, "cannot make a network namespace");
      if (mount("/proc/thread-self/ns/net", path.c_str(), "none", MS_BIND, nullptr) != 0) {
        throw ErrnoFailure(errno, kOp, path, "cannot mount the namespace here");
      }
    });
  } catch (...) {
    unlink(path.c_str());
    throw;
  }
}

void DeleteNetns(const std::string& path) {
  constexpr const char* kOp = "netns.delete";
  // EINVAL: nothing mounted, as after a failure between creating and mounting.
  if (umount2(path.c_str(), MNT_DETACH) != 0 && errno != EINVAL) throw ErrnoFailure(errno, kOp, path);
  if (unlink(path.c_str()) != 0) throw ErrnoFailure(errno, kOp, path);
}

Napi::Value NetnsCreate(const Napi::CallbackInfo& info) {
  return Guarded(info.Env(), [&]() -> Napi::Value {
    static const std::string kNone;
    std::string directory = RequireString(info[0], {"netns.create", kNone, "directory"});
    std::string path = RequireString(info[1], {"netns.create", kNone, "path"});
    return RunAsync(
        info.Env(), "libbpf_ts.netns.create", [=] { CreateNetns(directory, path); },
        [](Napi::Env env) { return env.Undefined(); });
  });
}

Napi::Value NetnsDelete(const Napi::CallbackInfo& info) {
  return Guarded(info.Env(), [&]() -> Napi::Value {
    static const std::string kNone;
    std::string path = RequireString(info[0], {"netns.delete", kNone, "path"});
    return RunAsync(
        info.Env(), "libbpf_ts.netns.delete", [=] { DeleteNetns(path); },
        [](Napi::Env env) { return env.Undefined(); });
  });
}

struct Setting {
  std::string path;
  std::optional<std::string> value;  // absent: read
};

// The kernel takes a setting in one write, and looks names under /proc/sys/net up in the
// namespace of the thread that opens them.
void WriteSetting(const Setting& setting) {
  constexpr const char* kOp = "sysctl.set";
  Fd file(open(setting.path.c_str(), O_WRONLY | O_CLOEXEC));
  if (file.get() < 0) throw ErrnoFailure(errno, kOp, setting.path);
  if (write(file.get(), setting.value->data(), setting.value->size()) < 0) {
    throw ErrnoFailure(errno, kOp, setting.path, "the kernel refuses the value " + *setting.value);
  }
}

std::string ReadSetting(const Setting& setting) {
  constexpr const char* kOp = "sysctl.get";
  Fd file(open(setting.path.c_str(), O_RDONLY | O_CLOEXEC));
  if (file.get() < 0) throw ErrnoFailure(errno, kOp, setting.path);
  std::string text;
  char part[4096];
  ssize_t size;
  while ((size = read(file.get(), part, sizeof(part))) > 0) text.append(part, static_cast<size_t>(size));
  if (size < 0) throw ErrnoFailure(errno, kOp, setting.path);
  while (!text.empty() && text.back() == '\n') text.pop_back();
  return text;
}

// (netns or null, paths, values or null to read) -> what the settings were, in order, when reading.
Napi::Value Sysctl(const Napi::CallbackInfo& info) {
  return Guarded(info.Env(), [&]() -> Napi::Value {
    static const std::string kNone;
    Place place;
    place.netns = OptionalString(info[0], {"sysctl", kNone, "netns"});
    bool writing = !IsAbsent(info[2]);
    const char* operation = writing ? "sysctl.set" : "sysctl.get";
    if (!info[1].IsArray() || (writing && !info[2].IsArray())) {
      throw CodeFailure("ERR_ARGUMENT", operation, "", "paths and values must be arrays");
    }
    Napi::Array paths = info[1].As<Napi::Array>();
    auto settings = std::make_shared<std::vector<Setting>>();
    for (uint32_t i = 0; i < paths.Length(); i++) {
      Setting setting = {RequireString(paths.Get(i), {operation, kNone, "path"}), std::nullopt};
      if (writing) {
        setting.value = RequireString(info[2].As<Napi::Array>().Get(i), {operation, setting.path, "value"});
      }
      settings->push_back(std::move(setting));
    }
    auto found = std::make_shared<std::vector<std::string>>();
    return RunAsync(
        info.Env(), "libbpf_ts.sysctl",
        [=] {
          RunIn(place, operation, [&] {
            long done = 0;
            try {
              for (const Setting& setting : *settings) {
                if (setting.value) {
                  WriteSetting(setting);
                } else {
                  found->push_back(ReadSetting(setting));
                }
                done++;
              }
            } catch (Failure& failure) {
              failure.completed = done;
              throw;
            }
          });
        },
        [=](Napi::Env env) -> Napi::Value {
          Napi::Array made = Napi::Array::New(env, found->size());
          for (uint32_t i = 0; i < found->size(); i++) made.Set(i, Napi::String::New(env, (*found)[i]));
          return made;
        });
  });
}

}  // namespace

Napi::Object InitNetns(Napi::Env env, Napi::Object exports) {
  exports.Set("netnsCreate", Napi::Function::New(env, NetnsCreate, "netnsCreate"));
  exports.Set("netnsDelete", Napi::Function::New(env, NetnsDelete, "netnsDelete"));
  exports.Set("sysctl", Napi::Function::New(env, Sysctl, "sysctl"));
  return exports;
}

}  // namespace libbpf_ts
