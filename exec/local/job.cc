#include "exec/local/job.h"

#include "exec/transport.h"

namespace rehearse::exec {

void Job::fail(std::exception_ptr error) {
  const std::scoped_lock lock(mutex_);
  if (failed_) return;
  first_ = std::move(error);
  failed_ = true;
}

void Job::check() const {
  if (failed_) throw JobAborted("another rank ended the job");
}

void Job::abort(const std::string& message) {
  const JobAborted error(message);
  fail(std::make_exception_ptr(error));
  throw error;
}

void Job::rethrow() const {
  if (failed_) std::rethrow_exception(first_);
}

}  // namespace rehearse::exec
