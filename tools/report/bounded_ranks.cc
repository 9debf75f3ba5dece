#include "tools/report/bounded_ranks.h"

#include <array>
#include <map>
#include <tuple>

namespace rehearse {
namespace {

// All figures of a rank; -1 of what was not taken, which no figure is.
auto figures_of(const RankSummary& r) {
  using Sizes = std::array<std::int64_t, 5>;
  Sizes sizes{-1, -1, -1, -1, -1};
  if (r.memory)
    sizes = {r.memory->peak.bytes(), r.memory->arena.bytes(), r.memory->arena_live.bytes(), -1, -1};
  if (r.traffic) sizes[3] = r.traffic->sent.bytes(), sizes[4] = r.traffic->received.bytes();
  return std::tuple(sizes, r.compute.seconds(), r.exposed_communication.seconds(),
                    r.idle.seconds());
}

}  // namespace

RankRuns runs_of(const std::vector<RankSummary>& ranks) {
  RankRuns all;
  std::map<decltype(figures_of(ranks.front())), std::size_t> numbers;
  for (const RankSummary& rank : ranks) {
    const auto [place, is_new] = numbers.try_emplace(figures_of(rank), all.kinds.size());
    if (is_new) all.kinds.push_back(rank);
    if (all.runs.empty() || all.runs.back().first != place->second)
      all.runs.emplace_back(place->second, 0);
    ++all.runs.back().second;
  }
  return all;
}

bool are_numbered(const std::vector<RankSummary>& ranks) {
  for (std::size_t r = 0; r < ranks.size(); ++r) {
    if (ranks[r].rank != static_cast<std::int64_t>(r)) return false;
  }
  return true;
}

}  // namespace rehearse
