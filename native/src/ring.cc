// NativeRing: reads a BPF ring buffer on the environment's own event loop. libbpf's
// epoll descriptor is watched by a uv_poll handle, so there is no thread to stop and
// a record costs one copy. Each turn of the loop empties the ring, keeps at most
// `capacity` records and counts the rest as lost: memory and time per turn are bounded.
#include <bpf/libbpf.h>
#include <errno.h>
#include <string.h>
#include <uv.h>

#include <memory>
#include <mutex>
#include <set>

#include "errors.h"
#include "init.h"
#include "map.h"

namespace libbpf_ts {
namespace {

class NativeRing;

// Beyond the capacity, records are only skipped; after so many the next turn goes on.
constexpr uint64_t kSkipsPerTurn = 1 << 20;

// Two readers in one process would move one consumer position under each other.
class Reading {
 public:
  Reading(uint32_t map_id, const std::string& name) : map_id_(map_id) {
    std::lock_guard<std::mutex> lock(Mutex());
    if (!Ids().insert(map_id).second) {
      throw CodeFailure("ERR_STATE", "ring.open", name,
                        "this process reads the ring already; close that reader first");
    }
  }
  ~Reading() {
    std::lock_guard<std::mutex> lock(Mutex());
    Ids().erase(map_id_);
  }
  Reading(const Reading&) = delete;
  Reading& operator=(const Reading&) = delete;

 private:
  static std::mutex& Mutex() {
    static std::mutex mutex;
    return mutex;
  }
  static std::set<uint32_t>& Ids() {
    static std::set<uint32_t> ids;
    return ids;
  }
  uint32_t map_id_;
};

// The part libuv points into: lives until its poll handle is closed.
struct Ring {
  ~Ring() { ring_buffer__free(buffer); }

  void Drain() {
    turn = 0;
    int result = ring_buffer__consume(buffer);
    (void)result;  // only our own OnSample can fail it, to end the turn
  }
  static int OnSample(void* context, void* data, size_t size) {
    return static_cast<Ring*>(context)->Keep(static_cast<const uint8_t*>(data), size);
  }
  int Keep(const uint8_t* data, size_t size) {
    turn++;
    try {
      if (ends.size() < capacity && size <= ring_size) {
        bytes.insert(bytes.end(), data, data + size);
        ends.push_back(static_cast<uint32_t>(bytes.size()));
      } else {
        lost++;
      }
    } catch (const std::bad_alloc&) {
      lost++;
    }
    return turn >= capacity + kSkipsPerTurn ? -ECANCELED : 0;
  }

  uv_poll_t poll = {};
  napi_env env = nullptr;
  napi_async_cleanup_hook_handle hook = nullptr;
  ring_buffer* buffer = nullptr;
  FdRef map;
  std::unique_ptr<Reading> reading;
  std::string name;
  Napi::FunctionReference on_records;
  NativeRing* owner = nullptr;
  uint64_t capacity = 0, turn = 0, lost = 0;
  size_t ring_size = 0;
  std::vector<uint8_t> bytes;
  std::vector<uint32_t> ends;
};

struct RingContent {
  Ring* ring;
};

class NativeRing : public Napi::ObjectWrap<NativeRing> {
 public:
  static Napi::Function Class(Napi::Env env);
  explicit NativeRing(const Napi::CallbackInfo& info)
      : Napi::ObjectWrap<NativeRing>(info), ring_(Birth<RingContent>(info.Env(), "NativeRing").ring) {
    ring_->owner = this;
    Ref();  // an open ring is not collected
  }
  ~NativeRing() override {
    if (ring_ != nullptr) ring_->owner = nullptr;
  }
  void Forget() { ring_ = nullptr; }

 private:
  Ring& Open(const char* operation) const {
    if (ring_ == nullptr) throw CodeFailure("ERR_CLOSED", operation, "", "the ring buffer is closed");
    return *ring_;
  }
  Napi::Value Consume(const Napi::CallbackInfo& info);
  Napi::Value Lost(const Napi::CallbackInfo& info);
  Napi::Value SetRef(const Napi::CallbackInfo& info);
  Napi::Value Close(const Napi::CallbackInfo& info);

  Ring* ring_;
  double lost_ = 0;
};

// Stops the ring and frees it once libuv has let go of the handle. Called once.
void Shut(Ring* ring) {
  ring->on_records.Reset();
  ring->reading.reset();
  uv_poll_stop(&ring->poll);
  uv_close(reinterpret_cast<uv_handle_t*>(&ring->poll), [](uv_handle_t* handle) {
    std::unique_ptr<Ring> ring(static_cast<Ring*>(handle->data));
    if (ring->hook != nullptr) napi_remove_async_cleanup_hook(ring->hook);
  });
}

void OnEnvironmentEnd(napi_async_cleanup_hook_handle, void* data) {
  Ring* ring = static_cast<Ring*>(data);
  if (ring->owner != nullptr) ring->owner->Forget();
  if (!uv_is_closing(reinterpret_cast<uv_handle_t*>(&ring->poll))) Shut(ring);
}

// Hands what was kept to JavaScript: one block of bytes and where each record ends.
// Returns the number of records. The callback may close the ring.
double Deliver(Napi::Env env, Ring& ring, bool from_loop) {
  if (ring.ends.empty()) return 0;
  std::vector<uint8_t> bytes;
  std::vector<uint32_t> ends;
  bytes.swap(ring.bytes);
  ends.swap(ring.ends);
  Napi::ArrayBuffer block = Napi::ArrayBuffer::New(env, bytes.size());
  if (!bytes.empty()) memcpy(block.Data(), bytes.data(), bytes.size());
  Napi::Uint32Array marks = Napi::Uint32Array::New(env, ends.size());
  memcpy(marks.Data(), ends.data(), ends.size() * sizeof(uint32_t));
  double count = static_cast<double>(ends.size());
  Napi::Function callback = ring.on_records.Value();
  if (from_loop) {
    callback.MakeCallback(env.Global(), {block, marks});
  } else {
    callback.Call({block, marks});
  }
  return count;
}

void OnReadable(uv_poll_t* poll, int, int) {
  Ring* ring = static_cast<Ring*>(poll->data);
  Napi::Env env(ring->env);
  Napi::HandleScope scope(env);
  ring->Drain();
  try {
    Deliver(env, *ring, true);
  } catch (const Napi::Error& error) {
    napi_fatal_exception(env, error.Value());
  } catch (const std::exception&) {
    // No memory for the copy: the records are gone, which is what `lost` says.
  }
}

Napi::Value Open(const Napi::CallbackInfo& info) {
  return Guarded(info.Env(), [&]() -> Napi::Value {
    constexpr const char* kOp = "ring.open";
    static const std::string kNone;
    NativeMap& map = NativeMap::From(info[0], {kOp, kNone, "map"});
    auto ring = std::make_unique<Ring>();
    ring->env = info.Env();
    ring->map = map.Open(kOp);
    ring->name = map.name();
    ring->ring_size = map.shape().max_entries;
    ring->capacity =
        static_cast<uint64_t>(RequireInteger(info[1], {kOp, ring->name, "capacity"}, 1, 1 << 24));
    Napi::Function on_records = RequireFunction(info[2], {kOp, ring->name, "onRecords"});
    if (map.shape().type != BPF_MAP_TYPE_RINGBUF) {
      throw CodeFailure("ERR_ARGUMENT", kOp, ring->name, "the map must be a ring buffer");
    }
    ring->reading = std::make_unique<Reading>(map.shape().id, ring->name);
    ring->buffer = ring_buffer__new(ring->map->get(), Ring::OnSample, ring.get(), nullptr);
    if (ring->buffer == nullptr) throw ErrnoFailure(errno, kOp, ring->name);
    uv_loop_s* loop = nullptr;
    if (napi_get_uv_event_loop(info.Env(), &loop) != napi_ok) throw Napi::Error::New(info.Env());
    int error = uv_poll_init(loop, &ring->poll, ring_buffer__epoll_fd(ring->buffer));
    if (error != 0) throw ErrnoFailure(-error, kOp, ring->name);

    // From here libuv owns the memory: undoing means Shut.
    Ring* shared = ring.release();
    shared->poll.data = shared;
    try {
      shared->on_records = Napi::Persistent(on_records);
      if (napi_add_async_cleanup_hook(info.Env(), OnEnvironmentEnd, shared, &shared->hook) != napi_ok) {
        throw Napi::Error::New(info.Env());
      }
      RingContent content{shared};
      Napi::Object made = Construct(info.Env(), &EnvData::ring_class, content);
      error = uv_poll_start(&shared->poll, UV_READABLE, OnReadable);
      if (error != 0) throw ErrnoFailure(-error, kOp, shared->name);
      return made;
    } catch (...) {
      if (shared->owner != nullptr) {
        shared->owner->Unref();
        shared->owner->Forget();
      }
      Shut(shared);
      throw;
    }
  });
}

Napi::Value NativeRing::Consume(const Napi::CallbackInfo& info) {
  return Guarded(info.Env(), [&]() -> Napi::Value {
    Ring& ring = Open("ring.consume");
    ring.Drain();
    return Napi::Number::New(info.Env(), Deliver(info.Env(), ring, false));
  });
}

Napi::Value NativeRing::Lost(const Napi::CallbackInfo& info) {
  return Napi::Number::New(info.Env(), ring_ != nullptr ? static_cast<double>(ring_->lost) : lost_);
}

Napi::Value NativeRing::SetRef(const Napi::CallbackInfo& info) {
  return Guarded(info.Env(), [&]() -> Napi::Value {
    static const std::string kNone;
    bool keep = RequireBool(info[0], {"ring.ref", kNone, "keepAlive"});
    auto* handle = reinterpret_cast<uv_handle_t*>(&Open("ring.ref").poll);
    if (keep) {
      uv_ref(handle);
    } else {
      uv_unref(handle);
    }
    return info.Env().Undefined();
  });
}

Napi::Value NativeRing::Close(const Napi::CallbackInfo& info) {
  if (ring_ != nullptr) {
    Ring* ring = ring_;
    lost_ = static_cast<double>(ring->lost);
    ring->owner = nullptr;
    ring_ = nullptr;
    Shut(ring);
    Unref();
  }
  return info.Env().Undefined();
}

Napi::Function NativeRing::Class(Napi::Env env) {
  return DefineClass(env, "NativeRing",
                     {
                         InstanceMethod<&NativeRing::Consume>("consume"),
                         InstanceMethod<&NativeRing::Lost>("lost"),
                         InstanceMethod<&NativeRing::SetRef>("setRef"),
                         InstanceMethod<&NativeRing::Close>("close"),
                     });
}

}  // namespace

Napi::Object InitRing(Napi::Env env, Napi::Object exports) {
  EnvData::Of(env).ring_class = Napi::Persistent(NativeRing::Class(env));
  exports.Set("ringOpen", Napi::Function::New(env, Open, "ringOpen"));
  return exports;
}

}  // namespace libbpf_ts
