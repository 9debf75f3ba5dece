#include "tools/summary/grid.h"

#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <set>

#include "model/base/check.h"
#include "model/base/text.h"
#include "model/schedule/plan_actions.h"

namespace rehearse {
namespace {

// Which pass of the neighbouring stage has to be done first.
enum class Way { down, up };
using Done =
    std::map<std::tuple<Way, StageId, MicroBatchId>, std::size_t>;  // column it ends before

class Filling {
 public:
  Filling(const ScheduleTable& table, std::vector<RankId> ranks)
      : table_(without_messages(table)),
        ranks_(std::move(ranks)),
        next_(table_.ranks.size(), 0),
        rows_(table_.ranks.size()) {
    for (const auto& rank : table_.ranks) {
      std::set<StageId> own;
      for (const Action& action : rank) {
        own.insert(action.stage);
        stages_.insert(action.stage);
      }
      own_stages_.emplace_back(own.begin(), own.end());
    }
  }

  Grid run() {
    bool moved = true;
    while (moved) {
      moved = false;
      for (std::size_t rank = 0; rank < rows_.size(); ++rank) {
        while (step(rank))
          moved = true;
      }
    }
    return {ranks_, std::move(rows_)};
  }

 private:
  static Way way_of(ActionKind kind) { return kind == ActionKind::forward ? Way::down : Way::up; }

  // The column before which an action cannot start; none: not known yet.
  std::optional<std::size_t> ready(const Action& action) const {
    const auto done = [&](Way way, StageId stage) -> std::optional<std::size_t> {
      const auto found = done_.find({way, stage, *action.micro_batch});
      return found == done_.end() ? std::nullopt : std::optional(found->second);
    };
    // What a stage that has no passes hands on comes from the stage beyond it.
    const auto stage = stages_.find(action.stage);
    if (action.kind == ActionKind::forward)
      return stage == stages_.begin() ? 0 : done(Way::down, *std::prev(stage));
    if (action.kind == ActionKind::backward_weight) return done(Way::up, *stage);
    const auto next = std::next(stage);
    return next == stages_.end() ? done(Way::down, *stage) : done(Way::up, *next);
  }

  bool step(std::size_t rank) {
    if (next_[rank] == table_.ranks[rank].size()) return false;
    const Action& action = table_.ranks[rank][next_[rank]];
    const auto start = ready(action);
    if (!start) return false;
    std::vector<std::string>& row = rows_[rank];
    if (row.size() < *start) row.resize(*start, ".");
    row.push_back(cell(rank, action));
    if (action.kind == ActionKind::backward) row.emplace_back("=");
    if (action.kind != ActionKind::backward_weight)
      done_[{way_of(action.kind), action.stage, *action.micro_batch}] = row.size();
    ++next_[rank];
    return true;
  }

  std::string cell(std::size_t rank, const Action& action) const {
    const std::vector<StageId>& own = own_stages_[rank];
    const auto place = std::find(own.begin(), own.end(), action.stage) - own.begin();
    return fmt::format("{}{}{}", letter(action.kind), action.micro_batch->value(),
                       own.size() > 1 ? chunk(static_cast<std::size_t>(place)) : "");
  }

  // a, b, ..., z, aa, ab, ...
  static std::string chunk(std::size_t place) {
    constexpr std::size_t kLetters = 26;
    const std::string last(1, static_cast<char>('a' + place % kLetters));
    return place < kLetters ? last : chunk(place / kLetters - 1) + last;
  }

  static char letter(ActionKind kind) {
    switch (kind) {
      case ActionKind::forward:
        return 'F';
      case ActionKind::backward:
        return 'B';
      case ActionKind::backward_input:
        return 'I';
      case ActionKind::backward_weight:
        return 'W';
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

  const ScheduleTable table_;
  const std::vector<RankId> ranks_;
  std::set<StageId> stages_;                      // that have passes
  std::vector<std::vector<StageId>> own_stages_;  // by rank
  std::vector<std::size_t> next_;                 // by rank
  std::vector<std::vector<std::string>> rows_;    // by rank and column
  Done done_;
};

std::string print(const Grid& grid) {
  std::size_t columns = 0, width = 1;
  for (const auto& row : grid.rows) {
    columns = std::max(columns, row.size());
    for (const std::string& text : row)
      width = std::max(width, text.size());
  }
  std::string text;
  for (std::size_t rank = 0; rank < grid.rows.size(); ++rank) {
    const std::vector<std::string>& row = grid.rows[rank];
    std::string line = fmt::format("rank {:<3}", grid.ranks[rank].value());
    for (std::size_t c = 0; c < columns; ++c)
      line += fmt::format(" {:<{}}", c < row.size() ? row[c] : ".", width);
    text += line.substr(0, line.find_last_not_of(' ') + 1) + "\n";
  }
  return text;
}

}  // namespace

Grid grid_of(const ScheduleTable& table) {
  std::vector<RankId> ranks;
  for (std::size_t r = 0; r < table.ranks.size(); ++r)
    ranks.emplace_back(r);
  return Filling(table, ranks).run();
}

std::vector<Grid> grids_of(const Plan& plan) {
  std::vector<Grid> grids;
  for (const PlanPipeline& pipeline : pipelines_of(plan))
    grids.push_back(Filling(pipeline.table, pipeline.ranks).run());
  return grids;
}

std::string print_grid(const ScheduleTable& table) {
  return print(grid_of(table));
}

std::string print_grid(const Plan& plan) {
  std::vector<std::string> grids;
  for (const Grid& grid : grids_of(plan))
    grids.push_back(print(grid));
  return join(grids, "\n");
}

}  // namespace rehearse
