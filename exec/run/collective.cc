#include "exec/run/collective.h"

#include <algorithm>

#include "model/base/check.h"

namespace rehearse::exec {
namespace {

Bytes size_of(std::span<const std::byte> range) {
  return Bytes::bytes(static_cast<std::int64_t>(range.size()));
}

}  // namespace

CollectiveRun::CollectiveRun(Transport& transport, Backend& backend, const Group& group,
                             const CollectiveShape& shape, const Collective& collective,
                             std::int64_t tag, const CollectiveMemory& memory)
    : transport_(transport),
      backend_(backend),
      group_(group),
      kind_(shape.kind),
      algorithm_(shape.algorithm),
      member_(member_number(group, transport.rank())),
      elements_(collective.end - collective.begin),
      divisor_(collective.divisor),
      element_bytes_(collective.element_bytes),
      tag_(tag),
      memory_(memory),
      steps_(steps_of(shape, member_, elements_)) {
  if (kind_ == CollectiveKind::all_gather && !memory_.shard.empty())
    copy(own_chunk(), memory_.shard.first(own_chunk().size()));
}

void CollectiveRun::copy(std::span<std::byte> into, std::span<const std::byte> from) {
  backend_.device().copy(into.data(), from.data(), from.size());
}

std::span<std::byte> CollectiveRun::bytes(const ElementRange& range) const {
  return memory_.values.subspan(static_cast<std::size_t>(range.begin * element_bytes_),
                                static_cast<std::size_t>(range.size() * element_bytes_));
}

std::span<std::byte> CollectiveRun::own_chunk() const {
  return bytes(chunk_of(0, elements_, group_.members.size(), member_));
}

bool CollectiveRun::advance() {
  moved_ = false;
  while (step_ < steps_.size()) {
    if (!begun_) begin_step();
    if (receive_ && transport_.test(*receive_)) receive_.reset(), moved_ = true;
    if (send_ && transport_.test(*send_)) send_.reset(), moved_ = true;
    if (receive_ || send_) return false;
    finish_step();
    if (step_ == steps_.size()) finish();
  }
  return true;
}

void CollectiveRun::begin_step() {
  const CollectiveStep& step = steps_[step_];
  begun_ = moved_ = true;
  if (step.receive.size() > 0) {
    const std::span<std::byte> into = bytes(step.receive);
    receive_ = transport_.receive(group_.members[step.from], tag_,
                                  step.reduce ? room_of_step().first(into.size()) : into);
    received_ += size_of(into);
  }
  if (step.send.size() > 0) {
    const std::span<std::byte> from = bytes(step.send);
    send_ = transport_.send(group_.members[step.to], tag_, from);
    sent_ += size_of(from);
  }
}

// Where a step receives what is to be added: most add it before the next step, pairwise terms wait
// for one another.
std::span<std::byte> CollectiveRun::room_of_step() const {
  if (algorithm_ != CollectiveAlgorithm::pairwise) return memory_.room;
  const std::size_t size = memory_.room.size() / (group_.members.size() - 1);
  return memory_.room.subspan(step_ * size, size);
}

void CollectiveRun::finish_step() {
  const CollectiveStep& step = steps_[step_];
  const bool is_last_sum = step.reduce && (step_ + 1 == steps_.size() || !steps_[step_ + 1].reduce);
  if (step.reduce && step.receive.size() > 0) {
    std::byte* into = bytes(step.receive).data();
    switch (algorithm_) {
      case CollectiveAlgorithm::ring:
      case CollectiveAlgorithm::doubling:
        backend_.add(into, memory_.room.data(), step.receive.size());
        break;
      case CollectiveAlgorithm::pairwise:
        if (is_last_sum) add_up(step.receive);
        break;
    }
    // This chunk is complete and goes out to everybody from here: divided once, the same
    // everywhere.
    if (is_last_sum && divisor_ != 1) backend_.divide(into, step.receive.size(), divisor_);
  }
  ++step_;
  begun_ = false;
  moved_ = true;
}

// All members' terms of this one's chunk, in the order of the fixed tree.
void CollectiveRun::add_up(const ElementRange& chunk) {
  std::vector<std::byte*> terms(group_.members.size());
  terms[member_] = bytes(chunk).data();
  const std::size_t size = memory_.room.size() / (group_.members.size() - 1);
  for (std::size_t s = 0; s <= step_; ++s)
    terms[steps_[s].from] = memory_.room.data() + s * size;
  fold_tree(terms.size(), [&](std::size_t left, std::size_t right) {
    backend_.add(terms[left], terms[right], chunk.size());
  });
  if (terms.front() != bytes(chunk).data())
    copy(bytes(chunk), {terms.front(), bytes(chunk).size()});
}

void CollectiveRun::finish() {
  if (kind_ != CollectiveKind::reduce_scatter || memory_.shard.empty()) return;
  const std::span<std::byte> chunk = own_chunk();
  if (!memory_.adds_to_shard) return copy(memory_.shard, chunk);
  backend_.add(memory_.shard.data(), chunk.data(),
               static_cast<std::int64_t>(chunk.size()) / element_bytes_);
}

}  // namespace rehearse::exec
