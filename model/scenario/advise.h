// The `advise` section of a scenario file: which strategies are searched.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "model/base/diagnostic.h"
#include "model/plan/plan.h"
#include "model/schedule/fraction.h"

namespace rehearse {

// Choices of one thing, in the order in which they are written. None: all that the model and the
// cluster allow, which is not the same as an empty list.
template <class T>
struct Choices {
  struct Choice {
    T value;
    SourceSpan where;
  };
  std::vector<Choice> list;
  bool is_given() const { return !list.empty(); }
};

struct AdviseSpace {
  Choices<std::int64_t> tensor;       // ranks
  Choices<bool> sequence_parallel;    // of tensor-parallel ranks
  Choices<std::int64_t> pipeline;     // ranks
  Choices<std::string> schedule;      // rows of pipeline_schedules()
  Choices<std::int64_t> chunks;       // per rank, of schedules that have several
  Choices<Sharding> zero;             // of what replicas hold alike
  Choices<std::int64_t> micro_batch;  // samples
  Choices<Recomputation> recompute;
  Choices<Axis> innermost;     // whose neighbours are neighbouring ranks
  Choices<Fraction> coverage;  // of subnetworks instead of replicas; 1: replicas
};

// The section's text alone: "{tensor: [1, 2], zero: [0, 1]}". name: what it is called in messages.
Result<AdviseSpace> parse_advise_space(const std::string& text, const std::string& name);

}  // namespace rehearse
