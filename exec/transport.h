// Messages between ranks: non-blocking, matched by (sender, tag) in order.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <span>
#include <stdexcept>
#include <string>
#include <vector>

#include "model/base/ids.h"

namespace rehearse::exec {

// One message under way; owned by the transport until test() returns true for it, then invalid.
struct Request {
  std::uint64_t id = 0;
};

class Transport {
 public:
  virtual ~Transport() = default;
  virtual RankId rank() const = 0;
  virtual std::size_t size() const = 0;

  // The bytes must stay untouched until the request is done. A send may need its receive to be
  // posted before it is done (rendezvous); messages of one (sender, receiver, tag) arrive in order.
  // Lengths of a send and its receive must be equal. Tags below 0 belong to the transports.
  virtual Request send(RankId to, std::int64_t tag, std::span<const std::byte> bytes) = 0;
  virtual Request receive(RankId from, std::int64_t tag, std::span<std::byte> bytes) = 0;
  // Makes progress; whether the request is done.
  virtual bool test(Request request) = 0;

  // Everybody calls these, in the same order; they block (politely: idle ranks give their core
  // away) and are for set-up and reporting, not for training.
  virtual void barrier() = 0;
  // rank 0 gets everybody's text, by rank; the others an empty list.
  virtual std::vector<std::string> gather(const std::string& text) = 0;
  // Everybody gets the root's text.
  virtual std::string broadcast(const std::string& text, RankId root) = 0;

  // Ends the whole job with this message on stderr; exit code 1 for what users or machines did.
  [[noreturn]] virtual void abort(const std::string& message) = 0;

  // Gives the core to somebody else for a moment: called by whoever finds nothing to do. Waits
  // longer the more often it is called in a row; `reset` begins again.
  virtual void idle() = 0;
  virtual void reset_idle() = 0;
};

// How a job ends whose ranks are threads of this process: abort(message) throws it.
class JobAborted : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

// Runs body on n ranks as threads of this process, and returns when all have returned. An exception
// in one rank ends the job: the other ranks get a JobAborted from their next call of the transport,
// and when all have ended the first exception is thrown again here.
void run_local(std::size_t n, const std::function<void(Transport&)>& body);

}  // namespace rehearse::exec
