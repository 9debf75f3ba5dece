#include "model/schedule/rank_program/parts.h"

#include <algorithm>

#include "model/base/check.h"
#include "model/net/tensor.h"
#include "model/schedule/schedule_csv.h"

namespace rehearse {
namespace {

// The first segment of [begin, end) that uses one of these parameters.
std::optional<SegmentId> first_use(const Net& net, SegmentId begin, SegmentId end,
                                   const std::vector<ParameterId>& parameters) {
  const std::set<ParameterId> wanted(parameters.begin(), parameters.end());
  for (std::size_t s = begin.index(); s < end.index(); ++s) {
    for (const LayerId layer : net.segments[s].layers) {
      for (const ParameterId used : net.layers[layer.index()].parameters) {
        if (wanted.count(used) > 0) return SegmentId(s);
      }
    }
  }
  return std::nullopt;
}

OpKind op_of(ActionKind kind) {
  switch (kind) {
    case ActionKind::forward:
      return OpKind::forward;
    case ActionKind::backward:
      return OpKind::backward;
    case ActionKind::backward_input:
      return OpKind::backward_input;
    case ActionKind::backward_weight:
      return OpKind::backward_weight;
    case ActionKind::send_forward:
    case ActionKind::receive_forward:
    case ActionKind::send_backward:
    case ActionKind::receive_backward:
    case ActionKind::unshard:
    case ActionKind::reshard:
    case ActionKind::reduce_gradients:
      break;
  }
  REHEARSE_UNREACHABLE("no pass");
}

}  // namespace

Parts::Parts(const RankInputs& inputs)
    : inputs_(inputs),
      net_(inputs.net),
      frame_(inputs.frame),
      buckets_(frame_.is_local ? std::vector<OwnBucket>{} : inputs.buckets) {
  for (std::size_t b = 0; b < buckets_.size(); ++b) {
    for (const ParameterId parameter : buckets_[b].parameters)
      bucket_of_[parameter] = b;
  }
  for (std::size_t slot = 0; slot < inputs.classes.size(); ++slot) {
    for (const ParameterId parameter : inputs.classes[slot].holder_class->parameters)
      class_of_[parameter] = slot;
  }
  cut();
  note_overlapped();
  list_steps();
  note_last_steps();
  note_visits();
}

// ---- parts -------------------------------------------------------------------------------------

std::set<SegmentId> Parts::cuts_of(const Stage& stage) const {
  std::set<SegmentId> cuts = {stage.begin, stage.end};
  const bool by_block =
      frame_.recomputation == Recomputation::full ||
      std::any_of(inputs_.classes.begin(), inputs_.classes.end(),
                  [](const OwnClass& own) { return own.sharding == Sharding::parameters; });
  if (by_block) cut_by_block(stage, cuts);
  for (std::size_t s = stage.begin.index(); s < stage.end.index(); ++s) {
    if (exchanges_after(net_, SegmentId(s))) cuts.insert(SegmentId(s + 1));
    if (row_exchange(net_, SegmentId(s))) cuts.insert({SegmentId(s), SegmentId(s + 1)});
  }
  cut_at_buckets(stage, cuts);
  return cuts;
}

void Parts::cut_by_block(const Stage& stage, std::set<SegmentId>& cuts) const {
  for (std::size_t s = stage.begin.index(); s < stage.end.index(); ++s) {
    if (s > 0 && net_.segments[s].block != net_.segments[s - 1].block) cuts.insert(SegmentId(s));
  }
}

// Where backward completes them.
void Parts::cut_at_buckets(const Stage& stage, std::set<SegmentId>& cuts) const {
  for (const OwnBucket& bucket : buckets_) {
    const auto completes = first_use(net_, stage.begin, stage.end, bucket.parameters);
    if (!completes) continue;
    // A block that is recomputed as a whole is cut nowhere inside.
    const BlockId block = net_.segments[completes->index()].block;
    const bool recomputes = frame_.recomputation == Recomputation::full;
    cuts.insert(recomputes ? std::max(stage.begin, begin_of(net_, block)) : *completes);
  }
}

void Parts::cut() {
  const SegmentId loss = net_.layers[net_.values[net_.loss.index()].producer->index()].segment;
  for (std::size_t s = 0; s < frame_.stages.size(); ++s) {
    const std::set<SegmentId> cuts = cuts_of(frame_.stages[s]);
    for (auto at = cuts.begin(); std::next(at) != cuts.end(); ++at) {
      Part part{s, *at, *std::next(at), net_.segments[at->index()].block, false};
      part.exchange = row_exchange(net_, part.begin);
      // The backward of the loss follows its forward: nothing is won there.
      const bool has_loss = part.begin <= loss && loss < part.end;
      part.recomputed = frame_.recomputation == Recomputation::full && !has_loss;
      parts_.push_back(part);
    }
  }
}

// ---- steps -------------------------------------------------------------------------------------

void Parts::list_steps() {
  for (const Action& action : frame_.actions) {
    if (action.kind == ActionKind::backward_weight)
      split_.insert({action.stage, *action.micro_batch});
  }
  for (const Action& action : frame_.actions) {
    first_step_.push_back(steps_.size());
    if (!is_pass(action.kind)) continue;
    std::vector<std::size_t> own;
    for (std::size_t p = 0; p < parts_.size(); ++p) {
      if (stage_of(p) == action.stage) own.push_back(p);
    }
    if (action.kind == ActionKind::forward) {
      for (const std::size_t part : own)
        steps_.push_back({OpKind::forward, part, *action.micro_batch});
    } else {
      list_backward(action, own);
    }
  }
  first_step_.push_back(steps_.size());
}

// Block by block, from the last: what is recomputed first, front to back, then backward.
void Parts::list_backward(const Action& action, const std::vector<std::size_t>& own) {
  for (std::size_t end = own.size(); end > 0;) {
    std::size_t begin = end;
    while (begin > 0 && parts_[own[begin - 1]].block == parts_[own[end - 1]].block)
      --begin;
    for (std::size_t k = begin; k < end; ++k) {
      const bool is_last = k + 1 == end;
      const bool again =
          action.kind != ActionKind::backward_weight && is_recomputed_for_backward(own[k], is_last);
      if (!again) continue;
      steps_.push_back({OpKind::recompute, own[k], *action.micro_batch});
      run_again_.insert(own[k]);
    }
    list_passes(action, own, begin, end);
    end = begin;
  }
}

// Back to front. What is exchanged of an overlapped part's input waits for its gradient alone:
// rows are asked for between the two passes, sums by whoever reads them.
void Parts::list_passes(const Action& action, const std::vector<std::size_t>& own,
                        std::size_t begin, std::size_t end) {
  const MicroBatchId m = *action.micro_batch;
  for (std::size_t k = end; k-- > begin;) {
    const std::size_t part = own[k];
    if (action.kind != ActionKind::backward || !is_overlapped(part)) {
      steps_.push_back({op_of(action.kind), part, m});
      continue;
    }
    steps_.push_back({OpKind::backward_input, part, m});
    if (k > begin && parts_[own[k - 1]].exchange) steps_.push_back({OpKind::backward, own[--k], m});
    steps_.push_back({OpKind::backward_weight, part, m});
  }
}

// Parts that begin where ranks exchange gradients. A schedule that splits backward itself has its
// own order.
void Parts::note_overlapped() {
  if (!frame_.overlaps_tensor || !frame_.tensor_group) return;
  const bool splits =
      std::any_of(frame_.actions.begin(), frame_.actions.end(),
                  [](const Action& action) { return action.kind == ActionKind::backward_weight; });
  if (splits) return;
  for (std::size_t p = 1; p < parts_.size(); ++p) {
    const Part& before = parts_[p - 1];
    if (before.stage != parts_[p].stage || parts_[p].exchange) continue;
    const bool gathers = before.exchange && std::holds_alternative<GatherRows>(
                                                net_.layers[before.exchange->index()].spec);
    const std::vector<ValueId>& across = values_across(net_, parts_[p].begin);
    const bool sums = std::any_of(across.begin(), across.end(), [&](ValueId id) {
      const Value& value = net_.values[id.index()];
      return value.exchange == Exchange::sum_gradient &&
             net_.layers[value.producer->index()].segment.index() + 1 == parts_[p].begin.index();
    });
    if (gathers || sums) overlapped_.insert(p);
  }
}

// The end of a block is not run again if nothing of it is kept: the next block has its output.
bool Parts::is_recomputed_for_backward(std::size_t part, bool is_last) {
  if (!parts_[part].recomputed) return false;
  if (!is_last) return true;
  const Lowering& forward = lowering(part, Pass::forward);
  return forward.saved > Bytes{};
}

bool Parts::is_run_again(SegmentId segment) const {
  return std::any_of(run_again_.begin(), run_again_.end(), [&](std::size_t part) {
    return parts_[part].begin <= segment && segment < parts_[part].end;
  });
}

std::pair<std::size_t, std::size_t> Parts::steps_of(std::size_t action) const {
  return {first_step_[action], first_step_[action + 1]};
}

Pass Parts::pass_of(const Step& step) const {
  switch (step.kind) {
    case OpKind::forward:
    case OpKind::recompute: {
      const bool splits =
          split_.count({stage_of(step), step.micro_batch}) > 0 || is_overlapped(step.part);
      // What a forward op keeps only while it runs needs no telling apart.
      const bool keeps = step.kind == OpKind::recompute || !is_recomputed(step);
      return splits && keeps ? Pass::split_forward : Pass::forward;
    }
    case OpKind::backward:
      return Pass::backward;
    case OpKind::backward_input:
      return Pass::backward_input;
    case OpKind::backward_weight:
      return Pass::backward_weight;
    case OpKind::load_batch:
    case OpKind::accumulate:
    case OpKind::clear:
    case OpKind::send:
    case OpKind::receive:
    case OpKind::all_reduce:
    case OpKind::reduce_scatter:
    case OpKind::all_gather:
    case OpKind::broadcast:
    case OpKind::sum_squares:
    case OpKind::optimizer_step:
    case OpKind::outer_gradient:
    case OpKind::outer_step:
      break;
  }
  REHEARSE_UNREACHABLE("no pass");
}

// ---- what steps do -----------------------------------------------------------------------------

const Lowering& Parts::lowering(std::size_t part, Pass pass) {
  const auto [entry, is_new] = lowerings_.try_emplace({part, pass});
  if (is_new) {
    entry->second =
        lower(net_, parts_[part].begin, parts_[part].end, pass, frame_.samples, inputs_.sizes);
  }
  return entry->second;
}

Parts::Touched Parts::touched(const std::vector<ParameterId>& parameters) const {
  Touched touched;
  for (const ParameterId parameter : parameters) {
    touched.classes.insert(class_of_.at(parameter));
    const auto bucket = bucket_of_.find(parameter);
    if (bucket != bucket_of_.end()) touched.buckets.insert(bucket->second);
  }
  return touched;
}

const Parts::Touched& Parts::reads(const Step& step) {
  const Pass pass = pass_of(step);
  const auto [entry, is_new] = reads_.try_emplace({step.part, pass});
  if (is_new) entry->second = touched(parameters_read(net_, lowering(step.part, pass)));
  return entry->second;
}

const Parts::Touched& Parts::adds_to(const Step& step) {
  const Pass pass = pass_of(step);
  const auto [entry, is_new] = adds_to_.try_emplace({step.part, pass});
  if (is_new) entry->second = touched(parameters_differentiated(net_, lowering(step.part, pass)));
  return entry->second;
}

// ---- when ------------------------------------------------------------------------------------

void Parts::note_last_steps() {
  for (std::size_t s = 0; s < steps_.size(); ++s) {
    for (const std::size_t bucket : adds_to(steps_[s]).buckets) {
      last_step_[bucket] = s;
      last_step_of_micro_batch_[{bucket, steps_[s].micro_batch}] = s;
    }
  }
}

void Parts::note_visits() {
  std::size_t visit = 0;
  const auto same = [](const Step& a, const Step& b) {
    const bool forward = a.kind == OpKind::forward;
    // A recomputation belongs to the backward pass that follows.
    return a.micro_batch == b.micro_batch && forward == (b.kind == OpKind::forward);
  };
  for (std::size_t s = 0; s < steps_.size(); ++s) {
    const Step& step = steps_[s];
    const BlockId block = parts_[step.part].block;
    const bool begins_action = std::binary_search(first_step_.begin(), first_step_.end(), s);
    const bool goes_on = s > 0 && !begins_action && same(steps_[s - 1], step) &&
                         parts_[steps_[s - 1].part].block == block;
    if (s > 0 && !goes_on) ++visit;
    visits_.push_back(visit);
    if (step.kind == OpKind::forward) continue;
    last_visit_[{block, step.micro_batch}] = last_visit_[{block, std::nullopt}] = visit;
  }
}

std::optional<std::size_t> Parts::last_visit(SegmentId segment,
                                             std::optional<MicroBatchId> micro_batch) const {
  const auto found = last_visit_.find({net_.segments[segment.index()].block, micro_batch});
  return found == last_visit_.end() ? std::nullopt : std::optional(found->second);
}

std::optional<std::size_t> Parts::last_of(std::size_t bucket,
                                          std::optional<MicroBatchId> micro_batch) const {
  if (!micro_batch) {
    const auto found = last_step_.find(bucket);
    return found == last_step_.end() ? std::nullopt : std::optional(found->second);
  }
  const auto found = last_step_of_micro_batch_.find({bucket, *micro_batch});
  return found == last_step_of_micro_batch_.end() ? std::nullopt : std::optional(found->second);
}

}  // namespace rehearse
