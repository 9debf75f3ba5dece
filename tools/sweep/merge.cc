#include "tools/sweep/merge.h"

#include <fmt/format.h>

#include <map>

namespace rehearse::sweep {
namespace {

// Rows of several folders on their way into one.
class Merger {
 public:
  Merger(Results& into, Merged& merged) : into_(into), merged_(merged) {}

  Status add_folder(const std::string& folder) {
    const Result<Manifest> manifest = read_manifest(folder);
    if (!manifest) return manifest.errors();
    const auto end = visit_rows(
        folder, [&](const Row& row, std::uint64_t) { return add(row, *manifest, folder); });
    return end ? success() : Status(end.errors());
  }

 private:
  Status add(Row row, const Manifest& manifest, const std::string& folder) {
    const Result<RowPlace> place = place_of(row, manifest);
    if (!place) return place.errors();
    row.file = merged_.manifest.files[place->file].file;  // as the first folder calls it
    const PrintedRow printed = into_.print(*place, row);
    const auto [known, is_new] = known_.try_emplace(*place, printed.scenario_hash);
    if (!is_new && known->second == printed.scenario_hash) return success();
    if (!is_new)
      return error(
          fmt::format("point {}, strategy '{}' is of another device profile or schedule "
                      "file in '{}' than in a folder before it",
                      row.point, row.strategy, folder));
    const Result<std::uint64_t> stored = into_.append(printed);
    if (!stored) return stored.errors();
    merged_.ranking.add(*place, row);
    return success();
  }

  Results& into_;
  Merged& merged_;
  std::map<RowPlace, std::uint64_t> known_;
};

}  // namespace

Result<Merged> merge(const std::vector<std::string>& folders, const std::string& out) {
  Merged merged;
  for (const std::string& folder : folders) {
    const Result<Manifest> manifest = read_manifest(folder);
    if (!manifest) return manifest.errors();
    if (&folder == &folders.front()) merged.manifest = *manifest;
    const Status same = check_same(*manifest, merged.manifest, folder);
    if (!same) return same.errors();
  }
  merged.manifest.shard = {};
  Result<Results> results = Results::create(out, merged.manifest);
  if (!results) return results.errors();
  Merger merger(*results, merged);
  for (const std::string& folder : folders) {
    const Status added = merger.add_folder(folder);
    if (!added) return added.errors();
  }
  merged.missing = rows_of(merged.manifest) - merged.ranking.rows();
  const Status sorted = results->put_in_order();
  if (!sorted) return sorted.errors();
  return merged;
}

}  // namespace rehearse::sweep
