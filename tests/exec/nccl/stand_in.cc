#include "tests/exec/nccl/stand_in.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cstring>
#include <optional>
#include <stdexcept>
#include <utility>

#include "model/base/check.h"

namespace rehearse::exec {

struct NcclCommunicator {
  testing::NcclWorld* world;
  std::uint64_t id;
  int rank;
  std::uint64_t delay;  // times that it says to be in progress, at least
  bool ends = false;
  int launched = 0;  // kernels that are not done
};

struct NcclStream {
  int launched = 0;
};

}  // namespace rehearse::exec

namespace rehearse::testing {

using exec::NcclCommunicator;
using exec::NcclId;
using exec::NcclStream;

// Of the two ranks of a communicator.
struct NcclWorld::Meeting {
  struct Half {
    bool is_there = false, ends = false;
    // Of the kernel that runs, if one does.
    std::optional<std::vector<NcclStandIn::Piece>> runs;
    std::uint64_t number = 0;  // kernels so far
    std::deque<std::vector<std::byte>> sent;
  };
  std::array<Half, 2> halves;
};

struct NcclStandIn::Kernel {
  NcclCommunicator* communicator = nullptr;
  NcclStream* stream = nullptr;
  std::vector<Piece> pieces;
  std::uint64_t delay = 0;
  bool has_sent = false;
  std::size_t received = 0;  // pieces
};

NcclWorld::NcclWorld(std::size_t kernels) : kernels_(kernels) {}
NcclWorld::~NcclWorld() = default;

NcclStandIn::NcclStandIn(NcclWorld& world, std::uint64_t seed, Reach reach)
    : world_(world), random_(seed, 1), reach_(std::move(reach)) {}

NcclStandIn::~NcclStandIn() {
  REHEARSE_CHECK(streams_ == 0, "{} streams are left", streams_);
}

NcclId NcclStandIn::new_id() {
  const std::scoped_lock lock(world_.mutex_);
  const std::uint64_t number = ++world_.last_id_;
  world_.meetings_[number] = std::make_unique<NcclWorld::Meeting>();
  ++world_.made_;
  NcclId id;
  std::memcpy(id.bytes.data(), &number, sizeof number);
  return id;
}

NcclCommunicator* NcclStandIn::begin_communicator(const NcclId& id, int ranks, int rank) {
  const std::scoped_lock lock(world_.mutex_);
  std::uint64_t number = 0;
  std::memcpy(&number, id.bytes.data(), sizeof number);
  const auto found = world_.meetings_.find(number);
  REHEARSE_CHECK(found != world_.meetings_.end() && ranks == 2, "no communicator {} of {} ranks",
                 number, ranks);
  auto& half = found->second->halves[static_cast<std::size_t>(rank)];
  REHEARSE_CHECK(!half.is_there, "communicator {} has two ranks {}", number, rank);
  half.is_there = true;
  return new NcclCommunicator{&world_, number, rank, random_.below(4)};
}

bool NcclStandIn::is_in_progress(NcclCommunicator* communicator) {
  const std::scoped_lock lock(world_.mutex_);
  run();
  if (communicator->delay > 0) return --communicator->delay, true;
  const auto& halves = world_.meetings_.at(communicator->id)->halves;
  if (communicator->ends) return !(halves[0].ends && halves[1].ends);
  return !(halves[0].is_there && halves[1].is_there);
}

void NcclStandIn::start_group() {
  REHEARSE_CHECK(!group_, "a group in a group");
  group_ = std::make_unique<Kernel>();
}

void NcclStandIn::add(Piece piece, int peer, NcclCommunicator* communicator, NcclStream* stream) {
  REHEARSE_CHECK(group_ != nullptr, "a message outside of groups");
  REHEARSE_CHECK(!is_in_progress(communicator), "a message while the communicator is in progress");
  REHEARSE_CHECK(peer == 1 - communicator->rank, "rank {} has no peer {}", communicator->rank,
                 peer);
  REHEARSE_CHECK(group_->pieces.empty() || group_->communicator == communicator,
                 "a group over two communicators");
  group_->communicator = communicator;
  group_->stream = stream;
  group_->pieces.push_back(piece);
}

void NcclStandIn::send(const void* from, std::size_t bytes, int to, NcclCommunicator* communicator,
                       NcclStream* stream) {
  add({true, const_cast<std::byte*>(static_cast<const std::byte*>(from)), bytes}, to, communicator,
      stream);
}

void NcclStandIn::receive(void* into, std::size_t bytes, int from, NcclCommunicator* communicator,
                          NcclStream* stream) {
  add({false, static_cast<std::byte*>(into), bytes}, from, communicator, stream);
}

// Launched, and in the stream, only when the communicator is in progress no more.
void NcclStandIn::end_group() {
  REHEARSE_CHECK(group_ && !group_->pieces.empty(), "no group to end");
  const std::scoped_lock lock(world_.mutex_);
  group_->communicator->delay = random_.below(4);
  ++group_->communicator->launched;
  ++world_.groups_;
  world_.most_in_group_ = std::max(world_.most_in_group_.load(), group_->pieces.size());
  waiting_.push_back(std::move(group_));
}

// What the device has come to since somebody asked last. Kernels start in the order of their
// launches, of one stream one after another.
void NcclStandIn::run() {
  std::vector<const NcclStream*> busy;
  for (const auto& kernel : running_)
    busy.push_back(kernel->stream);
  for (auto at = waiting_.begin(); at != waiting_.end();) {
    Kernel& kernel = **at;
    const bool is_launched = kernel.communicator->delay == 0;
    const bool is_next = std::find(busy.begin(), busy.end(), kernel.stream) == busy.end();
    busy.push_back(kernel.stream);
    if (!is_launched || !is_next || running_.size() == world_.kernels_) {
      ++at;
      continue;
    }
    auto& half = world_.meetings_.at(kernel.communicator->id)
                     ->halves[static_cast<std::size_t>(kernel.communicator->rank)];
    half.runs = kernel.pieces;
    ++half.number;
    kernel.delay = random_.below(8);
    running_.push_back(std::move(*at));
    at = waiting_.erase(at);
  }
  std::erase_if(running_, [&](const auto& kernel) { return run(*kernel); });
}

// Whether it ends: all its messages have been taken, and received.
bool NcclStandIn::run(Kernel& kernel) {
  NcclWorld::Meeting& meeting = *world_.meetings_.at(kernel.communicator->id);
  auto& own = meeting.halves[static_cast<std::size_t>(kernel.communicator->rank)];
  auto& other = meeting.halves[static_cast<std::size_t>(1 - kernel.communicator->rank)];
  if (kernel.delay > 0) return --kernel.delay, false;
  if (!kernel.has_sent && (!other.runs || other.number != own.number)) return false;
  if (!std::exchange(kernel.has_sent, true)) {
    check_mirrored(meeting);
    for (const Piece& piece : kernel.pieces) {
      if (piece.sends) reach_([&] { own.sent.emplace_back(piece.at, piece.at + piece.bytes); });
    }
  }
  for (; kernel.received < kernel.pieces.size(); ++kernel.received) {
    const Piece& piece = kernel.pieces[kernel.received];
    if (piece.sends) continue;
    if (other.sent.empty()) return false;
    const std::vector<std::byte> bytes = std::move(other.sent.front());
    other.sent.pop_front();
    REHEARSE_CHECK(bytes.size() == piece.bytes, "{} bytes sent, {} received", bytes.size(),
                   piece.bytes);
    reach_([&] { std::copy(bytes.begin(), bytes.end(), piece.at); });
  }
  if (!own.sent.empty()) return false;
  own.runs.reset();
  --kernel.communicator->launched;
  return true;
}

void NcclStandIn::check_mirrored(const NcclWorld::Meeting& meeting) {
  const auto &a = *meeting.halves[0].runs, &b = *meeting.halves[1].runs;
  const auto mirrors = [](const Piece& one, const Piece& two) {
    return one.sends != two.sends && one.bytes == two.bytes;
  };
  if (!std::equal(a.begin(), a.end(), b.begin(), b.end(), mirrors))
    throw std::runtime_error("the halves of a group do not mirror each other");
}

bool NcclStandIn::is_done(NcclStream* stream) {
  const std::scoped_lock lock(world_.mutex_);
  run();
  const auto is_of = [&](const auto& kernel) { return kernel->stream == stream; };
  // What is not launched yet does not stand in the stream.
  const auto stands = [&](const auto& kernel) {
    return is_of(kernel) && kernel->communicator->delay == 0;
  };
  return std::none_of(running_.begin(), running_.end(), is_of) &&
         std::none_of(waiting_.begin(), waiting_.end(), stands);
}

void NcclStandIn::begin_end(NcclCommunicator* communicator) {
  REHEARSE_CHECK(!is_in_progress(communicator) && communicator->launched == 0,
                 "a communicator is ended that is not idle");
  const std::scoped_lock lock(world_.mutex_);
  communicator->ends = true;
  world_.meetings_.at(communicator->id)->halves[static_cast<std::size_t>(communicator->rank)].ends =
      true;
}

void NcclStandIn::destroy(NcclCommunicator* communicator) {
  REHEARSE_CHECK(communicator->ends && !is_in_progress(communicator),
                 "a communicator is destroyed that is not ended");
  ++world_.destroyed_;
  delete communicator;
}

void NcclStandIn::abort(NcclCommunicator* communicator) {
  const auto is_of = [&](const auto& kernel) { return kernel->communicator == communicator; };
  std::erase_if(waiting_, is_of);
  std::erase_if(running_, is_of);
  ++world_.aborted_;
  delete communicator;
}

NcclStream* NcclStandIn::new_stream() {
  ++streams_;
  return new NcclStream;
}

void NcclStandIn::destroy(NcclStream* stream) {
  --streams_;
  delete stream;
}

}  // namespace rehearse::testing
