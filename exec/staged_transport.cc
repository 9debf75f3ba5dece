#include "exec/staged_transport.h"

#include <set>
#include <utility>

#include "model/base/check.h"

namespace rehearse::exec {

Request StagedTransport::send(RankId to, std::int64_t tag, std::span<const std::byte> bytes) {
  if (!device_.owns(bytes.data()))
    return enter({.peer = to, .tag = tag, .sends = true, .carried = carrier_.send(to, tag, bytes)});
  Pending pending{.peer = to, .tag = tag, .sends = true, .staging = take(bytes.size())};
  device_.copy(pending.staging->data(), bytes.data(), bytes.size());
  pending.target = {pending.staging->data(), bytes.size()};
  pending.copy = device_.mark();
  const Request request = enter(std::move(pending));
  to_post_.push_back(request.id);
  return request;
}

Request StagedTransport::receive(RankId from, std::int64_t tag, std::span<std::byte> bytes) {
  if (!device_.owns(bytes.data()))
    return enter(
        {.peer = from, .tag = tag, .sends = false, .carried = carrier_.receive(from, tag, bytes)});
  Pending pending{
      .peer = from, .tag = tag, .sends = false, .target = bytes, .staging = take(bytes.size())};
  pending.carried = carrier_.receive(from, tag, {pending.staging->data(), bytes.size()});
  return enter(std::move(pending));
}

Request StagedTransport::enter(Pending pending) {
  pending_.emplace(++last_id_, std::move(pending));
  return {last_id_};
}

bool StagedTransport::test(Request request) {
  post_sends();
  const auto found = pending_.find(request.id);
  REHEARSE_CHECK(found != pending_.end(), "rank {} has no request {} under way", rank().value(),
                 request.id);
  if (!advance(found->second)) return false;
  if (found->second.staging) give_back(std::move(found->second.staging));
  pending_.erase(found);
  return true;
}

// The smallest that is large enough, unless most of it would lie idle.
StagedTransport::Staging StagedTransport::take(std::size_t bytes) {
  const auto fits = idle_.lower_bound(bytes);
  if (fits != idle_.end() && fits->first <= 2 * bytes) {
    Staging staging = std::move(fits->second);
    idle_.erase(fits);
    return staging;
  }
  staging_bytes_ += bytes;
  return device_.allocate_staging(bytes);
}

void StagedTransport::give_back(Staging staging) {
  const std::size_t size = staging->size();
  idle_.emplace(size, std::move(staging));
}

// Those whose copies are there; of one peer and tag in the order they were sent.
void StagedTransport::post_sends() {
  std::set<std::pair<RankId, std::int64_t>> held_up;
  for (auto id = to_post_.begin(); id != to_post_.end();) {
    Pending& pending = pending_.at(*id);
    const std::pair route(pending.peer, pending.tag);
    if (held_up.count(route) > 0 || !is_copied(pending)) {
      held_up.insert(route);
      ++id;
      continue;
    }
    pending.carried = carrier_.send(pending.peer, pending.tag, pending.target);
    id = to_post_.erase(id);
  }
}

bool StagedTransport::is_copied(Pending& pending) {
  if (pending.copy && device_.is_passed(*pending.copy)) pending.copy.reset();
  return !pending.copy;
}

bool StagedTransport::advance(Pending& pending) {
  if (pending.copy && !pending.sends) return is_copied(pending);
  if (!pending.carried || !carrier_.test(*pending.carried)) return false;
  pending.carried.reset();
  if (pending.sends || !pending.staging) return true;
  device_.copy(pending.target.data(), pending.staging->data(), pending.target.size());
  pending.copy = device_.mark();
  return is_copied(pending);
}

}  // namespace rehearse::exec
