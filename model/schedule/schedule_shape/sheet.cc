#include "model/schedule/schedule_shape/sheet.h"

#include <fmt/format.h>

#include "model/base/check.h"

namespace rehearse::schedule_shape {
namespace {

constexpr std::size_t kMostErrors = 20;

}  // namespace

std::optional<Message> message_of(ActionKind kind) {
  switch (kind) {
    case ActionKind::send_forward:
      return Message{ActionKind::receive_forward, true, true};
    case ActionKind::receive_forward:
      return Message{ActionKind::send_forward, true, false};
    case ActionKind::send_backward:
      return Message{ActionKind::receive_backward, false, true};
    case ActionKind::receive_backward:
      return Message{ActionKind::send_backward, false, false};
    case ActionKind::forward:
    case ActionKind::backward:
    case ActionKind::backward_input:
    case ActionKind::backward_weight:
    case ActionKind::unshard:
    case ActionKind::reshard:
    case ActionKind::reduce_gradients:
      return std::nullopt;
  }
  REHEARSE_UNREACHABLE("action kind");
}

void Sheet::index() {
  for_each_cell([&](Cell cell) {
    const Action& action = at(cell);
    if (action.kind == ActionKind::unshard || action.kind == ActionKind::reshard) return;
    const auto [known, is_new] = cells_.try_emplace(key(action), cell);
    if (!is_new) {
      fail(cell, describe(cell) + " is there twice",
           {note(known->second, describe(known->second) + " is the first")});
    }
  });
}

std::optional<Cell> Sheet::find(ActionKind kind, StageId stage,
                                std::optional<MicroBatchId> micro_batch) const {
  const auto found = cells_.find(key({kind, stage, micro_batch}));
  return found == cells_.end() ? std::nullopt : std::optional(found->second);
}

std::optional<Cell> Sheet::find_backward(StageId stage,
                                         std::optional<MicroBatchId> micro_batch) const {
  const auto whole = find(ActionKind::backward, stage, micro_batch);
  return whole ? whole : find(ActionKind::backward_input, stage, micro_batch);
}

std::string Sheet::describe(Cell cell) const {
  return fmt::format("{} (rank {}, action {})", to_string(at(cell)), cell.rank, cell.step + 1);
}

void Sheet::fail(Cell cell, std::string message, std::vector<Note> notes) {
  if (!full()) errors.push_back({place(cell), std::move(message), std::move(notes)});
}

bool Sheet::full() const {
  return errors.size() >= kMostErrors;
}

std::optional<SourceSpan> Sheet::place(Cell cell) const {
  if (table.places.empty()) return std::nullopt;
  return table.places[cell.rank][cell.step];
}

}  // namespace rehearse::schedule_shape
