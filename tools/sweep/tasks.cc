#include "tools/sweep/tasks.h"

#include <algorithm>

namespace rehearse::sweep {

Tasks::Tasks(const Sources& sources, const Shard& shard, const std::vector<StoredRow>& stored)
    : sources_(sources), shard_(shard) {
  for (const auto& source : sources)
    spaces_.emplace_back(source->file.sweep);
  for (const StoredRow& row : stored)
    stored_.emplace_back(row.place, row.scenario_hash);
  std::sort(stored_.begin(), stored_.end());
}

std::optional<Task> Tasks::next() {
  const std::scoped_lock lock(mutex_);
  if (!is_found_ && !find_point()) return std::nullopt;
  const Task task{at_, hash_of_stored(at_)};
  ++at_.strategy;
  if (at_.strategy == sources_[at_.file]->file.scenario.strategies.size()) {
    is_found_ = false;
    at_.strategy = 0;
    ++visit_;
  }
  return task;
}

// Goes on to the next point of the shard.
bool Tasks::find_point() {
  for (; at_.file < sources_.size(); ++at_.file, visit_ = 0) {
    const Space& space = spaces_[at_.file];
    for (; visit_ < space.combinations(); ++visit_) {
      at_.point = space.visited(visit_);
      // read_sources() has tried the conditions on every point.
      if (!space.contains(at_.point).value() || !shard_.has(ordinal_++)) continue;
      is_found_ = true;
      return true;
    }
  }
  return false;
}

std::optional<std::uint64_t> Tasks::hash_of_stored(const RowPlace& place) const {
  const auto found =
      std::lower_bound(stored_.begin(), stored_.end(), std::pair(place, std::uint64_t{0}));
  const bool is_stored = found != stored_.end() && found->first == place;
  return is_stored ? std::optional(found->second) : std::nullopt;
}

Identical::Identical(const std::vector<StoredRow>& stored) {
  for (const StoredRow& row : stored)
    stored_.try_emplace(row.scenario_hash, row.json_at);
}

Identical::Claim Identical::claim(std::uint64_t scenario_hash, const RowPlace& place) {
  const auto stored = stored_.find(scenario_hash);
  if (stored != stored_.end()) {
    const auto kept = kept_.find(scenario_hash);
    return {false, stored->second, kept == kept_.end() ? nullptr : kept->second};
  }
  const auto [waiting, is_first] = waiting_.try_emplace(scenario_hash);
  if (!is_first) waiting->second.push_back(place);
  return {is_first, std::nullopt, nullptr};
}

std::vector<RowPlace> Identical::finish(std::uint64_t scenario_hash, std::uint64_t json_at) {
  stored_.emplace(scenario_hash, json_at);
  const auto waiting = waiting_.find(scenario_hash);
  std::vector<RowPlace> places = std::move(waiting->second);
  waiting_.erase(waiting);
  return places;
}

void Identical::keep(std::uint64_t scenario_hash, std::shared_ptr<const Row> row) {
  constexpr std::size_t kMostKept = 1 << 14;  // some 30 MB
  if (!kept_.try_emplace(scenario_hash, std::move(row)).second) return;
  keeping_.push_back(scenario_hash);
  if (keeping_.size() <= kMostKept) return;
  kept_.erase(keeping_.front());
  keeping_.pop_front();
}

}  // namespace rehearse::sweep
