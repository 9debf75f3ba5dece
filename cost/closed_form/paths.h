// Messages that are sent at the same time, and the ways that they take.
#pragma once

#include <cstdint>
#include <optional>
#include <utility>
#include <vector>

#include "cost/closed_form/routes.h"
#include "cost/collective_cost.h"
#include "model/cluster/cluster.h"

namespace rehearse {

struct NumberedPaths;

// Their ways; the slowest counts.
class Paths {
 public:
  Paths() = default;
  Paths(Routes& routes, const Messages& messages);

  Seconds message(const Device& device, Bytes bytes) const;
  // An exchange of messages of so many bytes: the dearest one's costs.
  MessageCost exchange(const Device& device, Bytes bytes,
                       const MessageProtocol* protocol = nullptr) const;
  // Messages of one link that most have to share.
  std::int64_t most_shared() const { return most_shared_; }
  bool empty() const { return ways_.empty(); }
  bool are_alike() const { return ways_.size() < 2; }  // equally fast
  // Some of them, by their numbers (NumberedPaths).
  Paths only(const std::vector<std::size_t>& ways) const;
  friend bool operator==(const Paths&, const Paths&) = default;

 private:
  friend struct NumberedPaths;
  struct Way {
    Seconds latency;
    std::vector<std::pair<LinkSpec, std::int64_t>> links;  // that differ, and messages on them
    std::optional<BytesPerSecond> rate(Bytes bytes) const;
    friend bool operator==(const Way&, const Way&) = default;
  };
  std::vector<Way> ways_;  // that differ
  std::int64_t most_shared_ = 0;
};

// ... of each message by number.
struct NumberedPaths {
  NumberedPaths(Routes& routes, const Messages& messages);
  Paths paths;
  std::vector<std::size_t> ways;  // by message, the number of its way
};

}  // namespace rehearse
