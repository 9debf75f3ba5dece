#include "model/schedule/schedule_shape/checks.h"

#include <fmt/format.h>

namespace rehearse::schedule_shape {
namespace {

class Stages {
 public:
  explicit Stages(Sheet& sheet) : sheet_(sheet) {}

  std::optional<PlacedStages> run() {
    sheet_.for_each_cell([&](Cell cell) { place(cell); });
    if (first_.empty()) sheet_.errors = error("a schedule without passes");
    check_numbers();
    if (!sheet_.errors.empty()) return std::nullopt;
    const auto found = shape();
    if (!found) return std::nullopt;
    return PlacedStages{*found, first_};
  }

 private:
  void place(Cell cell) {
    const auto [known, is_new] = first_.try_emplace(sheet_.at(cell).stage, cell);
    if (is_new || known->second.rank == cell.rank) return;
    sheet_.fail(cell,
                fmt::format("stage {} stands on rank {} and on rank {}", known->first.value(),
                            known->second.rank, cell.rank),
                {sheet_.note(known->second, sheet_.describe(known->second) + " is its first")});
  }

  void check_numbers() {
    std::size_t expected = 0;
    for (const auto& [stage, cell] : first_) {
      if (stage.index() != expected) {
        return sheet_.fail(cell, fmt::format("stage {} is missing, but {} is there", expected,
                                             sheet_.describe(cell)));
      }
      ++expected;
    }
  }

  std::optional<PipelineShape> shape() {
    const std::size_t ranks = sheet_.table.ranks.size();
    if (first_.size() % ranks != 0) {
      sheet_.errors =
          error(fmt::format("{} stages do not share {} ranks evenly", first_.size(), ranks));
      return std::nullopt;
    }
    PipelineShape shape;
    shape.ranks = static_cast<std::int64_t>(ranks);
    shape.chunks = static_cast<std::int64_t>(first_.size() / ranks);
    const auto off_loop = first_elsewhere(shape);
    if (!off_loop) return shape;
    shape.placement = Placement::vee;
    const auto off_vee = first_elsewhere(shape);
    if (!off_vee) return shape;
    shape.placement = Placement::loop;
    sheet_.fail(first_.at(*off_loop), misplaced(*off_loop, shape, "in a loop"),
                {vee_note(*off_vee, {shape.ranks, shape.chunks, 1, Placement::vee})});
    return std::nullopt;
  }

  std::optional<StageId> first_elsewhere(const PipelineShape& shape) const {
    for (const auto& [stage, cell] : first_) {
      if (rank_of(shape, stage) != cell.rank) return stage;
    }
    return std::nullopt;
  }
  std::string misplaced(StageId stage, const PipelineShape& shape, std::string_view what) const {
    return fmt::format("stage {} stands on rank {}; {} it would be on rank {}", stage.value(),
                       first_.at(stage).rank, what, rank_of(shape, stage));
  }
  Note vee_note(StageId stage, const PipelineShape& shape) const {
    return sheet_.note(first_.at(stage), misplaced(stage, shape, "in a vee"));
  }

  Sheet& sheet_;
  std::map<StageId, Cell> first_;
};

}  // namespace

std::optional<PlacedStages> place_stages(Sheet& sheet) {
  return Stages(sheet).run();
}

}  // namespace rehearse::schedule_shape
