// All offloads of an interface under the kernel's own names, and which of them can be changed:
// what the short names of ethtool.cc leave out (rx-gro-hw) or do not tell (fixed ones).
#include <algorithm>
#include <memory>
#include <vector>

#include "async.h"
#include "ethtool.h"
#include "init.h"

namespace libbpf_ts {
namespace {

// Today's kernels have some 60. What they answer is not believed beyond this.
constexpr uint32_t kMost = 1024;

struct Offload {
  std::string name;  // empty: the bit has no meaning
  bool on = false;
  bool changeable = false;
};

using Wanted = std::vector<std::pair<std::string, bool>>;

// A command with an array behind it, in words so that it is aligned.
template <typename Command>
class Sized {
 public:
  explicit Sized(size_t extra) : words_((sizeof(Command) + extra + 3) / 4) {}
  Command* get() { return reinterpret_cast<Command*>(words_.data()); }

 private:
  std::vector<uint32_t> words_;
};

uint32_t Count(const Ioctl& interface) {
  Sized<ethtool_sset_info> info(sizeof(uint32_t));
  info.get()->cmd = ETHTOOL_GSSET_INFO;
  info.get()->sset_mask = 1ULL << ETH_SS_FEATURES;
  interface.Do(info.get(), "the interface does not tell its offloads");
  return info.get()->sset_mask == 0 ? 0 : std::min(info.get()->data[0], kMost);
}

std::vector<Offload> Read(const Ioctl& interface) {
  uint32_t count = Count(interface);
  uint32_t blocks = (count + 31) / 32;
  // The kernel writes as many as there are, whatever is asked for.
  Sized<ethtool_gstrings> strings(static_cast<size_t>(kMost) * ETH_GSTRING_LEN);
  strings.get()->cmd = ETHTOOL_GSTRINGS;
  strings.get()->string_set = ETH_SS_FEATURES;
  strings.get()->len = count;
  interface.Do(strings.get());
  Sized<ethtool_gfeatures> states(blocks * sizeof(ethtool_get_features_block));
  states.get()->cmd = ETHTOOL_GFEATURES;
  states.get()->size = blocks;
  interface.Do(states.get());
  std::vector<Offload> found(std::min(count, strings.get()->len));
  for (uint32_t i = 0; i < found.size(); i++) {
    const char* name = reinterpret_cast<const char*>(strings.get()->data) + i * ETH_GSTRING_LEN;
    const ethtool_get_features_block& block = states.get()->features[i / 32];
    uint32_t bit = 1U << (i % 32);
    found[i].name = std::string(name, strnlen(name, ETH_GSTRING_LEN));
    found[i].on = (block.active & bit) != 0;
    found[i].changeable = (block.available & bit) != 0 && (block.never_changed & bit) == 0;
  }
  return found;
}

// What already is as wanted is not touched.
void Write(const Ioctl& interface, const Device& device, const char* operation, const Wanted& wanted) {
  std::vector<Offload> present = Read(interface);
  uint32_t blocks = static_cast<uint32_t>((present.size() + 31) / 32);
  Sized<ethtool_sfeatures> change(blocks * sizeof(ethtool_set_features_block));
  change.get()->cmd = ETHTOOL_SFEATURES;
  change.get()->size = blocks;
  bool any = false;
  for (const auto& [name, on] : wanted) {
    uint32_t i = 0;
    while (i < present.size() && present[i].name != name) i++;
    if (name.empty() || i == present.size()) {
      throw CodeFailure("ERR_ARGUMENT", operation, device.name, name + " is no offload this kernel knows");
    }
    if (present[i].on == on) continue;
    if (!present[i].changeable) {
      throw ErrnoFailure(EOPNOTSUPP, operation, device.name, name + " is fixed on this interface");
    }
    any = true;
    change.get()->features[i / 32].valid |= 1U << (i % 32);
    if (on) change.get()->features[i / 32].requested |= 1U << (i % 32);
  }
  if (any) interface.Do(change.get());
}

// (netns, name, names to set or null, values) -> [{name, on, changeable}] as they are afterwards.
Napi::Value EthtoolOffloads(const Napi::CallbackInfo& info) {
  return Guarded(info.Env(), [&]() -> Napi::Value {
    bool setting = !IsAbsent(info[2]);
    const char* operation = setting ? "ethtool.setOffloads" : "ethtool.getOffloads";
    Device device = RequireDevice(info, operation);
    auto wanted = std::make_shared<Wanted>();
    if (setting) {
      if (!info[2].IsArray() || !info[3].IsArray()) {
        throw CodeFailure("ERR_ARGUMENT", operation, device.name, "names and values must be arrays");
      }
      Napi::Array names = info[2].As<Napi::Array>(), values = info[3].As<Napi::Array>();
      for (uint32_t i = 0; i < names.Length(); i++) {
        std::string name = RequireString(names.Get(i), {operation, device.name, "offload"});
        bool on = RequireBool(values.Get(i), {operation, device.name, name.c_str()});
        wanted->emplace_back(std::move(name), on);
      }
    }
    auto found = std::make_shared<std::vector<Offload>>();
    return RunAsync(
        info.Env(), "libbpf_ts.ethtool",
        [=] {
          Ioctl interface(device, operation);
          if (setting) Write(interface, device, operation, *wanted);
          *found = Read(interface);
        },
        [=](Napi::Env env) -> Napi::Value {
          Napi::Array made = Napi::Array::New(env);
          for (const Offload& offload : *found) {
            if (offload.name.empty()) continue;
            Napi::Object one = Napi::Object::New(env);
            one.Set("name", offload.name);
            one.Set("on", offload.on);
            one.Set("changeable", offload.changeable);
            made.Set(made.Length(), one);
          }
          return made;
        });
  });
}

}  // namespace

Napi::Object InitOffloads(Napi::Env env, Napi::Object exports) {
  exports.Set("ethtoolOffloads", Napi::Function::New(env, EthtoolOffloads, "ethtoolOffloads"));
  return exports;
}

}  // namespace libbpf_ts
