// NativeNetlink: one netlink socket (routing, or generic) in any network namespace. A short-lived
// thread enters the namespace and makes the socket, which belongs to it from then on.
// Requests are sent from libuv's pool, since the kernel works on them before send()
// returns; what arrives is read on the environment's event loop and handed over as one
// block for many datagrams. What the bytes mean is not known here.
#include <errno.h>
#include <linux/netlink.h>
#include <linux/sockios.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <uv.h>

#include <memory>

#include "apart.h"
#include "args.h"
#include "async.h"
#include "errors.h"
#include "fd.h"
#include "init.h"

namespace libbpf_ts {
namespace {

// The kernel's dumps come in at most 32 KiB; a single object may be larger, but not by this much.
constexpr size_t kDatagram = 128 * 1024;

// One turn of the event loop hands over at most this; the rest waits for the next turn.
constexpr size_t kBytesPerTurn = 1 << 20;
constexpr size_t kDatagramsPerTurn = 8192;

class NativeNetlink;

// The class and the descriptor of the object being made, once per environment.
struct Factory {
  Napi::FunctionReference constructor;
  FdRef birth;
};
using FactoryRef = std::shared_ptr<Factory>;

// The part libuv points into: lives until its poll handle is closed.
struct Receiver {
  void Drain();
  void Keep(const uint8_t* datagram, size_t size);

  uv_poll_t poll = {};
  napi_env env = nullptr;
  napi_async_cleanup_hook_handle hook = nullptr;
  FdRef fd;
  Napi::FunctionReference on_receive;
  NativeNetlink* owner = nullptr;
  bool lost = false;   // the kernel dropped messages since the last hand-over
  bool empty = false;  // nothing was left to read
  std::vector<uint8_t> bytes;
  std::vector<uint32_t> ends;
};

class NativeNetlink : public Napi::ObjectWrap<NativeNetlink> {
 public:
  static Napi::Function Class(Napi::Env env, FactoryRef* factory);
  static Napi::Object Make(Napi::Env env, const FactoryRef& factory, FdRef fd);
  explicit NativeNetlink(const Napi::CallbackInfo& info);
  ~NativeNetlink() override {
    if (receiver_ != nullptr) receiver_->owner = nullptr;
  }
  void Forget() { receiver_ = nullptr; }

 private:
  const FdRef& Open(const char* operation) const {
    if (!fd_) throw CodeFailure("ERR_CLOSED", operation, "", "the netlink socket is closed");
    return fd_;
  }
  Napi::Value Listen(const Napi::CallbackInfo& info);
  Napi::Value Join(const Napi::CallbackInfo& info);
  Napi::Value Send(const Napi::CallbackInfo& info);
  Napi::Value Sibling(const Napi::CallbackInfo& info);
  Napi::Value ReceiveBuffer(const Napi::CallbackInfo& info);
  Napi::Value SetRef(const Napi::CallbackInfo& info);
  Napi::Value Close(const Napi::CallbackInfo& info);

  FactoryRef factory_;
  FdRef fd_;
  Receiver* receiver_ = nullptr;
};

FdRef MakeSocket(const Place& place, int receive_buffer, int protocol) {
  constexpr const char* kOp = "netlink.open";
  std::string subject = place.netns.value_or("");
  int fd = -1;
  RunIn(place, kOp, [&] {
    fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC | SOCK_NONBLOCK, protocol);
    if (fd < 0) throw ErrnoFailure(errno, kOp, subject);
  });
  FdRef socket = OwnFd(fd, kOp, subject);
  fd = socket->get();
  int on = 1;
  if (setsockopt(fd, SOL_NETLINK, NETLINK_EXT_ACK, &on, sizeof(on)) != 0 ||
      setsockopt(fd, SOL_NETLINK, NETLINK_CAP_ACK, &on, sizeof(on)) != 0 ||
      setsockopt(fd, SOL_NETLINK, NETLINK_GET_STRICT_CHK, &on, sizeof(on)) != 0) {
    throw ErrnoFailure(errno, kOp, subject, "a kernel of 4.20 or newer is needed");
  }
  // Beyond rmem_max only with CAP_NET_ADMIN; without it the size is what the system allows.
  if (setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &receive_buffer, sizeof(receive_buffer)) != 0) {
    setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &receive_buffer, sizeof(receive_buffer));
  }
  int send_buffer = 1 << 20;
  if (setsockopt(fd, SOL_SOCKET, SO_SNDBUFFORCE, &send_buffer, sizeof(send_buffer)) != 0) {
    setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &send_buffer, sizeof(send_buffer));
  }
  sockaddr_nl address = {};
  address.nl_family = AF_NETLINK;
  if (bind(fd, reinterpret_cast<sockaddr*>(&address), sizeof(address)) != 0) {
    throw ErrnoFailure(errno, kOp, subject);
  }
  return socket;
}

void Receiver::Keep(const uint8_t* datagram, size_t size) {
  try {
    bytes.insert(bytes.end(), datagram, datagram + size);
    ends.push_back(static_cast<uint32_t>(bytes.size()));
  } catch (const std::bad_alloc&) {
    if (!ends.empty()) bytes.resize(ends.back());
    lost = true;
  }
}

void Receiver::Drain() {
  alignas(8) uint8_t datagram[kDatagram];
  empty = false;
  for (size_t count = 0; count < kDatagramsPerTurn && bytes.size() < kBytesPerTurn; count++) {
    sockaddr_nl sender = {};
    iovec part = {datagram, sizeof(datagram)};
    msghdr message = {};
    message.msg_name = &sender;
    message.msg_namelen = sizeof(sender);
    message.msg_iov = &part;
    message.msg_iovlen = 1;
    ssize_t size = recvmsg(fd->get(), &message, MSG_DONTWAIT);
    if (size < 0) {
      if (errno == EINTR) continue;
      // ENOBUFS: the receive buffer was full. What it holds is older than what was lost, so the
      // loss is reported once the buffer is empty, which is also when the kernel ends it.
      if (errno == ENOBUFS) {
        lost = true;
        continue;
      }
      empty = true;
      return;
    }
    if (sender.nl_pid != 0) continue;  // another process; only the kernel is believed
    if (message.msg_flags & MSG_TRUNC) {
      lost = true;
    } else {
      Keep(datagram, static_cast<size_t>(size));
    }
  }
}

// Stops the receiver and frees it once libuv has let go of the handle. Called once.
void Shut(Receiver* receiver) {
  receiver->on_receive.Reset();
  uv_poll_stop(&receiver->poll);
  uv_close(reinterpret_cast<uv_handle_t*>(&receiver->poll), [](uv_handle_t* handle) {
    std::unique_ptr<Receiver> receiver(static_cast<Receiver*>(handle->data));
    if (receiver->hook != nullptr) napi_remove_async_cleanup_hook(receiver->hook);
  });
}

void OnEnvironmentEnd(napi_async_cleanup_hook_handle, void* data) {
  Receiver* receiver = static_cast<Receiver*>(data);
  if (receiver->owner != nullptr) receiver->owner->Forget();
  if (!uv_is_closing(reinterpret_cast<uv_handle_t*>(&receiver->poll))) Shut(receiver);
}

void OnReadable(uv_poll_t* poll, int status, int) {
  Receiver* receiver = static_cast<Receiver*>(poll->data);
  Napi::Env env(receiver->env);
  Napi::HandleScope scope(env);
  receiver->Drain();
  // A pending ENOBUFS shows as POLLERR, on which libuv stops watching.
  if (status < 0) uv_poll_start(poll, UV_READABLE, OnReadable);
  bool lost = receiver->lost && receiver->empty;
  if (receiver->ends.empty() && !lost) return;
  try {
    std::vector<uint8_t> bytes;
    std::vector<uint32_t> ends;
    bytes.swap(receiver->bytes);
    ends.swap(receiver->ends);
    if (lost) receiver->lost = false;
    Napi::ArrayBuffer block = Napi::ArrayBuffer::New(env, bytes.size());
    if (!bytes.empty()) memcpy(block.Data(), bytes.data(), bytes.size());
    Napi::Uint32Array marks = Napi::Uint32Array::New(env, ends.size());
    if (!ends.empty()) memcpy(marks.Data(), ends.data(), ends.size() * sizeof(uint32_t));
    receiver->on_receive.Value().MakeCallback(env.Global(), {block, marks, Napi::Boolean::New(env, lost)});
  } catch (const Napi::Error& error) {
    napi_fatal_exception(env, error.Value());
  }
}

NativeNetlink::NativeNetlink(const Napi::CallbackInfo& info)
    : Napi::ObjectWrap<NativeNetlink>(info), factory_(*static_cast<FactoryRef*>(info.Data())) {
  fd_ = std::move(factory_->birth);
  if (!fd_) throw Napi::TypeError::New(info.Env(), "NativeNetlink cannot be constructed directly");
}

Napi::Object NativeNetlink::Make(Napi::Env, const FactoryRef& factory, FdRef fd) {
  factory->birth = std::move(fd);
  try {
    Napi::Object made = factory->constructor.New({});
    factory->birth.reset();
    return made;
  } catch (...) {
    factory->birth.reset();
    throw;
  }
}

int BufferSize(const Napi::Value& value, const char* operation) {
  static const std::string kNone;
  return static_cast<int>(RequireInteger(value, {operation, kNone, "receiveBuffer"}, 1, 1 << 29));
}

Napi::Value NetlinkOpen(const Napi::CallbackInfo& info) {
  return Guarded(info.Env(), [&]() -> Napi::Value {
    static const std::string kNone;
    Place place;
    place.netns = OptionalString(info[0], {"netlink.open", kNone, "netns"});
    int receive_buffer = BufferSize(info[1], "netlink.open");
    bool generic = RequireBool(info[2], {"netlink.open", kNone, "generic"});
    int protocol = generic ? NETLINK_GENERIC : NETLINK_ROUTE;
    FactoryRef factory = *static_cast<FactoryRef*>(info.Data());
    auto made = std::make_shared<FdRef>();
    return RunAsync(
        info.Env(), "libbpf_ts.netlink.open", [=] { *made = MakeSocket(place, receive_buffer, protocol); },
        [=](Napi::Env env) { return NativeNetlink::Make(env, factory, std::move(*made)); });
  });
}

// Another socket in the same namespace, whatever has become of its name.
Napi::Value NativeNetlink::Sibling(const Napi::CallbackInfo& info) {
  return Guarded(info.Env(), [&]() -> Napi::Value {
    constexpr const char* kOp = "netlink.open";
    const FdRef& fd = Open(kOp);
    int receive_buffer = BufferSize(info[0], kOp);
    Fd ns(ioctl(fd->get(), SIOCGSKNS));
    Place place;
    // Without the right to learn the namespace (CAP_NET_ADMIN), the caller's own is the only one there is.
    if (ns.get() >= 0) place.netns = "/proc/self/fd/" + std::to_string(ns.get());
    if (ns.get() < 0 && errno != EPERM) throw ErrnoFailure(errno, kOp, "");
    int protocol = NETLINK_ROUTE;
    socklen_t length = sizeof(protocol);
    if (getsockopt(fd->get(), SOL_SOCKET, SO_PROTOCOL, &protocol, &length) != 0) {
      throw ErrnoFailure(errno, kOp, "");
    }
    return Make(info.Env(), factory_, MakeSocket(place, receive_buffer, protocol));
  });
}

Napi::Value NativeNetlink::Listen(const Napi::CallbackInfo& info) {
  return Guarded(info.Env(), [&]() -> Napi::Value {
    constexpr const char* kOp = "netlink.listen";
    static const std::string kNone;
    auto receiver = std::make_unique<Receiver>();
    receiver->env = info.Env();
    receiver->fd = Open(kOp);
    Napi::Function on_receive = RequireFunction(info[0], {kOp, kNone, "onReceive"});
    if (receiver_ != nullptr) throw CodeFailure("ERR_STATE", kOp, "", "the socket is listened to already");
    uv_loop_s* loop = nullptr;
    if (napi_get_uv_event_loop(info.Env(), &loop) != napi_ok) throw Napi::Error::New(info.Env());
    int error = uv_poll_init(loop, &receiver->poll, receiver->fd->get());
    if (error != 0) throw ErrnoFailure(-error, kOp, "");

    // From here libuv owns the memory: undoing means Shut.
    Receiver* shared = receiver.release();
    shared->poll.data = shared;
    try {
      shared->on_receive = Napi::Persistent(on_receive);
      if (napi_add_async_cleanup_hook(info.Env(), OnEnvironmentEnd, shared, &shared->hook) != napi_ok) {
        throw Napi::Error::New(info.Env());
      }
      error = uv_poll_start(&shared->poll, UV_READABLE, OnReadable);
      if (error != 0) throw ErrnoFailure(-error, kOp, "");
    } catch (...) {
      Shut(shared);
      throw;
    }
    shared->owner = this;
    receiver_ = shared;
    Ref();  // a socket that is listened to is not collected
    return info.Env().Undefined();
  });
}

Napi::Value NativeNetlink::Join(const Napi::CallbackInfo& info) {
  return Guarded(info.Env(), [&]() -> Napi::Value {
    constexpr const char* kOp = "netlink.join";
    static const std::string kNone;
    const FdRef& fd = Open(kOp);
    uint32_t group = RequireU32(info[0], {kOp, kNone, "group"});
    if (setsockopt(fd->get(), SOL_NETLINK, NETLINK_ADD_MEMBERSHIP, &group, sizeof(group)) != 0) {
      throw ErrnoFailure(errno, kOp, "group " + std::to_string(group));
    }
    return info.Env().Undefined();
  });
}

Napi::Value NativeNetlink::Send(const Napi::CallbackInfo& info) {
  return Guarded(info.Env(), [&]() -> Napi::Value {
    constexpr const char* kOp = "netlink.send";
    static const std::string kNone;
    FdRef fd = Open(kOp);
    auto bytes = std::make_shared<std::vector<uint8_t>>(RequireBytes(info[0], {kOp, kNone, "bytes"}).Copy());
    return RunAsync(
        info.Env(), "libbpf_ts.netlink.send",
        [=] {
          ssize_t sent;
          do {
            sent = send(fd->get(), bytes->data(), bytes->size(), 0);
          } while (sent < 0 && errno == EINTR);
          if (sent < 0) throw ErrnoFailure(errno, kOp, "");
        },
        [](Napi::Env env) { return env.Undefined(); });
  });
}

Napi::Value NativeNetlink::ReceiveBuffer(const Napi::CallbackInfo& info) {
  return Guarded(info.Env(), [&]() -> Napi::Value {
    constexpr const char* kOp = "netlink.receiveBuffer";
    int size = 0;
    socklen_t length = sizeof(size);
    if (getsockopt(Open(kOp)->get(), SOL_SOCKET, SO_RCVBUF, &size, &length) != 0) {
      throw ErrnoFailure(errno, kOp, "");
    }
    return Napi::Number::New(info.Env(), size);
  });
}

Napi::Value NativeNetlink::SetRef(const Napi::CallbackInfo& info) {
  return Guarded(info.Env(), [&]() -> Napi::Value {
    constexpr const char* kOp = "netlink.ref";
    static const std::string kNone;
    Open(kOp);
    bool keep = RequireBool(info[0], {kOp, kNone, "keepAlive"});
    if (receiver_ == nullptr) throw CodeFailure("ERR_STATE", kOp, "", "the socket is not listened to");
    auto* handle = reinterpret_cast<uv_handle_t*>(&receiver_->poll);
    if (keep) {
      uv_ref(handle);
    } else {
      uv_unref(handle);
    }
    return info.Env().Undefined();
  });
}

Napi::Value NativeNetlink::Close(const Napi::CallbackInfo& info) {
  fd_.reset();
  if (receiver_ != nullptr) {
    receiver_->owner = nullptr;
    Shut(receiver_);
    receiver_ = nullptr;
    Unref();
  }
  return info.Env().Undefined();
}

Napi::Function NativeNetlink::Class(Napi::Env env, FactoryRef* factory) {
  return DefineClass(env, "NativeNetlink",
                     {
                         InstanceMethod<&NativeNetlink::Listen>("listen"),
                         InstanceMethod<&NativeNetlink::Join>("join"),
                         InstanceMethod<&NativeNetlink::Send>("send"),
                         InstanceMethod<&NativeNetlink::Sibling>("sibling"),
                         InstanceMethod<&NativeNetlink::ReceiveBuffer>("receiveBuffer"),
                         InstanceMethod<&NativeNetlink::SetRef>("setRef"),
                         InstanceMethod<&NativeNetlink::Close>("close"),
                     },
                     factory);
}

// An errno's name and text, as the addon's own errors have them.
Napi::Value DescribeErrno(const Napi::CallbackInfo& info) {
  return Guarded(info.Env(), [&]() -> Napi::Value {
    static const std::string kNone;
    int number = static_cast<int>(RequireInteger(info[0], {"describeErrno", kNone, "errno"}, 1, 4095));
    Failure failure = ErrnoFailure(number, "", "");
    Napi::Object made = Napi::Object::New(info.Env());
    made.Set("code", failure.code);
    made.Set("detail", failure.detail);
    return made;
  });
}

}  // namespace

Napi::Object InitNetlink(Napi::Env env, Napi::Object exports) {
  // Freed at the environment's end; an open in flight then keeps the factory itself.
  auto* factory = new FactoryRef(std::make_shared<Factory>());
  env.AddCleanupHook(
      [](FactoryRef* ref) {
        (*ref)->constructor.Reset();
        delete ref;
      },
      factory);
  (*factory)->constructor = Napi::Persistent(NativeNetlink::Class(env, factory));
  exports.Set("netlinkOpen", Napi::Function::New(env, NetlinkOpen, "netlinkOpen", factory));
  exports.Set("describeErrno", Napi::Function::New(env, DescribeErrno, "describeErrno"));
  return exports;
}

}  // namespace libbpf_ts
