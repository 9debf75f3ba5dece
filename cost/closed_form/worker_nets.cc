#include "cost/closed_form/worker_nets.h"

#include <algorithm>

#include "model/net/alike.h"

namespace rehearse {

UnitNet::UnitNet(Net net)
    : net_(std::move(net)),
      alike_(alike_blocks(net_)),
      units_(net_.blocks.size()),
      always_runs_(net_.blocks.size(), false),
      uses_(net_.parameters.size()) {
  for (std::size_t unit = 0; unit < net_.units.size(); ++unit)
    units_[net_.units[unit].block.index()].push_back(unit);
  for (std::size_t s = 0; s < net_.segments.size(); ++s) {
    for (const LayerId id : net_.segments[s].layers) {
      const Layer& layer = net_.layers[id.index()];
      if (!layer.unit) always_runs_[net_.segments[s].block.index()] = true;
      for (const ParameterId parameter : layer.parameters) {
        auto& uses = uses_[parameter.index()];
        if (uses.empty() || uses.back() != SegmentId(s)) uses.emplace_back(s);
      }
    }
  }
}

std::shared_ptr<const Net> UnitNet::own(const OwnPart& part) {
  if (last_ && last_part_ == part) return last_;
  Plan frame;
  frame.masking = part.masking;
  RankProgram program;
  program.subnetwork = part.held;
  program.branch_scale_in_training = part.scale;
  last_part_ = part;
  return last_ = std::make_shared<const Net>(net_of(frame, net_, program));
}

std::size_t UnitNet::content(std::size_t block, const OwnPart& part) {
  std::vector<std::int64_t> key = {static_cast<std::int64_t>(alike_[block]),
                                   part.scale == 1 ? 0 : 1};
  const auto& units = units_[block];
  const bool runs_all = part.masking == Masking::backward;
  bool holds_any = false;
  for (const std::size_t unit : units) {
    const bool holds = part.held.holds[unit];
    holds_any = holds_any || holds;
    if (!holds && !runs_all) continue;
    // Widths number on from block to block.
    const Unit& it = net_.units[unit];
    const std::size_t width =
        it.width ? *it.width - *net_.units[units.front()].width : unit - units.front();
    key.push_back(static_cast<std::int64_t>(2 * width) + (holds ? 1 : 0));
    key.push_back(it.channels);
  }
  if (!holds_any && !runs_all && !always_runs_[block]) return kNothing;
  const auto [known, is_new] = contents_.try_emplace(std::move(key), contents_.size());
  if (is_new) {
    const SegmentId begin = begin_of(net_, BlockId(block)), end = end_of(net_, BlockId(block));
    flops_.push_back(flops_of(*own(part), begin, end, 1).total());
  }
  return known->second;
}

Result<Workers> workers_of(const StrategySpec& strategy, const Training& training, UnitNet& whole,
                           Split split) {
  Result<Holding> holding = holding_of(strategy, training, whole.net(), split);
  if (!holding) return holding.errors();
  Workers made{std::move(split), *std::move(holding), Masking::forward, {}, {}};
  made.masking = masking_of(strategy, made.split);
  for (std::size_t w = 0; w < made.holding.workers.size(); ++w) {
    Worker& worker = made.all.emplace_back();
    worker.part = {made.holding.workers[w], made.masking,
                   scale_in_training(strategy, made.split, made.holding, w).value_or(1)};
    for (std::size_t block = 0; block < whole.net().blocks.size(); ++block) {
      worker.contents.push_back(whole.content(block, worker.part));
      if (worker.contents.back() != UnitNet::kNothing)
        worker.flops += whole.flops(worker.contents.back());
    }
    const auto same = std::find_if(made.all.begin(), made.all.end(),
                                   [&](const Worker& other) { return other.part == worker.part; });
    made.like.push_back(static_cast<std::size_t>(same - made.all.begin()));
  }
  return made;
}

}  // namespace rehearse
