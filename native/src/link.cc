// NativeLink: an XDP attachment held by a bpf_link. While the link lives, nobody
// can replace the program behind our back; the last descriptor or pin gone, the
// kernel detaches.
#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <errno.h>
#include <linux/if_link.h>
#include <net/if.h>

#include <memory>

#include "apart.h"
#include "async.h"
#include "errors.h"
#include "init.h"
#include "map_shape.h"
#include "program.h"

namespace libbpf_ts {
namespace {

constexpr const char* kAttach = "program.attachXdp";

struct LinkContent {
  FdRef fd;
  std::string subject;
};

class NativeLink : public Napi::ObjectWrap<NativeLink> {
 public:
  static Napi::Function Class(Napi::Env env);

  explicit NativeLink(const Napi::CallbackInfo& info)
      : Napi::ObjectWrap<NativeLink>(info),
        content_(Birth<LinkContent>(info.Env(), "NativeLink")),
        uncollected_(EnvData::Of(info.Env()).uncollected_links) {}

  // A handle nobody refers to any more does not take its attachment along.
  ~NativeLink() override {
    if (content_.fd) uncollected_->push_back(std::move(content_.fd));
  }

 private:
  const FdRef& Open(const char* operation) const {
    if (!content_.fd)
      throw CodeFailure("ERR_CLOSED", operation, content_.subject, "the link handle is closed");
    return content_.fd;
  }
  Napi::Value Info(const Napi::CallbackInfo& info);
  Napi::Value Update(const Napi::CallbackInfo& info);
  Napi::Value Pin(const Napi::CallbackInfo& info);
  Napi::Value Detach(const Napi::CallbackInfo& info);
  Napi::Value Close(const Napi::CallbackInfo& info);

  LinkContent content_;
  std::shared_ptr<std::vector<FdRef>> uncollected_;
};

const char* AttachHint(int errnum) {
  switch (errnum) {
    case ENODEV:
      return "no interface has this index in this network namespace";
    case EBUSY:
      return "the interface carries another XDP program already";
    case EOPNOTSUPP:
      return "the interface's driver cannot run XDP natively with its present settings";
    case ERANGE:
      return "the interface's MTU is too large for a program without frags support";
    case EINVAL:
      return "this program cannot be attached to an interface, or the interface's settings forbid it";
    default:
      return "";
  }
}

// What can go wrong with one attachment is known by program and interface.
struct Attachment {
  FdRef program;
  std::string subject;
  uint32_t ifindex = 0;
  Place place;
  FdRef link;

  void Run() {
    RunIn(place, kAttach, [&] {
      LIBBPF_OPTS(bpf_link_create_opts, options, .flags = XDP_FLAGS_DRV_MODE);
      int fd = bpf_link_create(program->get(), static_cast<int>(ifindex), BPF_XDP, &options);
      if (fd < 0) {
        int errnum = errno;
        // The kernel answers EINVAL for an interface that is not there.
        char name[IF_NAMESIZE];
        if (errnum == EINVAL && if_indextoname(ifindex, name) == nullptr) errnum = ENODEV;
        throw ErrnoFailure(errnum, kAttach, subject, AttachHint(errnum));
      }
      link = OwnFd(fd, kAttach, subject);
      LIBBPF_OPTS(bpf_xdp_query_opts, query);
      if (bpf_xdp_query(static_cast<int>(ifindex), 0, &query) == 0 && query.attach_mode != XDP_ATTACHED_DRV) {
        link.reset();
        throw CodeFailure("ERR_STATE", kAttach, subject,
                          "the kernel did not attach the program in native mode");
      }
    });
  }
};

Napi::Object MakeLink(Napi::Env env, FdRef fd, std::string subject) {
  LinkContent content{std::move(fd), std::move(subject)};
  return Construct(env, &EnvData::link_class, content);
}

std::shared_ptr<Attachment> RequireAttachment(const Napi::CallbackInfo& info, const FdRef& program,
                                              const std::string& name) {
  auto attachment = std::make_shared<Attachment>();
  attachment->program = program;
  attachment->ifindex =
      static_cast<uint32_t>(RequireInteger(info[0], {kAttach, name, "ifindex"}, 1, INT32_MAX));
  attachment->place.netns = OptionalString(info[1], {kAttach, name, "netns"});
  attachment->subject = name + " at interface " + std::to_string(attachment->ifindex);
  return attachment;
}

Napi::Value OpenPinned(const Napi::CallbackInfo& info) {
  return Guarded(info.Env(), [&]() -> Napi::Value {
    constexpr const char* kOp = "link.openPinned";
    static const std::string kNone;
    std::string path = RequireString(info[0], {kOp, kNone, "path"});
    FdRef fd = OwnFd(OpenPin(path, 'l', kOp), kOp, path);
    bpf_link_info link = {};
    uint32_t length = sizeof(link);
    if (bpf_obj_get_info_by_fd(fd->get(), &link, &length) != 0) throw ErrnoFailure(errno, kOp, path);
    if (link.type != BPF_LINK_TYPE_XDP) {
      throw CodeFailure("ERR_FOREIGN", kOp, path, "the link pinned here is not an XDP link");
    }
    return MakeLink(info.Env(), std::move(fd), path);
  });
}

Napi::Value NativeLink::Info(const Napi::CallbackInfo& info) {
  return Guarded(info.Env(), [&]() -> Napi::Value {
    constexpr const char* kOp = "link.info";
    bpf_link_info link = {};
    uint32_t length = sizeof(link);
    if (bpf_obj_get_info_by_fd(Open(kOp)->get(), &link, &length) != 0) {
      throw ErrnoFailure(errno, kOp, content_.subject);
    }
    Napi::Object out = Napi::Object::New(info.Env());
    out.Set("id", link.id);
    out.Set("programId", link.prog_id);
    out.Set("ifindex", link.xdp.ifindex);
    return out;
  });
}

Napi::Value NativeLink::Update(const Napi::CallbackInfo& info) {
  return Guarded(info.Env(), [&]() -> Napi::Value {
    constexpr const char* kOp = "link.update";
    const FdRef& fd = Open(kOp);
    FdRef program = NativeProgram::From(info[0], {kOp, content_.subject, "program"}).Open(kOp);
    LIBBPF_OPTS(bpf_link_update_opts, options);
    FdRef expected;
    if (!IsAbsent(info[1])) {
      expected = NativeProgram::From(info[1], {kOp, content_.subject, "expect"}).Open(kOp);
      options.flags = BPF_F_REPLACE;
      options.old_prog_fd = static_cast<uint32_t>(expected->get());
    }
    if (bpf_link_update(fd->get(), program->get(), &options) != 0) {
      const char* hint = errno == EPERM     ? "the link does not carry the expected program"
                         : errno == ENOLINK ? "the link is detached, or its interface is gone"
                         : errno == EINVAL  ? "the program is of another kind than the attached one"
                                            : "";
      throw ErrnoFailure(errno, kOp, content_.subject, hint);
    }
    return info.Env().Undefined();
  });
}

Napi::Value NativeLink::Pin(const Napi::CallbackInfo& info) {
  return Guarded(info.Env(), [&]() -> Napi::Value {
    const FdRef& fd = Open("link.pin");
    PinFd(fd->get(), RequireString(info[0], {"link.pin", content_.subject, "path"}), "link.pin");
    return info.Env().Undefined();
  });
}

Napi::Value NativeLink::Detach(const Napi::CallbackInfo& info) {
  return Guarded(info.Env(), [&]() -> Napi::Value {
    if (bpf_link_detach(Open("link.detach")->get()) != 0) {
      throw ErrnoFailure(errno, "link.detach", content_.subject);
    }
    return info.Env().Undefined();
  });
}

Napi::Value NativeLink::Close(const Napi::CallbackInfo& info) {
  content_.fd.reset();
  return info.Env().Undefined();
}

Napi::Function NativeLink::Class(Napi::Env env) {
  return DefineClass(env, "NativeLink",
                     {
                         InstanceMethod<&NativeLink::Info>("info"),
                         InstanceMethod<&NativeLink::Update>("update"),
                         InstanceMethod<&NativeLink::Pin>("pin"),
                         InstanceMethod<&NativeLink::Detach>("detach"),
                         InstanceMethod<&NativeLink::Close>("close"),
                     });
}

}  // namespace

Napi::Value NativeProgram::AttachXdp(const Napi::CallbackInfo& info) {
  return Guarded(info.Env(), [&]() -> Napi::Value {
    auto attachment = RequireAttachment(info, Open(kAttach), name());
    attachment->Run();
    return MakeLink(info.Env(), std::move(attachment->link), std::move(attachment->subject));
  });
}

Napi::Value NativeProgram::AttachXdpAsync(const Napi::CallbackInfo& info) {
  return Guarded(info.Env(), [&]() -> Napi::Value {
    auto attachment = RequireAttachment(info, Open(kAttach), name());
    return RunAsync(
        info.Env(), kAttach, [attachment] { attachment->Run(); },
        [attachment](Napi::Env env) -> Napi::Value {
          return MakeLink(env, std::move(attachment->link), std::move(attachment->subject));
        });
  });
}

Napi::Object InitLink(Napi::Env env, Napi::Object exports) {
  EnvData::Of(env).link_class = Napi::Persistent(NativeLink::Class(env));
  exports.Set("linkOpenPinned", Napi::Function::New(env, OpenPinned, "linkOpenPinned"));
  return exports;
}

}  // namespace libbpf_ts
