#include "exec/nccl/nccl_transport.h"

#include <fmt/format.h>

#include <algorithm>
#include <exception>
#include <utility>

#include "model/base/check.h"

namespace rehearse::exec {

Status check_gpus_for_nccl(std::int64_t ranks, std::int64_t gpus) {
  if (ranks <= gpus) return success();
  return error(fmt::format("NCCL needs a GPU for every rank: {} ranks, {} GPU{}", ranks, gpus,
                           gpus == 1 ? "" : "s"));
}

NcclTransport::NcclTransport(Transport& carrier, KernelDevice& device, NcclCalls& nccl)
    : CarriedTransport(carrier),
      device_(device),
      nccl_(nccl),
      slots_{nccl.most_kernels()},
      exceptions_at_start_(std::uncaught_exceptions()) {}

NcclTransport::~NcclTransport() {
  if (std::uncaught_exceptions() > exceptions_at_start_) return;
  try {
    close();
  } catch (const std::exception&) {
    // Another rank has ended the job: its communicators are aborted.
  }
}

void NcclTransport::close() {
  while (!conversations_.empty()) {
    std::erase_if(conversations_, [](const auto& entry) { return entry.second->close(); });
    carrier_.idle();
  }
}

Request NcclTransport::send(RankId to, std::int64_t tag, std::span<const std::byte> bytes) {
  if (bytes.empty() || !device_.owns(bytes.data())) return enter(carrier_.send(to, tag, bytes));
  // Nobody writes there: one type for both directions.
  return post(to, true, tag, {const_cast<std::byte*>(bytes.data()), bytes.size()});
}

Request NcclTransport::receive(RankId from, std::int64_t tag, std::span<std::byte> bytes) {
  if (bytes.empty() || !device_.owns(bytes.data()))
    return enter(carrier_.receive(from, tag, bytes));
  return post(from, false, tag, bytes);
}

// Of a receive, too: the queue may still read what was there before.
Request NcclTransport::post(RankId peer, bool sends, std::int64_t tag,
                            std::span<std::byte> memory) {
  auto message = std::make_shared<DeviceMessage>(
      DeviceMessage{.sends = sends, .tag = tag, .memory = memory, .before = device_.mark()});
  auto& conversation = conversations_[peer];
  if (!conversation) conversation = make_conversation({carrier_, device_, nccl_, slots_}, peer);
  conversation->post(message);
  return enter(std::move(message));
}

Request NcclTransport::enter(Pending pending) {
  pending_.emplace(++last_id_, std::move(pending));
  return {last_id_};
}

bool NcclTransport::test(Request request) {
  advance();
  const auto found = pending_.find(request.id);
  REHEARSE_CHECK(found != pending_.end(), "rank {} has no request {} under way", rank().value(),
                 request.id);
  const auto* const carried = std::get_if<Carried>(&found->second);
  const bool done = carried != nullptr
                        ? carrier_.test(*carried)
                        : std::get<std::shared_ptr<DeviceMessage>>(found->second)->done;
  if (done) pending_.erase(found);
  return done;
}

void NcclTransport::advance() {
  for (const auto& [peer, conversation] : conversations_)
    conversation->advance();
}

// What a device does takes no core of this machine: there is little to gain by a longer nap.
void NcclTransport::idle() {
  if (std::any_of(conversations_.begin(), conversations_.end(),
                  [](const auto& entry) { return entry.second->waits_for_device(); }))
    carrier_.reset_idle();
  carrier_.idle();
}

}  // namespace rehearse::exec
