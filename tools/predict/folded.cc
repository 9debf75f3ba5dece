#include "tools/predict/folded.h"

#include <map>
#include <tuple>

#include "sim/footprint.h"

namespace rehearse {
namespace {

// What distinguishes collectives of one group: shape, without the members, elements and their
// bytes.
using Kind = std::tuple<CollectiveShape, std::int64_t, std::int64_t>;
Kind kind_of(const Op& op) {
  const Collective& detail = collective_of(op);
  return {shape_of(op, 0), detail.end - detail.begin, detail.element_bytes};
}

// The exchanges of a program that were folded away, by slot of their group and kind; one stands for
// all.
struct Exchanges {
  const Op* one = nullptr;
  std::int64_t count = 0;
};
using ByGroup = std::map<std::pair<std::size_t, Kind>, Exchanges>;

ByGroup exchanges_of(const RankProgram& program, const std::vector<std::vector<OpId>>& parts) {
  ByGroup found;
  for (const std::vector<OpId>& part : parts) {
    for (const OpId id : part) {
      const Op& op = program.ops[id.index()];
      if (part.size() == 1 || !is_collective(op.kind)) continue;
      Exchanges& exchanges = found[{collective_of(op).group, kind_of(op)}];
      exchanges.one = &op;
      ++exchanges.count;
    }
  }
  return found;
}

class Folding {
 public:
  Folding(const FoldedPlan& folded, const Plan& original, const Prices& prices,
          const CollectivePrice& exchange)
      : folded_(folded), original_(original), prices_(prices), exchange_(exchange) {
    for (std::size_t p = 0; p < original.programs.size(); ++p)
      exchanges_.push_back(exchanges_of(original.programs[p], folded.parts[p]));
  }

  FoldedPrices run() {
    FoldedPrices folded;
    Prices& made = folded.prices;
    made.messaging = prices_.messaging;
    // Ranks of one program and device whose exchanges take as long have a row together.
    std::map<std::tuple<std::size_t, std::size_t, std::vector<Seconds>>, std::uint32_t> rows;
    for (std::size_t r = 0; r < original_.ranks.size(); ++r) {
      const std::size_t program = original_.ranks[r].program.index();
      const std::size_t row = prices_.rows.empty() ? program : prices_.rows[r];
      const std::vector<Seconds> exchanges = seconds_of(RankId(r));
      const auto [known, is_new] =
          rows.try_emplace({program, row, exchanges}, static_cast<std::uint32_t>(made.ops.size()));
      if (is_new) add_row(program, prices_.ops[row], exchanges, folded);
      made.rows.push_back(known->second);
    }
    folded.exchanges.rows = made.rows;
    return folded;
  }

 private:
  // By kind of the program's exchanges, in their order.
  std::vector<Seconds> seconds_of(RankId rank) {
    std::vector<Seconds> seconds;
    for (const auto& [key, exchanges] : exchanges_[original_.ranks[rank.index()].program.index()]) {
      const GroupId group = original_.ranks[rank.index()].groups[key.first];
      const auto [known, is_new] = known_.try_emplace({group, key.second});
      if (is_new) {
        const std::vector<RankId>& members = original_.groups[group.index()].members;
        const Collective& detail = collective_of(*exchanges.one);
        known->second = exchange_(members, shape_of(*exchanges.one, members.size()),
                                  detail.end - detail.begin, detail.element_bytes);
      }
      seconds.push_back(known->second);
    }
    return seconds;
  }

  void add_row(std::size_t program, const std::vector<OpPrice>& prices,
               const std::vector<Seconds>& exchanges, FoldedPrices& folded) const {
    std::map<std::pair<std::size_t, Kind>, Seconds> seconds;
    std::size_t number = 0;
    for (const auto& [key, exchange] : exchanges_[program])
      seconds[key] = exchanges[number++];
    auto& row = folded.prices.ops.emplace_back();
    auto& inner = folded.exchanges.ops.emplace_back();
    const std::vector<Op>& ops = original_.programs[program].ops;
    for (const std::vector<OpId>& parts : folded_.parts[program]) {
      OpPrice sum = prices[parts.front().index()];
      std::map<OpKind, std::pair<std::int64_t, Seconds>> exchanged;
      for (std::size_t p = 1; p < parts.size(); ++p) {
        const Op& op = ops[parts[p].index()];
        if (is_collective(op.kind)) {
          const Seconds one = seconds.at({collective_of(op).group, kind_of(op)});
          sum.seconds += one;
          ++exchanged[op.kind].first;
          exchanged[op.kind].second += one;
        } else {
          add(prices[parts[p].index()], sum);
        }
      }
      inner.emplace_back();
      for (const auto& [kind, of_kind] : exchanged)
        inner.back().push_back({kind, of_kind.first, share(of_kind.second, sum.seconds)});
      row.push_back(std::move(sum));
    }
  }

  static void add(const OpPrice& part, OpPrice& sum) {
    sum.seconds += part.seconds;
    sum.rests_on += part.rests_on;
    sum.memory_traffic += part.memory_traffic;
    sum.kernels.insert(sum.kernels.end(), part.kernels.begin(), part.kernels.end());
  }
  static double share(Seconds part, Seconds all) { return all > Seconds{} ? part / all : 0; }

  const FoldedPlan& folded_;
  const Plan& original_;
  const Prices& prices_;
  const CollectivePrice& exchange_;
  std::vector<ByGroup> exchanges_;  // by program
  std::map<std::pair<GroupId, Kind>, Seconds> known_;
};

}  // namespace

FoldedPrices fold_prices(const FoldedPlan& folded, const Plan& original, const Prices& prices,
                         const CollectivePrice& exchange) {
  return Folding(folded, original, prices, exchange).run();
}

std::vector<Bytes> folded_bytes(const FoldedPlan& folded, const Plan& original,
                                const Cluster& cluster) {
  std::vector<ByGroup> exchanges;
  for (std::size_t p = 0; p < original.programs.size(); ++p)
    exchanges.push_back(exchanges_of(original.programs[p], folded.parts[p]));
  std::vector<Bytes> bytes(cluster.links().size());
  for (std::size_t r = 0; r < original.ranks.size(); ++r) {
    const RankBinding& rank = original.ranks[r];
    for (const auto& [key, all] : exchanges[rank.program.index()]) {
      const std::vector<RankId>& members = original.groups[rank.groups[key.first].index()].members;
      if (members.front() != RankId(r)) continue;
      const Collective& detail = collective_of(*all.one);
      const sim::Footprint one =
          sim::footprint_of(cluster, members, shape_of(*all.one, members.size()),
                            detail.end - detail.begin, detail.element_bytes);
      for (const auto& link : one.links)
        bytes[link.link.index()] += link.bytes * all.count;
    }
  }
  return bytes;
}

std::vector<Bytes> bytes_of_others(const Plan& plan, std::size_t size, const Cluster& cluster) {
  std::vector<Bytes> bytes(cluster.links().size());
  // By program: what goes to each peer, and the collectives of each group.
  std::vector<std::map<std::size_t, Bytes>> sent(plan.programs.size());
  std::vector<ByGroup> collectives(plan.programs.size());
  for (std::size_t p = 0; p < plan.programs.size(); ++p) {
    for (const Op& op : plan.programs[p].ops) {
      if (op.kind == OpKind::send) sent[p][transfer_of(op).peer] += transfer_of(op).bytes;
      if (!is_collective(op.kind)) continue;
      Exchanges& alike = collectives[p][{collective_of(op).group, kind_of(op)}];
      alike.one = &op;
      ++alike.count;
    }
  }
  for (std::size_t r = size; r < plan.ranks.size(); ++r) {
    const RankBinding& rank = plan.ranks[r];
    for (const auto& [peer, amount] : sent[rank.program.index()]) {
      for (const LinkId link : cluster.route(RankId(r), rank.peers[peer]))
        bytes[link.index()] += amount;
    }
    for (const auto& [key, alike] : collectives[rank.program.index()]) {
      const std::vector<RankId>& members = plan.groups[rank.groups[key.first].index()].members;
      if (members.front() != RankId(r)) continue;
      const Collective& detail = collective_of(*alike.one);
      const sim::Footprint one =
          sim::footprint_of(cluster, members, shape_of(*alike.one, members.size()),
                            detail.end - detail.begin, detail.element_bytes);
      for (const auto& link : one.links)
        bytes[link.link.index()] += link.bytes * alike.count;
    }
  }
  return bytes;
}

}  // namespace rehearse
