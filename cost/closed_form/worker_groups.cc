#include "cost/closed_form/worker_groups.h"

#include <algorithm>

#include "cost/cost_model.h"
#include "model/plan/op_work.h"
#include "model/schedule/mesh_place.h"

namespace rehearse {
namespace {

using Groups = std::vector<std::vector<RankId>>;  // by slice

class Grouping {
 public:
  Grouping(const WorkerRanks& ranks, Routes& routes, const Mesh& mesh)
      : ranks_(ranks), routes_(routes), mesh_(mesh) {}

  WorkerGroup group(std::size_t number) {
    const HolderClass& it = ranks_.classes[number];
    WorkerGroup made;
    for (std::size_t r = 0; r < ranks_.ranks.size(); ++r) {
      const WorkerRank& rank = ranks_.ranks[r];
      if (it.pipeline[rank.rank] && it.workers[rank.worker]) made.members.push_back(r);
      const bool reads = std::binary_search(rank.read.begin(), rank.read.end(), number);
      if (reads && !it.workers[rank.worker]) made.readers.push_back(r);
    }
    const Groups holders = places(it, true);
    if (ranks_.members[number] > 1) made.holders = ring_of(routes_, holders, made.crossed);
    made.shares_links = made.holders.paths.most_shared() > 1;
    if (!made.readers.empty()) send_out(holders, places(it, false), made);
    return made;
  }

 private:
  // In the order of a plan's groups: by data replica, worker, rank of the pipeline, slice.
  Groups places(const HolderClass& it, bool held) const {
    Groups groups(it.partial ? 1 : static_cast<std::size_t>(mesh_.tensor));
    MeshPlace place;
    for (place.data = 0; place.data < mesh_.data; ++place.data) {
      for (place.worker = 0; place.worker < mesh_.workers; ++place.worker) {
        if (it.workers[static_cast<std::size_t>(place.worker)] != held) continue;
        for (place.pipeline = 0; place.pipeline < mesh_.pipeline; ++place.pipeline) {
          if (!it.pipeline[static_cast<std::size_t>(place.pipeline)]) continue;
          for (place.tensor = 0; place.tensor < mesh_.tensor; ++place.tensor)
            groups[it.partial ? 0 : static_cast<std::size_t>(place.tensor)].push_back(
                rank_at(mesh_, place));
        }
      }
    }
    return groups;
  }

  // First each source to a reader, then around the readers (model/collective/steps.h).
  void send_out(const Groups& holders, const Groups& readers, WorkerGroup& made) {
    made.sources = holders.front().size();
    made.all = made.sources + readers.front().size();
    std::vector<std::pair<RankId, RankId>> out;
    for (std::size_t slice = 0; slice < holders.size(); ++slice) {
      const std::size_t pairs = std::min(holders[slice].size(), readers[slice].size());
      for (std::size_t k = 0; k < pairs; ++k)
        out.emplace_back(holders[slice][k], readers[slice][k]);
    }
    made.out = Paths(routes_, out);
    Crossed crossed;
    made.around = ring_of(routes_, readers, crossed).paths;
    // What has come to a reader goes on while the rest of it is still to come.
    Messages both = out;
    const Messages on = rehearse::around(readers);
    both.insert(both.end(), on.begin(), on.end());
    made.shares_links = made.shares_links || Paths(routes_, both).most_shared() > 1;
  }

  const WorkerRanks& ranks_;
  Routes& routes_;
  const Mesh& mesh_;
};

}  // namespace

std::vector<WorkerGroup> worker_groups(const WorkerRanks& ranks, Routes& routes, const Mesh& mesh) {
  Grouping grouping(ranks, routes, mesh);
  std::vector<WorkerGroup> groups;
  for (std::size_t c = 0; c < ranks.classes.size(); ++c)
    groups.push_back(grouping.group(c));
  return groups;
}

namespace {

class Pricing {
 public:
  Pricing(const WorkerRanks& ranks, const std::vector<WorkerGroup>& groups,
          const Training& training, const Device& device, const UpdateRule& rule)
      : ranks_(ranks),
        groups_(groups),
        training_(training),
        sizes_(state_sizes(training)),
        device_(device),
        rule_(rule) {}

  WorkerPrices run() {
    price_buckets();
    for (std::size_t c = 0; c < ranks_.classes.size(); ++c)
      price_class(c);
    for (const WorkerRank& rank : ranks_.ranks) {
      made_.squares.push_back(seconds(squares_work(training_, squared(rank))));
      made_.state.push_back(state(rank));
    }
    return std::move(made_);
  }

 private:
  double seconds(const StepWork& work) const { return price_work(work, device_).seconds.seconds(); }

  bool is_reduced(std::size_t number) const { return ranks_.members[number] > 1; }
  // Classes that ranks of one pipeline share are not sharded.
  bool is_sharded(std::size_t number) const {
    const std::vector<bool>& sharers = ranks_.classes[number].pipeline;
    return is_reduced(number) && std::count(sharers.begin(), sharers.end(), true) == 1 &&
           rule_.sharding != Sharding::none;
  }

  void price_buckets() {
    made_.classes.resize(ranks_.classes.size());
    for (const WorkerRanks::Part& bucket : ranks_.buckets) {
      const std::size_t number = bucket.holder_class;
      const RingGroup& group = groups_[number].holders;
      const bool sharded = is_sharded(number);
      const auto kind = sharded ? CollectiveKind::reduce_scatter : CollectiveKind::all_reduce;
      WorkerPrices::OfBucket& made = made_.buckets.emplace_back();
      if (!is_reduced(number)) continue;
      made.reduction =
          ring_seconds(group, kind, device_, bucket.elements, sizes_.gradient).seconds();
      made.room = room_for({kind, CollectiveAlgorithm::ring, group.members}, bucket.elements) *
                  sizes_.gradient;
      if (!sharded) continue;
      made.gather = ring_seconds(group, CollectiveKind::all_gather, device_, bucket.elements,
                                 sizes_.parameter)
                        .seconds();
      const auto members = static_cast<std::int64_t>(group.members);
      made_.classes[number].updated += (bucket.elements + members - 1) / members;
    }
  }

  void price_class(std::size_t number) {
    const HolderClass& it = ranks_.classes[number];
    WorkerPrices::OfClass& made = made_.classes[number];
    made.is_reduced = is_reduced(number);
    made.is_sharded = is_sharded(number);
    if (!made.is_sharded) made.updated = it.elements;
    made.optimizer = seconds(optimizer_work(training_, made.updated));
    if (rule_.is_local) {
      made.outer_gradient = seconds(outer_gradient_work(training_, rule_.outer, it.elements));
      made.outer_step = seconds(outer_step_work(training_, rule_.outer, it.elements));
    }
    const WorkerGroup& group = groups_[number];
    if (group.readers.empty()) return;
    CollectiveShape shape{CollectiveKind::broadcast, CollectiveAlgorithm::ring, group.all};
    shape.sources = group.sources;
    const auto readers = static_cast<std::int64_t>(group.all - group.sources);
    const Bytes chunk = Bytes::bytes((it.elements + readers - 1) / readers * sizes_.parameter);
    const auto sources = static_cast<std::int64_t>(group.sources);
    const auto rounds = static_cast<double>((readers + sources - 1) / sources);
    struct Sending {
      Seconds starts, out, all;
    };
    // Sources send each reader a share, round by round; then these go around among the readers.
    const auto sending_by = [&](const MessageProtocol* protocol) {
      const MessageCost out = group.out.exchange(device_, chunk, protocol);
      const MessageCost around =
          readers > 1 ? group.around.exchange(device_, chunk, protocol) : out;
      const Seconds starts = start_seconds(device_, shape, it.elements, sizes_.parameter, protocol);
      const Seconds share = send_seconds(out, chunk);
      const Seconds steps =
          rounds * share + static_cast<double>(readers - 1) * send_seconds(around, chunk);
      return Sending{starts, share, starts + steps};
    };
    const auto fastest = fastest_protocol(
        device_, [&](const MessageProtocol* protocol) { return sending_by(protocol).all; });
    const Sending sending = sending_by(fastest.protocol);
    made.broadcast = sending.all.seconds();
    made.sent = (sending.starts + rounds * sending.out).seconds();
  }

  // As elements_squared() has it.
  std::int64_t squared(const WorkerRank& rank) const {
    std::int64_t sum = 0;
    for (const std::size_t c : rank.held) {
      const auto sharers = static_cast<std::int64_t>(rule_.is_local ? 1 : ranks_.members[c]);
      sum += is_sharded(c) ? made_.classes[c].updated
                           : (ranks_.classes[c].elements + sharers - 1) / sharers;
    }
    return sum;
  }

  std::int64_t state(const WorkerRank& rank) const {
    std::int64_t sum = 0;
    for (const std::size_t c : rank.held) {
      const std::int64_t elements = ranks_.classes[c].elements;
      sum += elements * (sizes_.parameter + sizes_.gradient) +
             made_.classes[c].updated * sizes_.optimizer;
      sum += elements * outer_state_bytes(training_, rule_.outer);
    }
    for (const std::size_t c : rank.read) {
      const bool is_held = std::binary_search(rank.held.begin(), rank.held.end(), c);
      if (!is_held) sum += ranks_.classes[c].elements * sizes_.parameter;
    }
    return sum;
  }

  const WorkerRanks& ranks_;
  const std::vector<WorkerGroup>& groups_;
  const Training& training_;
  const StateSizes sizes_;
  const Device& device_;
  const UpdateRule& rule_;
  WorkerPrices made_;
};

}  // namespace

WorkerPrices worker_prices(const WorkerRanks& ranks, const std::vector<WorkerGroup>& groups,
                           const Training& training, const Device& device, const UpdateRule& rule) {
  return Pricing(ranks, groups, training, device, rule).run();
}

}  // namespace rehearse
