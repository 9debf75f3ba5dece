#include "tools/summary/grid.h"

#include <fmt/format.h>

#include <algorithm>
#include <map>

#include "model/base/check.h"

namespace rehearse {
namespace {

// Which pass of the neighbouring stage has to be done first.
enum class Way { down, up };
using Done =
    std::map<std::tuple<Way, StageId, MicroBatchId>, std::size_t>;  // column it ends before

class Grid {
 public:
  explicit Grid(const ScheduleTable& table)
      : table_(without_messages(table)), next_(table_.ranks.size(), 0), rows_(table_.ranks.size()) {
    for (const auto& rank : table_.ranks) {
      for (const Action& action : rank)
        stages_ = std::max(stages_, action.stage.index() + 1);
    }
  }

  std::string run() {
    bool moved = true;
    while (moved) {
      moved = false;
      for (std::size_t rank = 0; rank < rows_.size(); ++rank) {
        while (step(rank))
          moved = true;
      }
    }
    return print();
  }

 private:
  static Way way_of(ActionKind kind) { return kind == ActionKind::forward ? Way::down : Way::up; }

  // The column before which an action cannot start; none: not known yet.
  std::optional<std::size_t> ready(const Action& action) const {
    const auto done = [&](Way way, std::size_t stage) -> std::optional<std::size_t> {
      const auto found = done_.find({way, StageId(stage), *action.micro_batch});
      return found == done_.end() ? std::nullopt : std::optional(found->second);
    };
    const std::size_t stage = action.stage.index();
    if (action.kind == ActionKind::forward) return stage == 0 ? 0 : done(Way::down, stage - 1);
    if (action.kind == ActionKind::backward_weight) return done(Way::up, stage);
    return stage + 1 == stages_ ? done(Way::down, stage) : done(Way::up, stage + 1);
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
    std::vector<StageId> own;
    for (const Action& other : table_.ranks[rank])
      own.push_back(other.stage);
    std::sort(own.begin(), own.end());
    own.erase(std::unique(own.begin(), own.end()), own.end());
    const auto place = std::find(own.begin(), own.end(), action.stage) - own.begin();
    const std::string chunk = own.size() > 1 ? std::string(1, static_cast<char>('a' + place)) : "";
    return fmt::format("{}{}{}", letter(action.kind), action.micro_batch->value(), chunk);
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

  std::string print() const {
    std::size_t columns = 0, width = 1;
    for (const auto& row : rows_) {
      columns = std::max(columns, row.size());
      for (const std::string& text : row)
        width = std::max(width, text.size());
    }
    std::string text;
    for (std::size_t rank = 0; rank < rows_.size(); ++rank) {
      std::string line = fmt::format("rank {:<3}", rank);
      for (std::size_t c = 0; c < columns; ++c)
        line += fmt::format(" {:<{}}", c < rows_[rank].size() ? rows_[rank][c] : ".", width);
      text += line.substr(0, line.find_last_not_of(' ') + 1) + "\n";
    }
    return text;
  }

  const ScheduleTable table_;
  std::size_t stages_ = 0;
  std::vector<std::size_t> next_;               // by rank
  std::vector<std::vector<std::string>> rows_;  // by rank and column
  Done done_;
};

}  // namespace

std::string print_grid(const ScheduleTable& table) {
  return Grid(table).run();
}

}  // namespace rehearse
