#include "model/schedule/rank_program/parameter_gathers.h"

#include <map>

#include "model/schedule/rank_program/exchange.h"

namespace rehearse {

ParameterGathers::ParameterGathers(const RankInputs& inputs, Parts& parts, RankDraft& draft)
    : inputs_(inputs),
      parts_(parts),
      draft_(draft),
      runs_(runs_of(inputs, parts)),
      in_use_(inputs.buckets.size()) {}

std::vector<ParameterGathers::Run> ParameterGathers::runs_of(const RankInputs& inputs,
                                                             Parts& parts) {
  const std::vector<Step>& steps = parts.steps();
  const auto goes_on = [&](const Run& run, std::size_t step) {
    const Step &before = steps[run.last], &now = steps[step];
    return run.last + 1 == step && before.micro_batch == now.micro_batch &&
           (before.kind == OpKind::forward) == (now.kind == OpKind::forward);
  };
  std::vector<Run> runs;
  std::map<std::size_t, std::size_t> last_run;  // by bucket
  for (std::size_t s = 0; s < steps.size(); ++s) {
    for (const std::size_t bucket : parts.reads(steps[s]).buckets) {
      if (inputs.class_of(inputs.buckets[bucket]).sharding != Sharding::parameters) continue;
      const auto known = last_run.find(bucket);
      if (known != last_run.end() && goes_on(runs[known->second], s)) {
        runs[known->second].last = s;
        continue;
      }
      last_run[bucket] = runs.size();
      runs.push_back({bucket, s, s});
    }
  }
  return runs;
}

void ParameterGathers::begin() {
  if (inputs_.frame.prefetch > 0) ask_until(static_cast<std::size_t>(inputs_.frame.prefetch) - 1);
}

void ParameterGathers::before(std::size_t step) {
  ask_until(parts_.visit_of(step) + static_cast<std::size_t>(inputs_.frame.prefetch));
  for (; used_ < runs_.size() && runs_[used_].first <= step; ++used_)
    in_use_[runs_[used_].bucket] = asked_[used_];
}

void ParameterGathers::ask_until(std::size_t visit) {
  while (asked_.size() < runs_.size() && parts_.visit_of(runs_[asked_.size()].first) <= visit) {
    const OwnBucket& bucket = inputs_.buckets[runs_[asked_.size()].bucket];
    const std::int64_t bytes = inputs_.state.parameter;
    const BufferId into = add_range_buffer(draft_.builder, BufferKind::gathered, bucket, bytes);
    const auto method = method_over(inputs_, CollectiveKind::all_gather, bucket, bytes);
    draft_.builder.add(
        OpKind::all_gather, {LaneKind::gather, {}},
        {{draft_.persistent.parameters[bucket.slot], Access::read}, {into, Access::write}},
        collective_over(inputs_, bucket, bytes, 1, method), draft_.after_last_pass());
    asked_.push_back(into);
  }
}

}  // namespace rehearse
