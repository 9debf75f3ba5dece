// The fate that the ranks of one process share: the first error ends all of them.
#pragma once

#include <atomic>
#include <exception>
#include <mutex>
#include <string>

namespace rehearse::exec {

class Job {
 public:
  // Keeps the first error; later ones are mostly its consequences.
  void fail(std::exception_ptr error);
  // Throws JobAborted where some rank has failed.
  void check() const;
  // Fails with JobAborted(message) and throws it.
  [[noreturn]] void abort(const std::string& message);
  // Throws the first error, if there was one; called when no rank runs any more.
  void rethrow() const;

 private:
  std::mutex mutex_;
  std::atomic<bool> failed_{false};
  std::exception_ptr first_;  // written before failed_ is set, and then never again
};

}  // namespace rehearse::exec
