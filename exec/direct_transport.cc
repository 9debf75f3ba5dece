#include "exec/direct_transport.h"

#include <set>

#include "model/base/check.h"

namespace rehearse::exec {

Request DirectTransport::send(RankId to, std::int64_t tag, std::span<const std::byte> bytes) {
  return enter({.route = {to, tag, true}, .from = bytes, .into = {}, .before = {}, .carried = {}},
               bytes.data());
}

Request DirectTransport::receive(RankId from, std::int64_t tag, std::span<std::byte> bytes) {
  return enter(
      {.route = {from, tag, false}, .from = {}, .into = bytes, .before = {}, .carried = {}},
      bytes.data());
}

Request DirectTransport::enter(Pending pending, const std::byte* memory) {
  if (device_.owns(memory)) pending.before = device_.mark();
  pending_.emplace(++last_id_, pending);
  to_post_.push_back(last_id_);
  const Request request{last_id_};
  post_free();
  return request;
}

void DirectTransport::post_free() {
  std::set<Route> held_up;
  for (auto id = to_post_.begin(); id != to_post_.end();) {
    Pending& pending = pending_.at(*id);
    const auto& [peer, tag, sends] = pending.route;
    if (held_up.count(pending.route) > 0 || !is_free(pending)) {
      held_up.insert(pending.route);
      ++id;
      continue;
    }
    pending.carried =
        sends ? carrier_.send(peer, tag, pending.from) : carrier_.receive(peer, tag, pending.into);
    id = to_post_.erase(id);
  }
}

bool DirectTransport::is_free(Pending& pending) {
  if (pending.before && device_.is_passed(*pending.before)) pending.before.reset();
  return !pending.before;
}

bool DirectTransport::test(Request request) {
  post_free();
  const auto found = pending_.find(request.id);
  REHEARSE_CHECK(found != pending_.end(), "rank {} has no request {} under way", rank().value(),
                 request.id);
  if (!found->second.carried || !carrier_.test(*found->second.carried)) return false;
  pending_.erase(found);
  return true;
}

// What a device does takes no core of this machine: there is little to gain by a longer nap.
void DirectTransport::idle() {
  if (!to_post_.empty()) carrier_.reset_idle();
  carrier_.idle();
}

}  // namespace rehearse::exec
