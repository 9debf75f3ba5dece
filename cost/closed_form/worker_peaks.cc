#include "cost/closed_form/worker_peaks.h"

#include <algorithm>
#include <optional>

namespace rehearse {

std::vector<RankPeak> rank_peaks(const WorkerStep& step, const std::vector<LiveStates>& states,
                                 std::int64_t squares) {
  const std::vector<WorkerRank>& ranks = step.ranks->ranks;
  std::vector<RankPeak> peaks;
  for (std::size_t r = 0; r < ranks.size(); ++r) {
    const WorkerRank& own = ranks[r];
    std::vector<const StagePasses*> passes;
    std::vector<const std::array<std::int64_t, kStageActions>*> bytes;
    for (const WorkerPasses* stage : step.passes[own.worker]) {
      passes.push_back(&stage->passes);
      bytes.push_back(&stage->bytes);
    }
    const RankAbove above = most_alive(states[own.rank], passes, bytes);
    std::int64_t room = 0;
    for (const auto& bucket : own.buckets)
      room = std::max(room, step.prices->buckets[bucket.bucket].room);
    const bool after_passes = step.is_local ? step.synchronises : !step.overlap;
    RankPeak peak{std::max(squares, after_passes ? room : 0), 0, StageAction::forward};
    const auto take = [&](std::int64_t live, std::size_t stage, StageAction action) {
      if (live > peak.live) peak = {live, static_cast<std::uint32_t>(stage), action};
    };
    take(above.live, above.stage, above.action);
    // Where each bucket's turn comes: when it, and all before it, are complete.
    std::optional<WorkerRank::OwnBucket::Use> last;
    for (const auto& bucket : own.buckets) {
      if (step.is_local || !step.overlap || bucket.uses.empty()) continue;
      // Of several stages the first one's last pass is the last.
      const WorkerRank::OwnBucket::Use& first = bucket.uses.front();
      if (!last ||
          std::pair(first.stage, first.completion) < std::pair(last->stage, last->completion))
        last = first;
      const std::size_t stage = own.stages[last->stage];
      if (above.before_last[last->stage] < 0) continue;
      const auto& complete = step.passes[own.worker][stage]->complete[last->completion];
      take(
          above.before_last[last->stage] + complete.live + step.prices->buckets[bucket.bucket].room,
          stage, above.finishing);
    }
    peak.live += step.prices->state[r];
    peaks.push_back(peak);
  }
  return peaks;
}

}  // namespace rehearse
