#include "cost/closed_form/rank_net.h"

#include <algorithm>
#include <set>

#include "model/base/check.h"
#include "model/net/tensor.h"
#include "model/schedule/scatter.h"

namespace rehearse {

NetPrograms::NetPrograms(const NetVariants& nets, std::int64_t tensor, bool overlaps, bool scatters,
                         const Training& training)
    : nets_(nets),
      net_(nets.whole),
      run_(nets.run),
      tensor_(tensor),
      overlaps_(overlaps),
      scatters_(scatters),
      training_(training),
      parts_(nets) {}

// Whether the same is complete in every one of the repeats.
bool NetPrograms::is_regular(const Place& place, const std::vector<SegmentId>& complete) const {
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

// Whether a network with few of its alike blocks has all that the stage does, and what it looks at.
bool NetPrograms::fits_midst(const Place& place) const {
  const bool has_all = place.begin <= run_.begin && place.end >= run_.end;
  return run_.size() > NetVariants::kMidst && place.last - place.first <= kFewRepeats + 1 &&
         place.begin <= run_.end && !has_all;
}

// The stage with so few repeats: at the beginning, at the end or in the midst of a network with
// few.
StageProgram NetPrograms::few(const Place& place, std::size_t repeats,
                              const std::vector<SegmentId>& complete,
                              const ProgramSettings& settings) {
  const bool from_first = place.begin <= run_.begin, to_last = place.end >= run_.end;
  const bool has_all = from_first && to_last;
  const NetVariant variant = !has_all                 ? &NetVariants::midst
                             : repeats == kFewRepeats ? &NetVariants::few
                                                      : &NetVariants::one_more;
  const Net& net = nets_.*variant;
  const std::size_t left = has_all ? repeats : NetVariants::kMidst;
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
  return {nets_, variant, left, at, at + all, there, settings, training_, parts_};
}

NetPrograms::Stage NetPrograms::stage(std::size_t begin, std::size_t end,
                                      const std::vector<SegmentId>& complete,
                                      Recomputation recomputation, bool splits_backward) {
  Place place{begin, end, std::max(begin, run_.begin), std::min(end, run_.end)};
  place.last = std::max(place.first, place.last);
  const std::size_t repeats = place.last - place.first;
  const bool is_first = begin == 0, is_last = end == net_.blocks.size();
  const bool is_inside = !is_first && !is_last && run_.begin <= begin && end <= run_.end;
  // Networks with few repeats are as they are.
  const bool is_alone = repeats <= kFewRepeats + 1 || run_.size() <= NetVariants::kMidst ||
                        !is_regular(place, complete);
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
  const ProgramSettings settings{recomputation, splits_backward, tensor_, overlaps_, scatters_};
  Kind& kind = kinds_.emplace_back();
  kind.before = place.first - begin;
  if (is_alone && fits_midst(place)) {
    kind.programs.push_back(few(place, repeats, complete, settings));
  } else if (is_alone) {
    kind.programs.emplace_back(nets_, &NetVariants::whole, run_.size(), begin, end, complete,
                               settings, training_, parts_);
  } else {
    kind.programs.push_back(few(place, kFewRepeats, complete, settings));
    kind.programs.push_back(few(place, kFewRepeats + 1, complete, settings));
  }
  return {known->second, repeats};
}

std::vector<SegmentId> NetPrograms::free_completions(std::size_t begin, std::size_t end,
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

const std::vector<ValueId>& NetPrograms::crossing(BlockId block) {
  const auto [known, is_new] = crossing_.try_emplace(block);
  if (is_new) known->second = values_across(net_, begin_of(net_, block));
  return known->second;
}

StageFigures NetPrograms::figures(std::size_t kind, const ProgramSizes& sizes,
                                  const RingGroup& tensor, const Device& device) {
  Kind& own = kinds_[kind];
  for (StageProgram& program : own.programs)
    program.resize(sizes, training_);
  const auto read = [&](std::size_t program) {
    return read_stage(own.programs[program], sizes.parts, tensor, device);
  };
  if (own.programs.size() == 1) return StageFigures(read(0));
  return {read(0), read(1), own.before};
}

RankNet::RankNet(const NetVariants& nets, std::int64_t tensor, NetPrograms& programs)
    : nets_(nets), tensor_(tensor), programs_(programs), flops_(flops_of(nets.whole, 1).total()) {
  for (const ParameterId id : parameters_of(net(), SegmentId(0), end_segment(net())))
    elements_ += net().parameters[id.index()].shape.elements();
}

NetPasses::NetPasses(RankNet& net, std::int64_t samples, RingGroup tensor, const StageCosts& costs,
                     const Training& training, const Device& device)
    : net_(net),
      samples_(samples),
      tensor_(std::move(tensor)),
      training_(training),
      device_(device) {
  const NetVariants& nets = net.nets();
  const std::vector<double> few = total_of(costs);
  for (std::size_t block = 0; block < nets.whole.blocks.size(); ++block) {
    const bool is_alike = nets.run.begin <= block && block < nets.run.end;
    const std::size_t left_out = block < nets.run.end ? 0 : nets.whole.blocks.size() - few.size();
    costs_.push_back(few[is_alike ? nets.run.begin : block - left_out]);
  }
}

const StageCut* NetPasses::cut(std::int64_t stages, StageRule rule) {
  const auto [known, is_new] = cuts_.try_emplace({stages, rule});
  if (is_new)
    known->second =
        rule == StageRule::layers ? cut_layers(net_.net(), stages) : cut_stages(costs_, stages);
  return known->second ? &*known->second : nullptr;
}

const StagePasses& NetPasses::stage(const NetPrograms::Stage& stage) {
  const auto [passes, is_new] = passes_.try_emplace({stage.kind, stage.repeats});
  if (!is_new) return passes->second;
  auto figures = figures_.find(stage.kind);
  if (figures == figures_.end()) {
    NetPrograms& programs = net_.programs();
    price_parts(programs.parts(), net_.nets(), samples_, training_, device_, parts_);
    const ProgramSizes sizes{net_.net(), samples_, net_.tensor(), parts_};
    figures =
        figures_.emplace(stage.kind, programs.figures(stage.kind, sizes, tensor_, device_)).first;
  }
  return passes->second = stage_passes(figures->second, stage.repeats);
}

const NetPasses::Crossing& NetPasses::crossing(BlockId block) {
  const auto [known, is_new] = crossing_.try_emplace(block);
  if (!is_new) return *known->second;
  const ElementSizes sizes = element_sizes(training_);
  Crossing made;
  for (const ValueId value : net_.programs().crossing(block)) {
    const Bytes whole = size_of(net_.net(), value, samples_, sizes);
    made.outputs.push_back(net_.programs().scatters() ? share_of(whole, net_.tensor()) : whole);
    if (net_.net().values[value.index()].needs_gradient)
      made.gradients.push_back(made.outputs.back());
  }
  const auto same = std::find(crossings_.begin(), crossings_.end(), made);
  return *(known->second = same != crossings_.end() ? &*same : &crossings_.emplace_back(made));
}

}  // namespace rehearse
