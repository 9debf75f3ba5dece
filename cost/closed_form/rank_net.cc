#include "cost/closed_form/rank_net.h"

#include <algorithm>
#include <set>

#include "model/base/check.h"
#include "model/net/tensor.h"

namespace rehearse {
namespace {

// Two more than a stage in the midst looks at: one on each side of it.
constexpr std::size_t kMidst = kFewRepeats + 3;

Net with_repeats(const Net& net, const BlockRun& run, std::size_t repeats) {
  if (run.size() <= repeats) return net;
  return without_blocks(net, run.begin + 1, run.end - repeats + 1);
}

}  // namespace

RankNet::RankNet(Net net, std::int64_t tensor, bool overlaps, const Training& training)
    : training_(training),
      tensor_(tensor),
      overlaps_(overlaps),
      net_(std::move(net)),
      run_(longest_run(alike_blocks(net_))),
      few_(with_repeats(net_, run_, kFewRepeats)),
      one_more_(with_repeats(net_, run_, kFewRepeats + 1)),
      midst_(with_repeats(net_, run_, kMidst)),
      flops_(flops_of(net_, 1).total()),
      parts_(run_) {
  for (const ParameterId id : parameters_of(net_, SegmentId(0), end_segment(net_)))
    elements_ += net_.parameters[id.index()].shape.elements();
}

// Whether the same is complete in every one of the repeats.
bool RankNet::is_regular(const Place& place, const std::vector<SegmentId>& complete) const {
  std::vector<std::vector<std::size_t>> by_block(place.last - place.first);
  for (const SegmentId segment : complete) {
    const std::size_t block = net_.segments[segment.index()].block.index();
    if (block < place.first || place.last <= block) continue;
    by_block[block - place.first].push_back(segment.index() -
                                            begin_of(net_, BlockId(block)).index());
  }
  return std::all_of(by_block.begin(), by_block.end(),
                     [&](const auto& own) { return own == by_block.front(); });
}

// The stage with so few repeats: at the beginning, at the end or in the midst of a network with
// few.
StageProgram RankNet::few(const Place& place, std::size_t repeats,
                          const std::vector<SegmentId>& complete, const ProgramSettings& settings) {
  const bool from_first = place.begin <= run_.begin, to_last = place.end >= run_.end;
  const bool has_all = from_first && to_last;
  const Net& net = !has_all ? midst_ : repeats == kFewRepeats ? few_ : one_more_;
  const std::size_t left = has_all ? repeats : kMidst;
  const std::size_t before = place.first - place.begin, after = place.end - place.last;
  std::size_t at = place.begin;
  if (!from_first) at = to_last ? run_.begin + left - repeats : run_.begin + 1;
  // The same of what is complete before, in every repeat, and after.
  std::vector<SegmentId> there;
  const std::size_t all = before + repeats + after;
  for (std::size_t k = 0; k < all; ++k) {
    const std::size_t original = k < before + repeats ? place.begin + k : place.end - (all - k);
    const SegmentId first = begin_of(net_, BlockId(original)),
                    last = end_of(net_, BlockId(original));
    const SegmentId here = begin_of(net, BlockId(at + k));
    for (const SegmentId segment : complete) {
      if (first <= segment && segment < last)
        there.emplace_back(here.index() + segment.index() - first.index());
    }
  }
  return {net, left, at, at + all, there, settings, training_, parts_};
}

RankNet::Stage RankNet::stage(std::size_t begin, std::size_t end,
                              const std::vector<SegmentId>& complete, Recomputation recomputation,
                              bool splits_backward) {
  Place place{begin, end, std::max(begin, run_.begin), std::min(end, run_.end)};
  place.last = std::max(place.first, place.last);
  const std::size_t repeats = place.last - place.first;
  const bool is_first = begin == 0, is_last = end == net_.blocks.size();
  const bool is_inside = !is_first && !is_last && run_.begin <= begin && end <= run_.end;
  // Networks with few repeats are as they are.
  const bool is_alone =
      repeats <= kFewRepeats + 1 || run_.size() <= kMidst || !is_regular(place, complete);
  const bool full = recomputation == Recomputation::full;
  std::vector<std::size_t> key = {splits_backward ? 1U : 0U, full ? 1U : 0U, is_inside ? 1U : 0U,
                                  is_alone ? 1U : 0U};
  // What stands before and after the repeats; where they are no matter, how many blocks there are.
  if (!is_inside) key.push_back(begin);
  key.push_back(is_alone ? end - begin : net_.blocks.size() - std::max(end, run_.end));
  if (!is_alone) key.push_back(is_inside || end < run_.end ? 0U : 1U);
  const std::size_t first = begin_of(net_, BlockId(begin)).index();
  const std::size_t jump = is_alone ? 0
                                    : end_of(net_, BlockId(place.last - 1)).index() -
                                          end_of(net_, BlockId(place.first)).index();
  const std::size_t repeat_end = is_alone ? 0 : end_of(net_, BlockId(place.first)).index();
  for (const SegmentId segment : complete) {
    const std::size_t at = segment.index();
    if (is_alone || at < repeat_end) {
      key.push_back(at - first);
    } else if (at >= repeat_end + jump) {
      key.push_back(at - jump - first);
    }
  }
  const auto [known, is_new] = known_.try_emplace(key, kinds_.size());
  if (!is_new) return {known->second, repeats};
  const ProgramSettings settings{recomputation, splits_backward, tensor_, overlaps_};
  Kind& kind = kinds_.emplace_back();
  kind.before = place.first - begin;
  if (is_alone) {
    kind.programs.emplace_back(net_, run_.size(), begin, end, complete, settings, training_,
                               parts_);
  } else {
    kind.programs.push_back(few(place, kFewRepeats, complete, settings));
    kind.programs.push_back(few(place, kFewRepeats + 1, complete, settings));
  }
  return {known->second, repeats};
}

std::vector<SegmentId> RankNet::free_completions(std::size_t begin, std::size_t end,
                                                 Recomputation recomputation) const {
  const SegmentId first = begin_of(net_, BlockId(begin)), last = end_of(net_, BlockId(end - 1));
  std::set<ParameterId> used;
  std::vector<SegmentId> free;
  for (SegmentId s = first; s < last; s = SegmentId(s.value() + 1)) {
    bool is_new = false;
    for (const LayerId layer : net_.segments[s.index()].layers) {
      for (const ParameterId parameter : net_.layers[layer.index()].parameters)
        is_new = used.insert(parameter).second || is_new;
    }
    const SegmentId before(s == first ? 0 : s.value() - 1);
    const bool ends = s == first || exchanges_after(net_, before) || row_exchange(net_, before) ||
                      row_exchange(net_, s);
    if (is_new && (ends || recomputation == Recomputation::full)) free.push_back(s);
  }
  return free;
}

const std::vector<ValueId>& RankNet::crossing(BlockId block) {
  const auto [known, is_new] = crossing_.try_emplace(block);
  if (is_new) known->second = values_across(net_, begin_of(net_, block));
  return known->second;
}

StageFigures RankNet::figures(std::size_t kind, std::int64_t samples,
                              const std::vector<PartPass>& parts, const RingGroup& tensor,
                              const Device& device) {
  Kind& own = kinds_[kind];
  for (StageProgram& program : own.programs)
    program.resize(samples, training_, parts);
  const auto read = [&](std::size_t program) {
    return read_stage(own.programs[program], parts, tensor, device);
  };
  if (own.programs.size() == 1) return StageFigures(read(0));
  return {read(0), read(1), own.before};
}

NetPasses::NetPasses(RankNet& net, std::int64_t samples, RingGroup tensor, const StageCosts& costs,
                     const Training& training, const Device& device)
    : net_(net),
      samples_(samples),
      tensor_(std::move(tensor)),
      costs_(total_of(costs)),
      training_(training),
      device_(device) {}

const StageCut* NetPasses::cut(std::int64_t stages, StageRule rule) {
  const auto [known, is_new] = cuts_.try_emplace({stages, rule});
  if (is_new)
    known->second =
        rule == StageRule::layers ? cut_layers(net_.net(), stages) : cut_stages(costs_, stages);
  return known->second ? &*known->second : nullptr;
}

const StagePasses& NetPasses::stage(const RankNet::Stage& stage) {
  const auto [passes, is_new] = passes_.try_emplace({stage.kind, stage.repeats});
  if (!is_new) return passes->second;
  auto figures = figures_.find(stage.kind);
  if (figures == figures_.end()) {
    price_parts(net_.parts(), samples_, training_, device_, parts_);
    figures =
        figures_.emplace(stage.kind, net_.figures(stage.kind, samples_, parts_, tensor_, device_))
            .first;
  }
  return passes->second = stage_passes(figures->second, stage.repeats);
}

}  // namespace rehearse
