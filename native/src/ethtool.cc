// An interface's offloads by ethtool's short names, its driver, channels and rings.
#include "ethtool.h"

#include <map>
#include <memory>

#include "async.h"
#include "init.h"

namespace libbpf_ts {
namespace {

// A named group of offloads: its own pair of commands, or one bit of the shared flags.
struct Feature {
  const char* name;
  uint32_t get;
  uint32_t set;
  uint32_t flag;
};

constexpr Feature kFeatures[] = {
    {"rx", ETHTOOL_GRXCSUM, ETHTOOL_SRXCSUM, 0},
    {"tx", ETHTOOL_GTXCSUM, ETHTOOL_STXCSUM, 0},
    {"sg", ETHTOOL_GSG, ETHTOOL_SSG, 0},
    {"tso", ETHTOOL_GTSO, ETHTOOL_STSO, 0},
    {"gso", ETHTOOL_GGSO, ETHTOOL_SGSO, 0},
    {"gro", ETHTOOL_GGRO, ETHTOOL_SGRO, 0},
    {"txvlan", ETHTOOL_GFLAGS, ETHTOOL_SFLAGS, ETH_FLAG_TXVLAN},
    {"rxvlan", ETHTOOL_GFLAGS, ETHTOOL_SFLAGS, ETH_FLAG_RXVLAN},
    {"lro", ETHTOOL_GFLAGS, ETHTOOL_SFLAGS, ETH_FLAG_LRO},
};

bool Has(const Ioctl& interface, const Feature& feature) {
  uint32_t value = interface.Get(feature.get);
  return feature.flag != 0 ? (value & feature.flag) != 0 : value != 0;
}

void Set(const Ioctl& interface, const Feature& feature, bool on) {
  uint32_t data = on ? 1 : 0;
  if (feature.flag != 0) {
    data = interface.Get(feature.get);
    data = on ? data | feature.flag : data & ~feature.flag;
  }
  ethtool_value value = {feature.set, data};
  interface.Do(&value, std::string(feature.name) + " cannot be changed on this interface");
}

const Feature* FindFeature(const std::string& name) {
  for (const Feature& feature : kFeatures) {
    if (name == feature.name) return &feature;
  }
  return nullptr;
}

// (netns, name, names to set or null, values) -> {feature: boolean} as it is afterwards.
Napi::Value EthtoolFeatures(const Napi::CallbackInfo& info) {
  return Guarded(info.Env(), [&]() -> Napi::Value {
    bool setting = !IsAbsent(info[2]);
    const char* operation = setting ? "ethtool.setFeatures" : "ethtool.getFeatures";
    Device device = RequireDevice(info, operation);
    auto wanted = std::make_shared<std::vector<std::pair<const Feature*, bool>>>();
    if (setting) {
      if (!info[2].IsArray() || !info[3].IsArray()) {
        throw CodeFailure("ERR_ARGUMENT", operation, device.name, "features and values must be arrays");
      }
      Napi::Array names = info[2].As<Napi::Array>(), values = info[3].As<Napi::Array>();
      for (uint32_t i = 0; i < names.Length(); i++) {
        std::string name = RequireString(names.Get(i), {operation, device.name, "feature"});
        const Feature* feature = FindFeature(name);
        if (feature == nullptr) {
          throw CodeFailure("ERR_ARGUMENT", operation, device.name, name + " is not a feature known here");
        }
        wanted->push_back({feature, RequireBool(values.Get(i), {operation, device.name, feature->name})});
      }
    }
    auto found = std::make_shared<std::map<std::string, bool>>();
    return RunAsync(
        info.Env(), "libbpf_ts.ethtool",
        [=] {
          Ioctl interface(device, operation);
          for (const auto& [feature, on] : *wanted) {
            if (Has(interface, *feature) != on) Set(interface, *feature, on);
          }
          for (const Feature& feature : kFeatures) (*found)[feature.name] = Has(interface, feature);
        },
        [=](Napi::Env env) -> Napi::Value {
          Napi::Object made = Napi::Object::New(env);
          for (const Feature& feature : kFeatures) made.Set(feature.name, (*found)[feature.name]);
          return made;
        });
  });
}

// Text in a fixed field, which the driver need not have ended with NUL.
template <size_t size>
std::string Text(const char (&field)[size]) {
  return std::string(field, strnlen(field, size));
}

Napi::Value EthtoolDriver(const Napi::CallbackInfo& info) {
  return Guarded(info.Env(), [&]() -> Napi::Value {
    constexpr const char* kOp = "ethtool.getDriver";
    Device device = RequireDevice(info, kOp);
    auto driver = std::make_shared<ethtool_drvinfo>();
    return RunAsync(
        info.Env(), "libbpf_ts.ethtool",
        [=] {
          *driver = {};
          driver->cmd = ETHTOOL_GDRVINFO;
          Ioctl(device, kOp).Do(driver.get(), "the interface does not name its driver");
        },
        [=](Napi::Env env) -> Napi::Value {
          Napi::Object made = Napi::Object::New(env);
          made.Set("driver", Text(driver->driver));
          made.Set("version", Text(driver->version));
          made.Set("firmware", Text(driver->fw_version));
          made.Set("bus", Text(driver->bus_info));
          return made;
        });
  });
}

// (netns, name, receive or null, transmit, combined): null of each leaves it as it is.
Napi::Value EthtoolChannels(const Napi::CallbackInfo& info) {
  return Guarded(info.Env(), [&]() -> Napi::Value {
    bool setting = !IsAbsent(info[2]) || !IsAbsent(info[3]) || !IsAbsent(info[4]);
    const char* operation = setting ? "ethtool.setChannels" : "ethtool.getChannels";
    Device device = RequireDevice(info, operation);
    std::optional<uint32_t> counts[3];
    const char* names[3] = {"receive", "transmit", "combined"};
    for (size_t i = 0; i < 3; i++) {
      Napi::Value value = info[i + 2];
      if (!IsAbsent(value)) counts[i] = RequireU32(value, {operation, device.name, names[i]});
    }
    auto receive = counts[0], transmit = counts[1], combined = counts[2];
    auto channels = std::make_shared<ethtool_channels>();
    return RunAsync(
        info.Env(), "libbpf_ts.ethtool",
        [=] {
          Ioctl interface(device, operation);
          *channels = {};
          channels->cmd = ETHTOOL_GCHANNELS;
          interface.Do(channels.get(), "the interface has no channels to count");
          if (!setting) return;
          channels->cmd = ETHTOOL_SCHANNELS;
          channels->rx_count = receive.value_or(channels->rx_count);
          channels->tx_count = transmit.value_or(channels->tx_count);
          channels->combined_count = combined.value_or(channels->combined_count);
          interface.Do(channels.get(), "these numbers of channels are not possible");
        },
        [=](Napi::Env env) -> Napi::Value {
          Napi::Object made = Napi::Object::New(env);
          made.Set("receive", channels->rx_count);
          made.Set("transmit", channels->tx_count);
          made.Set("combined", channels->combined_count);
          made.Set("maxReceive", channels->max_rx);
          made.Set("maxTransmit", channels->max_tx);
          made.Set("maxCombined", channels->max_combined);
          return made;
        });
  });
}

Napi::Value EthtoolRings(const Napi::CallbackInfo& info) {
  return Guarded(info.Env(), [&]() -> Napi::Value {
    constexpr const char* kOp = "ethtool.getRings";
    Device device = RequireDevice(info, kOp);
    auto rings = std::make_shared<ethtool_ringparam>();
    return RunAsync(
        info.Env(), "libbpf_ts.ethtool",
        [=] {
          *rings = {};
          rings->cmd = ETHTOOL_GRINGPARAM;
          Ioctl(device, kOp).Do(rings.get(), "the interface does not tell its rings");
        },
        [=](Napi::Env env) -> Napi::Value {
          Napi::Object made = Napi::Object::New(env);
          made.Set("receive", rings->rx_pending);
          made.Set("transmit", rings->tx_pending);
          made.Set("maxReceive", rings->rx_max_pending);
          made.Set("maxTransmit", rings->tx_max_pending);
          return made;
        });
  });
}

}  // namespace

Napi::Object InitEthtool(Napi::Env env, Napi::Object exports) {
  exports.Set("ethtoolFeatures", Napi::Function::New(env, EthtoolFeatures, "ethtoolFeatures"));
  exports.Set("ethtoolDriver", Napi::Function::New(env, EthtoolDriver, "ethtoolDriver"));
  exports.Set("ethtoolChannels", Napi::Function::New(env, EthtoolChannels, "ethtoolChannels"));
  exports.Set("ethtoolRings", Napi::Function::New(env, EthtoolRings, "ethtoolRings"));
  return exports;
}

}  // namespace libbpf_ts
