#include "cost/closed_form/worker_stages.h"

#include <algorithm>

#include "cost/closed_form/live_states.h"

namespace rehearse {

std::size_t WorkerStages::number(const Worker& worker, std::size_t begin, std::size_t end,
                                 const std::vector<SegmentId>& complete,
                                 Recomputation recomputation, bool splits_backward) {
  const Net& net = whole_.net();
  const bool full = recomputation == Recomputation::full;
  std::vector<std::size_t> key = {full ? 1U : 0U, splits_backward ? 1U : 0U, begin == 0 ? 1U : 0U,
                                  end == net.blocks.size() ? 1U : 0U};
  auto at = complete.begin();
  for (std::size_t block = begin; block < end; ++block) {
    if (worker.contents[block] == UnitNet::kNothing) continue;
    key.push_back(2 * worker.contents[block]);
    const SegmentId first = begin_of(net, BlockId(block)), last = end_of(net, BlockId(block));
    for (; at != complete.end() && *at < last; ++at)
      key.push_back(2 * (at->index() - first.index()) + 1);
  }
  const auto [known, is_new] = known_.try_emplace(std::move(key), kinds_.size());
  if (is_new) {
    const ProgramSettings settings{recomputation, splits_backward, tensor_, overlaps_};
    const std::shared_ptr<const Net> own = whole_.own(worker.part);
    const auto part = [&](const PassRange& range) {
      return parts_.number(own, worker.contents, range);
    };
    kinds_.push_back(
        {own, {*own, begin, end, complete, settings, training_, part}, complete.size()});
  }
  return known->second;
}

const WorkerPasses& WorkerStages::passes(std::size_t number, std::int64_t samples,
                                         const RingGroup& tensor) {
  auto ring = std::find(rings_.begin(), rings_.end(), tensor);
  if (ring == rings_.end()) ring = rings_.insert(rings_.end(), tensor);
  auto& known = passes_[{number, samples, static_cast<std::size_t>(ring - rings_.begin())}];
  if (known) return *known;
  Kind& kind = kinds_[number];
  const std::vector<PartPass>& prices = parts_.prices(kind.program, samples);
  kind.program.resize({*kind.net, samples, tensor_, prices}, training_);
  known = std::make_unique<WorkerPasses>(read_stage(kind.program, prices, tensor, device_));
  known->passes = stage_passes(known->figures, 0);
  known->bytes = bytes_by_state(known->passes);
  known->complete.resize(kind.completions);
  // Read from the last segment on.
  for (std::size_t c = 0; c < kind.completions; ++c) {
    const auto& [block, segment] = kind.program.completion(kind.completions - 1 - c);
    known->complete[c] = known->figures.completion(block, segment, 0);
  }
  return *known;
}

}  // namespace rehearse
