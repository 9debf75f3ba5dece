// The norm of all gradients, where they are clipped: every rank's squares, added up by all.
//
// By doubling (model/collective/steps.h), message by message: one leaves when both its ends have
// come to it, and a member goes on when it has sent and received what its step says. So each has
// the sum at the latest of sums along ways from all others: which rank is behind whom on the
// network matters, as on rings and tori, and who comes to it last.
#pragma once

#include <cstdint>
#include <vector>

#include "cost/collective_cost.h"
#include "model/cluster/cluster.h"
#include "model/plan/plan.h"
#include "model/plan/training.h"

namespace rehearse {

class NormExchange {
 public:
  // members: in the order of the plan's group. O(members log(members) routes)
  NormExchange(const Cluster& cluster, const std::vector<RankId>& members,
               const Training& training);
  // By member: when it has the sum, of when each has come to it (never: it is not waited for).
  std::vector<double> run(std::vector<double> when) const;
  // Until the last one has it, if all begin at once; 0 for one member.
  double seconds() const { return seconds_; }
  // Whether it is as long from any member to any other.
  bool is_even() const { return is_even_; }

 private:
  struct Message {
    std::uint32_t from = 0, to = 0;
    bool adds = false;
    double sent = 0, taken = 0;  // seconds until the sender and the receiver go on
  };
  using Step = std::vector<Message>;
  std::vector<double> follow(std::vector<double> when) const;
  std::vector<std::vector<Path>> lay_out(const Cluster& cluster, const std::vector<RankId>& members,
                                         std::int64_t numbers);
  void price(const Device& device, const std::vector<std::vector<Path>>& paths,
             const MessageProtocol* protocol, std::int64_t numbers);

  std::size_t members_ = 1;
  std::vector<Step> steps_;
  double start_ = 0;  // until the first message
  double seconds_ = 0;
  bool is_even_ = true;
};

// How long it is behind the ranks of a pipeline that come to it.
struct NormTimes {
  double most = -1;  // if all do at once; below 0: nobody asks
  // By rank of the pipeline, and by the one that waits for it: until that one has the sum, at the
  // latest. Empty: `most` of all.
  std::vector<std::vector<double>> behind;
};
// all: of all ranks of the mesh. O(ranks of the pipeline x members log(members)), if it is not even
NormTimes norm_times(const NormExchange& all, const Mesh& mesh);
// members: all ranks of the mesh.
std::vector<RankId> all_ranks(const Mesh& mesh);

// Bytes of it, and of what it receives among so many ranks.
std::int64_t norm_bytes(std::int64_t ranks, const Training& training);

}  // namespace rehearse
