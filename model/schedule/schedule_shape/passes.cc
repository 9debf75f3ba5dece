#include "model/schedule/schedule_shape/checks.h"

#include <fmt/format.h>

#include <map>

namespace rehearse::schedule_shape {
namespace {

class Passes {
 public:
  Passes(Sheet& sheet, const PlacedStages& stages) : sheet_(sheet), stages_(stages) {}

  void run() {
    for (std::int64_t s = 0; s < stages_.shape.stages(); ++s) {
      for (std::int64_t m = 0; m < stages_.shape.micro_batches && !sheet_.full(); ++m)
        check(StageId(s), MicroBatchId(m));
    }
  }

 private:
  void check(StageId s, MicroBatchId m) {
    const auto forward = sheet_.find(ActionKind::forward, s, m);
    const auto whole = sheet_.find(ActionKind::backward, s, m);
    const auto input = sheet_.find(ActionKind::backward_input, s, m);
    const auto weight = sheet_.find(ActionKind::backward_weight, s, m);
    if (!forward) missing(ActionKind::forward, s, m);
    if (!whole && !input && !weight) missing(ActionKind::backward, s, m);
    if (whole && (input || weight)) {
      const Cell part = input ? *input : *weight;
      sheet_.fail(part, sheet_.describe(part) + " is part of a backward pass that also runs whole",
                  {sheet_.note(*whole, "as " + sheet_.describe(*whole))});
    }
    if (input && !weight) missing(ActionKind::backward_weight, s, m);
    if (weight && !input) missing(ActionKind::backward_input, s, m);
    in_order(forward, whole);
    in_order(forward, input);
    in_order(input, weight);
  }

  void missing(ActionKind kind, StageId s, MicroBatchId m) {
    const Cell stage = stages_.first.at(s);
    sheet_.fail(stage, fmt::format("rank {}, which has stage {}, has no {}", stage.rank, s.value(),
                                   to_string(Action{kind, s, m})));
  }

  void in_order(std::optional<Cell> before, std::optional<Cell> after) {
    if (!before || !after || *before < *after) return;
    sheet_.fail(*after, sheet_.describe(*after) + " stands before what it needs",
                {sheet_.note(*before, "it needs " + sheet_.describe(*before))});
  }

  Sheet& sheet_;
  const PlacedStages& stages_;
};

}  // namespace

std::int64_t count_micro_batches(Sheet& sheet) {
  std::map<MicroBatchId, Cell> first;
  sheet.for_each_cell([&](Cell cell) {
    const Action& action = sheet.at(cell);
    if (is_pass(action.kind) && action.micro_batch) first.try_emplace(*action.micro_batch, cell);
  });
  std::int64_t count = 0;
  for (const auto& [m, cell] : first) {
    if (m.index() != static_cast<std::size_t>(count)) {
      sheet.fail(cell, fmt::format("micro-batch {} is missing, but {} is there", count,
                                   sheet.describe(cell)));
      break;
    }
    ++count;
  }
  return count;
}

void check_passes(Sheet& sheet, const PlacedStages& stages) {
  Passes(sheet, stages).run();
}

}  // namespace rehearse::schedule_shape
