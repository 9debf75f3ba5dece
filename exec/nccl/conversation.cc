#include "exec/nccl/conversation.h"

#include <algorithm>
#include <array>
#include <cstring>
#include <utility>

#include "exec/message_transport.h"
#include "model/base/check.h"

namespace rehearse::exec {
namespace {

using Messages = std::deque<std::shared_ptr<DeviceMessage>>;

// NCCL takes 2048 operations in a group; what comes later need not wait for so many.
constexpr std::size_t kLargestGroup = 64;

// Messages of one route match in order.
struct Route {
  std::int64_t tag;
  std::int64_t leader_sends;  // 0 or 1
  friend auto operator<=>(const Route&, const Route&) = default;
};

// Of the follower: a message that it has noted. Of the leader: one of the next group.
struct Announcement {
  Route route;
  std::int64_t bytes;
};
struct Order {
  Route route;
  std::int64_t ends_group;  // 0 or 1
};

template <class T>
std::span<const std::byte> bytes_of(const T& value) {
  return std::as_bytes(std::span(&value, 1));
}
template <class T>
T read_as(const std::vector<std::byte>& bytes) {
  T value;
  REHEARSE_CHECK(bytes.size() == sizeof value, "{} bytes instead of {}", bytes.size(),
                 sizeof value);
  std::memcpy(&value, bytes.data(), sizeof value);
  return value;
}

std::shared_ptr<DeviceMessage> take_front(Messages& messages) {
  std::shared_ptr<DeviceMessage> front = std::move(messages.front());
  messages.pop_front();
  return front;
}

// Whether there is one, and its memory may be touched.
bool is_front_free(KernelDevice& device, Messages& messages) {
  if (messages.empty()) return false;
  std::optional<Mark>& before = messages.front()->before;
  if (before && device.is_passed(*before)) before.reset();
  return !before;
}

// What leader and follower have in common.
class WithPeer : public Conversation {
 public:
  WithPeer(const ConversationPlace& place, RankId peer)
      : place_(place), peer_(peer), control_(place.carrier, peer) {}

  void post(std::shared_ptr<DeviceMessage> message) override {
    prepare();
    posted_.push_back(std::move(message));
  }

  void advance() override {
    control_.is_said();
    while (const auto text = control_.hear())
      take(*text);
    while (is_front_free(place_.device, posted_))
      note(take_front(posted_));
    if (!pair_ || !pair_->is_idle()) return;
    end_group();
    if (place_.slots.free > 0) begin_group(next_group());
  }

  bool waits_for_device() const override {
    return !posted_.empty() || !group_.empty() || (pair_ && !was_made_);
  }

  bool close() override {
    if (!control_.is_said()) return false;
    if (!pair_) return true;
    pair_->is_idle();  // or it would not notice
    return pair_->close();
  }

 protected:
  virtual void prepare() = 0;
  virtual void take(const std::vector<std::byte>& text) = 0;
  virtual void note(std::shared_ptr<DeviceMessage> message) = 0;
  // Empty: there is none to be begun yet.
  virtual Messages next_group() = 0;

  const ConversationPlace place_;
  const RankId peer_;
  ControlChannel control_;
  std::unique_ptr<NcclPair> pair_;
  std::map<Route, Messages> noted_;  // own ones

 private:
  void begin_group(Messages group) {
    if (group.empty()) return;
    group_ = std::move(group);
    --place_.slots.free;
    std::vector<NcclPair::Piece> pieces;
    for (const auto& message : group_)
      pieces.push_back({message->sends, message->memory});
    pair_->begin(pieces);
  }
  void end_group() {
    was_made_ = true;
    if (group_.empty()) return;
    for (const auto& message : group_)
      message->done = true;
    group_.clear();
    ++place_.slots.free;
  }

  Messages posted_;  // not noted yet
  Messages group_;   // launched
  bool was_made_ = false;
};

class Leader : public WithPeer {
 public:
  using WithPeer::WithPeer;

 private:
  // Of every message the follower announces its half.
  void prepare() override {
    if (!pair_) {
      const NcclId id = place_.nccl.new_id();
      control_.say(id.bytes);
      pair_ = std::make_unique<NcclPair>(place_.nccl, id, 0);
    }
    control_.expect(sizeof(Announcement));
  }

  void take(const std::vector<std::byte>& text) override {
    const auto announced = read_as<Announcement>(text);
    announced_[announced.route].push_back(announced.bytes);
    match(announced.route);
  }

  void note(std::shared_ptr<DeviceMessage> message) override {
    const Route route{message->tag, message->sends};
    noted_[route].push_back(std::move(message));
    match(route);
  }

  void match(const Route& route) {
    Messages& own = noted_[route];
    std::deque<std::int64_t>& theirs = announced_[route];
    while (!own.empty() && !theirs.empty()) {
      check_length(*own.front(), theirs.front());
      theirs.pop_front();
      matched_.emplace_back(route, take_front(own));
    }
    // Plans have many tags.
    if (own.empty()) noted_.erase(route);
    if (theirs.empty()) announced_.erase(route);
  }

  void check_length(const DeviceMessage& own, std::int64_t theirs) {
    const auto ours = std::ssize(own.memory);
    if (ours == theirs) return;
    const RankId here = place_.carrier.rank();
    place_.carrier.abort(own.sends ? length_mismatch(peer_, here, own.tag, theirs, ours)
                                   : length_mismatch(here, peer_, own.tag, ours, theirs));
  }

  Messages next_group() override {
    Messages group;
    const std::size_t size = std::min(matched_.size(), kLargestGroup);
    for (std::size_t k = 0; k < size; ++k) {
      auto& [route, message] = matched_.front();
      control_.say_now(bytes_of(Order{route, k + 1 == size}));
      group.push_back(std::move(message));
      matched_.pop_front();
    }
    return group;
  }

  std::map<Route, std::deque<std::int64_t>> announced_;  // lengths of the follower's
  std::deque<std::pair<Route, std::shared_ptr<DeviceMessage>>> matched_;
};

class Follower : public WithPeer {
 public:
  using WithPeer::WithPeer;

 private:
  void prepare() override {
    if (!std::exchange(is_expecting_, true)) control_.expect(sizeof(NcclId));
  }

  // The leader orders every message that it was told.
  void note(std::shared_ptr<DeviceMessage> message) override {
    control_.expect(sizeof(Order));
    const Route route{message->tag, !message->sends};
    control_.say(bytes_of(Announcement{route, std::ssize(message->memory)}));
    noted_[route].push_back(std::move(message));
  }

  void take(const std::vector<std::byte>& text) override {
    if (!pair_) {
      pair_ = std::make_unique<NcclPair>(place_.nccl, read_as<NcclId>(text), 1);
      return;
    }
    REHEARSE_CHECK(!is_whole_, "rank {} was told a second group by rank {}",
                   place_.carrier.rank().value(), peer_.value());
    const auto order = read_as<Order>(text);
    const auto found = noted_.find(order.route);
    REHEARSE_CHECK(found != noted_.end(), "rank {} has no message of tag {} for rank {}",
                   place_.carrier.rank().value(), order.route.tag, peer_.value());
    ordered_.push_back(take_front(found->second));
    if (found->second.empty()) noted_.erase(found);
    is_whole_ = order.ends_group != 0;
  }

  Messages next_group() override {
    if (!is_whole_) return {};
    is_whole_ = false;
    return std::exchange(ordered_, {});
  }

  Messages ordered_;       // of the next group, so far
  bool is_whole_ = false;  // whether that is all of it
  bool is_expecting_ = false;
};

// A copy, once both sides may be touched.
class WithOneself : public Conversation {
 public:
  explicit WithOneself(const ConversationPlace& place) : place_(place) {}

  void post(std::shared_ptr<DeviceMessage> message) override {
    Tag& tag = posted_[message->tag];
    (message->sends ? tag.sends : tag.receives).push_back(std::move(message));
  }

  void advance() override {
    for (auto tag = posted_.begin(); tag != posted_.end();) {
      copy_ready(tag->second);
      tag = tag->second.sends.empty() && tag->second.receives.empty() ? posted_.erase(tag)
                                                                      : std::next(tag);
    }
    while (!copies_.empty() && place_.device.is_passed(copies_.front().end)) {
      copies_.front().send->done = copies_.front().receive->done = true;
      copies_.pop_front();
    }
  }

  bool waits_for_device() const override { return !posted_.empty() || !copies_.empty(); }
  bool close() override { return true; }

 private:
  struct Tag {
    Messages sends, receives;
  };
  struct Copy {
    std::shared_ptr<DeviceMessage> send, receive;
    Mark end;
  };

  void copy_ready(Tag& tag) {
    while (is_front_free(place_.device, tag.sends) && is_front_free(place_.device, tag.receives)) {
      Copy copy{take_front(tag.sends), take_front(tag.receives), {}};
      const auto from = std::ssize(copy.send->memory), into = std::ssize(copy.receive->memory);
      const RankId here = place_.carrier.rank();
      if (from != into)
        place_.carrier.abort(length_mismatch(here, here, copy.send->tag, into, from));
      place_.device.copy(copy.receive->memory.data(), copy.send->memory.data(),
                         copy.send->memory.size());
      copy.end = place_.device.mark();
      copies_.push_back(std::move(copy));
    }
  }

  const ConversationPlace place_;
  std::map<std::int64_t, Tag> posted_;  // by tag
  std::deque<Copy> copies_;             // queued
};

}  // namespace

std::unique_ptr<Conversation> make_conversation(const ConversationPlace& place, RankId peer) {
  const RankId here = place.carrier.rank();
  if (here == peer) return std::make_unique<WithOneself>(place);
  if (here < peer) return std::make_unique<Leader>(place, peer);
  return std::make_unique<Follower>(place, peer);
}

}  // namespace rehearse::exec
