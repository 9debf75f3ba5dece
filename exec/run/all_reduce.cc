#include "exec/run/all_reduce.h"

#include <algorithm>

#include "exec/run/tags.h"
#include "model/base/check.h"

namespace rehearse::exec {
namespace {

std::size_t member_number(const Group& group, RankId rank) {
  const auto found = std::find(group.members.begin(), group.members.end(), rank);
  REHEARSE_CHECK(found != group.members.end(), "rank {} is not a member", rank.value());
  return static_cast<std::size_t>(found - group.members.begin());
}

Bytes size_of(std::span<const std::byte> range) {
  return Bytes::bytes(static_cast<std::int64_t>(range.size()));
}

}  // namespace

AllReduce::AllReduce(Transport& transport, Backend& backend, const Group& group,
                     const Collective& collective, std::int64_t element_bytes,
                     std::span<std::byte> values, std::span<std::byte> room)
    : transport_(transport),
      backend_(backend),
      group_(group),
      divisor_(collective.divisor),
      element_bytes_(element_bytes),
      values_(values),
      room_(room),
      steps_(steps_of(collective.algorithm, member_number(group, transport.rank()),
                      group.members.size(), collective.end - collective.begin)) {}

std::span<std::byte> AllReduce::bytes(const ElementRange& range) const {
  return values_.subspan(static_cast<std::size_t>(range.begin * element_bytes_),
                         static_cast<std::size_t>(range.size() * element_bytes_));
}

bool AllReduce::advance() {
  moved_ = false;
  while (step_ < steps_.size()) {
    if (!begun_) begin_step();
    if (receive_ && transport_.test(*receive_)) receive_.reset(), moved_ = true;
    if (send_ && transport_.test(*send_)) send_.reset(), moved_ = true;
    if (receive_ || send_) return false;
    finish_step();
  }
  return true;
}

void AllReduce::begin_step() {
  const CollectiveStep& step = steps_[step_];
  begun_ = moved_ = true;
  if (step.receive.size() > 0) {
    const std::span<std::byte> into = bytes(step.receive);
    receive_ = transport_.receive(group_.members[step.from], kCollectiveTag,
                                  step.reduce ? room_.first(into.size()) : into);
    received_ += size_of(into);
  }
  if (step.send.size() > 0) {
    const std::span<std::byte> from = bytes(step.send);
    send_ = transport_.send(group_.members[step.to], kCollectiveTag, from);
    sent_ += size_of(from);
  }
}

void AllReduce::finish_step() {
  const CollectiveStep& step = steps_[step_];
  const bool is_last_sum = step.reduce && (step_ + 1 == steps_.size() || !steps_[step_ + 1].reduce);
  if (step.reduce && step.receive.size() > 0) {
    std::byte* into = bytes(step.receive).data();
    backend_.add(into, room_.data(), step.receive.size());
    // This chunk is complete and goes out to everybody from here: divided once, the same
    // everywhere.
    if (is_last_sum && divisor_ != 1) backend_.divide(into, step.receive.size(), divisor_);
  }
  ++step_;
  begun_ = false;
  moved_ = true;
}

}  // namespace rehearse::exec
