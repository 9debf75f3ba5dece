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
      memory_(memory),
      channels_(channel_count(shape)) {
  const std::size_t room = memory_.room.size() / channels_.size();
  for (std::size_t c = 0; c < channels_.size(); ++c)
    channels_[c] = {.steps = steps_of(shape, member_, elements_, c),
                    .room = memory_.room.subspan(c * room, room),
                    .tag = tag + static_cast<std::int64_t>(c)};
  if (kind_ == CollectiveKind::all_gather && !memory_.shard.empty())
    copy(own_chunk(), memory_.shard.first(own_chunk().size()));
}

void CollectiveRun::add(std::byte* into, const std::byte* from, std::int64_t elements) {
  memory_.of_statistics ? backend_.add_statistics(into, from, elements)
                        : backend_.add(into, from, elements);
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
  bool done = true;
  for (Channel& channel : channels_) {
    advance(channel);
    done = done && channel.is_done();
  }
  if (done && !finished_) finish();
  return finished_ = done;
}

void CollectiveRun::advance(Channel& channel) {
  while (!channel.is_done()) {
    if (!channel.begun) begin_step(channel);
    if (channel.receive && transport_.test(*channel.receive))
      channel.receive.reset(), moved_ = true;
    if (channel.send && transport_.test(*channel.send)) channel.send.reset(), moved_ = true;
    if (channel.receive || channel.send) return;
    finish_step(channel);
  }
}

void CollectiveRun::begin_step(Channel& channel) {
  const CollectiveStep& step = channel.steps[channel.step];
  channel.begun = moved_ = true;
  if (step.receive.size() > 0) {
    const std::span<std::byte> into = bytes(step.receive);
    channel.receive =
        transport_.receive(group_.members[step.from], channel.tag,
                           step.reduce ? room_of_step(channel).first(into.size()) : into);
    received_ += size_of(into);
  }
  if (step.send.size() > 0) {
    const std::span<std::byte> from = bytes(step.send);
    channel.send = transport_.send(group_.members[step.to], channel.tag, from);
    sent_ += size_of(from);
  }
}

// Where a step receives what is to be added: most add it before the next step, pairwise terms wait
// for one another.
std::span<std::byte> CollectiveRun::room_of_step(const Channel& channel) const {
  if (algorithm_ != CollectiveAlgorithm::pairwise) return channel.room;
  const std::size_t size = channel.room.size() / (group_.members.size() - 1);
  return channel.room.subspan(channel.step * size, size);
}

void CollectiveRun::finish_step(Channel& channel) {
  const CollectiveStep& step = channel.steps[channel.step];
  if (step.reduce && step.receive.size() > 0) {
    std::byte* into = bytes(step.receive).data();
    if (algorithm_ != CollectiveAlgorithm::pairwise) {
      add(into, channel.room.data(), step.receive.size());
    } else if (step.completes) {
      add_up(channel, step.receive);
    }
    // What is complete goes out to everybody from here, or is the same wherever else it is:
    // divided once.
    if (step.completes && divisor_ != 1) backend_.divide(into, step.receive.size(), divisor_);
  }
  ++channel.step;
  channel.begun = false;
  moved_ = true;
}

// All members' terms of this one's chunk, in the order of the fixed tree.
void CollectiveRun::add_up(const Channel& channel, const ElementRange& chunk) {
  std::vector<std::byte*> terms(group_.members.size());
  terms[member_] = bytes(chunk).data();
  const std::size_t size = channel.room.size() / (group_.members.size() - 1);
  for (std::size_t s = 0; s <= channel.step; ++s)
    terms[channel.steps[s].from] = channel.room.data() + s * size;
  fold_tree(terms.size(), [&](std::size_t left, std::size_t right) {
    add(terms[left], terms[right], chunk.size());
  });
  if (terms.front() != bytes(chunk).data())
    copy(bytes(chunk), {terms.front(), bytes(chunk).size()});
}

void CollectiveRun::finish() {
  if (kind_ != CollectiveKind::reduce_scatter || memory_.shard.empty()) return;
  const std::span<std::byte> chunk = own_chunk();
  if (!memory_.adds_to_shard) return copy(memory_.shard, chunk);
  add(memory_.shard.data(), chunk.data(), static_cast<std::int64_t>(chunk.size()) / element_bytes_);
}

}  // namespace rehearse::exec
