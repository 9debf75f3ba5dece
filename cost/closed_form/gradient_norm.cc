#include "cost/closed_form/gradient_norm.h"

#include <algorithm>
#include <limits>

#include "model/schedule/mesh_place.h"

namespace rehearse {
namespace {

constexpr double kNever = -std::numeric_limits<double>::infinity();
constexpr std::int64_t kWidth = 8;  // bytes of a number

CollectiveShape shape_of(std::size_t members) {
  return {CollectiveKind::all_reduce, CollectiveAlgorithm::doubling, members};
}

// Messages of one step: how long each is on its way, beside the others.
class Ways {
 public:
  Ways(const Cluster& cluster, Bytes size)
      : cluster_(cluster), size_(size), load_(cluster.links().size(), 0) {}

  // ways: of all messages of the step.
  std::vector<Path> paths_of(const std::vector<Route>& ways) {
    for (const Route& way : ways) {
      for (const LinkId link : way)
        ++load_[link.index()];
    }
    std::vector<Path> made;
    for (const Route& way : ways)
      made.push_back(path_of(way));
    for (const Route& way : ways) {
      for (const LinkId link : way)
        load_[link.index()] = 0;
    }
    return made;
  }

 private:
  Path path_of(const Route& way) const {
    Path path;
    for (const LinkId id : way) {
      const LinkSpec& link = cluster_.links()[id.index()];
      path.latency += link.latency;
      const double share =
          std::min(efficiency(link, size_), 1.0 / static_cast<double>(load_[id.index()]));
      const auto rate = BytesPerSecond::bytes_per_second(link.bandwidth.bytes_per_second() * share);
      if (!path.bandwidth || rate < *path.bandwidth) path.bandwidth = rate;
    }
    return path;
  }

  const Cluster& cluster_;
  const Bytes size_;
  std::vector<std::int64_t> load_;  // by link: messages of the step
};

}  // namespace

NormExchange::NormExchange(const Cluster& cluster, const std::vector<RankId>& members,
                           const Training& training)
    : members_(members.size()) {
  if (members.size() < 2) return;
  const std::int64_t numbers = square_numbers(training);
  const Device& device = cluster.device();
  const std::vector<std::vector<Path>> paths = lay_out(cluster, members, numbers);
  const FastestProtocol fastest = fastest_protocol(device, [&](const MessageProtocol* protocol) {
    price(device, paths, protocol, numbers);
    return Seconds::seconds(seconds_);
  });
  price(device, paths, fastest.protocol, numbers);
}

// By step, the paths of its messages.
std::vector<std::vector<Path>> NormExchange::lay_out(const Cluster& cluster,
                                                     const std::vector<RankId>& members,
                                                     std::int64_t numbers) {
  const StepLists lists(shape_of(members.size()));
  Ways ways(cluster, Bytes::bytes(kWidth * numbers));
  std::vector<std::vector<Path>> paths;
  for (std::size_t number = 0; number < lists.count(); ++number) {
    Step& step = steps_.emplace_back();
    std::vector<Route> routes;
    for (std::size_t member = 0; member < members.size(); ++member) {
      const CollectiveStep it = lists.step(member, numbers, number);
      if (it.send.size() == 0) continue;
      const bool adds = lists.step(it.to, numbers, number).reduce;
      step.push_back({static_cast<std::uint32_t>(member), static_cast<std::uint32_t>(it.to), adds});
      routes.push_back(cluster.route(members[member], members[it.to]));
    }
    paths.push_back(ways.paths_of(routes));
  }
  return paths;
}

void NormExchange::price(const Device& device, const std::vector<std::vector<Path>>& paths,
                         const MessageProtocol* protocol, std::int64_t numbers) {
  const Bytes size = Bytes::bytes(kWidth * numbers);
  is_even_ = true;
  for (std::size_t s = 0; s < steps_.size(); ++s) {
    Step& step = steps_[s];
    for (std::size_t m = 0; m < step.size(); ++m) {
      const MessageCost cost = exchange_cost(device, paths[s][m], 1, protocol);
      Message& message = step[m];
      message.sent = message.taken = send_seconds(cost, size).seconds();
      if (message.adds)
        message.taken += (cost.gamma_per_byte * static_cast<double>(size.bytes())).seconds();
      is_even_ = is_even_ && step.size() == members_ && message.taken == step.front().taken;
    }
  }
  start_ = start_seconds(device, shape_of(members_), numbers, kWidth, protocol).seconds();
  const std::vector<double> ends = follow(std::vector<double>(members_, 0));
  seconds_ = *std::max_element(ends.begin(), ends.end());
}

std::vector<double> NormExchange::run(std::vector<double> when) const {
  if (!is_even_) return follow(std::move(when));
  std::fill(when.begin(), when.end(), *std::max_element(when.begin(), when.end()) + seconds_);
  return when;
}

std::vector<double> NormExchange::follow(std::vector<double> when) const {
  for (double& begin : when)
    begin += start_;
  std::vector<double> next;
  for (const Step& step : steps_) {
    next = when;
    for (const Message& message : step) {
      const double begin = std::max(when[message.from], when[message.to]);
      next[message.from] = std::max(next[message.from], begin + message.sent);
      next[message.to] = std::max(next[message.to], begin + message.taken);
    }
    std::swap(when, next);
  }
  return when;
}

// ---- of a pipeline's ranks ---------------------------------------------------------------------

std::vector<RankId> all_ranks(const Mesh& mesh) {
  std::vector<RankId> ranks;
  for (std::int64_t r = 0; r < mesh.ranks(); ++r)
    ranks.emplace_back(r);
  return ranks;
}

NormTimes norm_times(const NormExchange& all, const Mesh& mesh) {
  NormTimes made{all.seconds(), {}};
  if (all.is_even() || mesh.pipeline == 1) return made;
  std::vector<std::size_t> rank_of(static_cast<std::size_t>(mesh.ranks()));
  for_each_place(mesh, [&](const MeshPlace& place) {
    rank_of[rank_at(mesh, place).index()] = static_cast<std::size_t>(place.pipeline);
  });
  const auto ranks = static_cast<std::size_t>(mesh.pipeline);
  for (std::size_t from = 0; from < ranks; ++from) {
    std::vector<double> when;
    for (const std::size_t rank : rank_of)
      when.push_back(rank == from ? 0 : kNever);
    const std::vector<double> ends = all.run(std::move(when));
    std::vector<double>& behind = made.behind.emplace_back(ranks, kNever);
    for (std::size_t member = 0; member < ends.size(); ++member)
      behind[rank_of[member]] = std::max(behind[rank_of[member]], ends[member]);
  }
  return made;
}

std::int64_t norm_bytes(std::int64_t ranks, const Training& training) {
  if (!training.optimizer.clip) return 0;
  const std::int64_t numbers = square_numbers(training);
  const CollectiveShape shape = shape_of(static_cast<std::size_t>(ranks));
  return kWidth * numbers + (ranks > 1 ? kWidth * room_for(shape, numbers) : 0);
}

}  // namespace rehearse
