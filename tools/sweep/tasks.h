// What there is to do in a sweep, one row after the other, and rows that are the same.
#pragma once

#include <cstdint>
#include <deque>
#include <memory>
#include <mutex>
#include <optional>
#include <unordered_map>
#include <vector>

#include "tools/sweep/results.h"
#include "tools/sweep/space.h"
#include "tools/sweep/sweep.h"

namespace rehearse::sweep {

struct Task {
  RowPlace place;
  // Of a row that is stored already: the hash it was stored with.
  std::optional<std::uint64_t> stored;
};

// The rows of a shard, file by file, as Space::visited() goes through points. For any thread.
class Tasks {
 public:
  Tasks(const Sources& sources, const Shard& shard, const std::vector<StoredRow>& stored);
  std::optional<Task> next();

 private:
  bool find_point();
  std::optional<std::uint64_t> hash_of_stored(const RowPlace& place) const;

  const Sources& sources_;
  std::vector<Space> spaces_;
  const Shard shard_;
  std::vector<std::pair<RowPlace, std::uint64_t>> stored_;  // sorted
  std::mutex mutex_;
  RowPlace at_;              // the next row, where the point has been found
  std::uint64_t visit_ = 0;  // of its file's combinations
  bool is_found_ = false;
  std::uint64_t ordinal_ = 0;  // of the next point, over all files
};

// Which rows are of the same scenario. Who comes first plays it; who comes later finds where it is
// stored, or leaves a place to which it is copied as soon as it is. Not for several threads at
// once.
class Identical {
 public:
  explicit Identical(const std::vector<StoredRow>& stored);

  struct Claim {
    bool is_first = false;
    std::optional<std::uint64_t> json_at;  // of the row to copy
    std::shared_ptr<const Row> row;        // that one, if it is among the last that were kept
  };
  Claim claim(std::uint64_t scenario_hash, const RowPlace& place);
  // Of a first one, once it is stored: the places that wait for it.
  std::vector<RowPlace> finish(std::uint64_t scenario_hash, std::uint64_t json_at);
  // Of a row that others are likely to be copied from soon.
  void keep(std::uint64_t scenario_hash, std::shared_ptr<const Row> row);

 private:
  std::unordered_map<std::uint64_t, std::uint64_t> stored_;  // where
  std::unordered_map<std::uint64_t, std::vector<RowPlace>> waiting_;
  std::unordered_map<std::uint64_t, std::shared_ptr<const Row>> kept_;
  std::deque<std::uint64_t> keeping_;  // the kept ones, the first kept first
};

}  // namespace rehearse::sweep
