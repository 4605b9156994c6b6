// One pool job and its promise. An environment may end while the job runs: Node
// waits for it and calls Complete where JavaScript can no longer run, so every
// failure of Node-API there is dropped.
#include "async.h"

#include <memory>
#include <optional>
#include <utility>

#include "errors.h"

namespace libbpf_ts {
namespace {

struct Job {
  Job(Napi::Env env, std::function<void()> run, std::function<Napi::Value(Napi::Env)> result,
      std::function<void()> failed)
      : deferred(Napi::Promise::Deferred::New(env)),
        run(std::move(run)),
        result(std::move(result)),
        failed(std::move(failed)) {}

  Napi::Promise::Deferred deferred;
  std::function<void()> run;
  std::function<Napi::Value(Napi::Env)> result;
  std::function<void()> failed;
  std::optional<Failure> failure;
  napi_async_work work = nullptr;
};

void Execute(napi_env, void* data) {
  Job* job = static_cast<Job*>(data);
  try {
    job->run();
  } catch (const Failure& failure) {
    job->failure = failure;
  } catch (const std::exception& error) {
    job->failure = CodeFailure("ENOMEM", "libbpf-ts", "", error.what());
  }
}

void Complete(napi_env raw, napi_status status, void* data) {
  std::unique_ptr<Job> job(static_cast<Job*>(data));
  napi_delete_async_work(raw, job->work);
  if (status == napi_cancelled) return;
  Napi::Env env(raw);
  Napi::HandleScope scope(env);
  std::optional<Failure> failure = std::move(job->failure);
  try {
    Napi::Value value;
    if (!failure) {
      try {
        value = job->result(env);
      } catch (const Failure& found) {
        failure = found;
      } catch (const Napi::Error& error) {
        if (job->failed) job->failed();
        job->deferred.Reject(error.Value());
        return;
      } catch (const std::exception& error) {
        failure = CodeFailure("ENOMEM", "libbpf-ts", "", error.what());
      }
    }
    if (failure) {
      if (job->failed) job->failed();
      job->deferred.Reject(MakeError(env, *failure).Value());
    } else {
      job->deferred.Resolve(value);
    }
  } catch (const Napi::Error&) {
    // The environment is ending; nobody can hear the answer.
  }
}

}  // namespace

Napi::Promise RunAsync(Napi::Env env, const char* resource, std::function<void()> run,
                       std::function<Napi::Value(Napi::Env)> result, std::function<void()> failed) {
  auto job = std::make_unique<Job>(env, std::move(run), std::move(result), std::move(failed));
  const Napi::Promise promise = job->deferred.Promise();
  if (napi_create_async_work(env, nullptr, Napi::String::New(env, resource), Execute, Complete, job.get(),
                             &job->work) != napi_ok) {
    throw Napi::Error::New(env);
  }
  if (napi_queue_async_work(env, job->work) != napi_ok) {
    napi_delete_async_work(env, job->work);
    throw Napi::Error::New(env);
  }
  // Complete frees it.
  Job* const queued = job.release();
  static_cast<void>(queued);
  return promise;
}

}  // namespace libbpf_ts
