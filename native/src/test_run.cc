// BPF_PROG_TEST_RUN on libuv's pool (each run waits for an RCU grace period, so
// milliseconds), in a chosen network namespace and on a chosen CPU if asked.
#include <bpf/bpf.h>
#include <errno.h>

#include <algorithm>
#include <memory>

#include "apart.h"
#include "async.h"
#include "errors.h"
#include "program.h"

namespace libbpf_ts {
namespace {

constexpr const char* kOp = "program.testRun";
constexpr int64_t kLargestOutput = 16 << 20;

struct Run {
  FdRef fd;
  std::string name;
  std::vector<uint8_t> data, ctx, data_out, ctx_out;
  Place place;
  uint32_t repeat = 1, batch_size = 0;
  bool live = false;
  uint32_t retval = 0, duration = 0;
};

const char* Hint(int errnum, const Run& run) {
  switch (errnum) {
    case ENOSPC:
      return "the output is larger than dataOutSize";
    case ENOTSUP:
    case 524:
      return "this program type cannot be test-run";
    case EINVAL:
      return run.ctx.empty() ? "data must be a frame of at least 14 bytes that fits one page"
                             : "data (at least 14 bytes) and ctx must agree with each other";
    default:
      return "";
  }
}

void Execute(Run& run) {
  LIBBPF_OPTS(bpf_test_run_opts, options);
  options.data_in = run.data.empty() ? nullptr : run.data.data();
  options.data_size_in = static_cast<uint32_t>(run.data.size());
  options.repeat = static_cast<int>(run.repeat);
  if (!run.ctx.empty()) {
    options.ctx_in = run.ctx.data();
    options.ctx_size_in = static_cast<uint32_t>(run.ctx.size());
  }
  if (run.live) {
    options.flags = BPF_F_TEST_XDP_LIVE_FRAMES;
    options.batch_size = run.batch_size;
  } else {
    if (!run.data_out.empty()) {
      options.data_out = run.data_out.data();
      options.data_size_out = static_cast<uint32_t>(run.data_out.size());
    }
    if (!run.ctx.empty()) {
      run.ctx_out.resize(run.ctx.size());
      options.ctx_out = run.ctx_out.data();
      options.ctx_size_out = static_cast<uint32_t>(run.ctx_out.size());
    }
  }
  int errnum = 0;
  RunIn(run.place, kOp, [&] {
    if (bpf_prog_test_run_opts(run.fd->get(), &options) != 0) errnum = errno;
  });
  if (errnum != 0) throw ErrnoFailure(errnum, kOp, run.name, Hint(errnum, run));
  run.retval = options.retval;
  run.duration = options.duration;
  run.data_out.resize(run.live ? 0 : std::min<size_t>(run.data_out.size(), options.data_size_out));
  run.ctx_out.resize(run.live ? 0 : std::min<size_t>(run.ctx_out.size(), options.ctx_size_out));
}

}  // namespace

// testRun(data, ctx|null, repeat, live, batchSize, dataOutSize, cpu|null, netns|null)
Napi::Value NativeProgram::TestRun(const Napi::CallbackInfo& info) {
  return Guarded(info.Env(), [&]() -> Napi::Value {
    auto run = std::make_shared<Run>();
    run->fd = Open(kOp);
    run->name = name();
    run->data = RequireBytes(info[0], {kOp, name(), "data"}).Copy();
    if (auto ctx = OptionalBytes(info[1], {kOp, name(), "ctx"})) run->ctx = ctx->Copy();
    run->repeat = static_cast<uint32_t>(RequireInteger(info[2], {kOp, name(), "repeat"}, 1, INT32_MAX));
    run->live = RequireBool(info[3], {kOp, name(), "liveFrames"});
    run->batch_size = static_cast<uint32_t>(RequireInteger(info[4], {kOp, name(), "batchSize"}, 0, 256));
    run->data_out.resize(
        static_cast<size_t>(RequireInteger(info[5], {kOp, name(), "dataOutSize"}, 0, kLargestOutput)));
    if (!IsAbsent(info[6])) {
      run->place.cpu = static_cast<int>(RequireInteger(info[6], {kOp, name(), "cpu"}, 0, INT32_MAX));
    }
    run->place.netns = OptionalString(info[7], {kOp, name(), "netns"});
    return RunAsync(
        info.Env(), kOp, [run] { Execute(*run); },
        [run](Napi::Env env) -> Napi::Value {
          Napi::Object out = Napi::Object::New(env);
          out.Set("retval", run->retval);
          out.Set("durationNs", run->duration);
          out.Set("data", Napi::Buffer<uint8_t>::Copy(env, run->data_out.data(), run->data_out.size()));
          if (!run->ctx_out.empty()) {
            out.Set("ctx", Napi::Buffer<uint8_t>::Copy(env, run->ctx_out.data(), run->ctx_out.size()));
          }
          return out;
        });
  });
}

}  // namespace libbpf_ts
