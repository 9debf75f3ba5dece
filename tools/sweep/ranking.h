// What a sweep found, in so few words that they fit a screen. Rows come in any order; the same rows
// give the same text.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "model/base/styled_text.h"
#include "tools/sweep/row.h"

namespace rehearse::sweep {

// The figure that strategies are ranked by: samples of data parallelism's run per second.
inline constexpr std::string_view kRankedBy = "run_samples_per_s";

// A reason with "#" for every number: those that differ in numbers only are one.
std::string without_numbers(std::string_view reason);

class Ranking {
 public:
  void add(const RowPlace& place, const Row& row);

  std::uint64_t rows() const;
  std::uint64_t rows_with(RowStatus status) const;
  // Of those that were played and fit: the one with the most samples per second.
  const Row* best() const { return best_.empty() ? nullptr : &best_.begin()->second; }

  // The best strategy of every point, or where these are many the best rows of all; how many rows
  // there are of each status, and why. columns: of swept values.
  StyledText print(const std::vector<std::string>& columns) const;

 private:
  static constexpr std::size_t kMostPoints = 24, kMostBest = 10, kMostReasons = 8;
  // The best first; of equals the one that stands first.
  struct Rank {
    double samples = 0;
    RowPlace place;
    friend bool operator<(const Rank& a, const Rank& b) {
      return a.samples != b.samples ? a.samples > b.samples : a.place < b.place;
    }
  };
  using Point = std::pair<std::uint32_t, std::uint64_t>;  // file, point

  struct OfPoint {
    Row row;  // the best, or any if none can be played
    std::optional<Rank> rank;
    std::uint64_t rows = 0, played = 0;
  };
  static std::string what_it_comes_to(const Row& row);
  void add_to_best(const Rank& rank, const Row& row);
  void add_to_point(const RowPlace& place, const Row& row, const std::optional<Rank>& rank);

  std::map<RowStatus, std::uint64_t> statuses_;
  std::map<Rank, Row> best_;           // of those with the same figures the first one
  std::map<std::string, Rank> ranks_;  // of the best, by what_it_comes_to()
  std::map<Point, OfPoint> points_;    // empty once there are too many
  bool has_many_points_ = false;
  std::map<std::string, std::uint64_t> reasons_;
};

}  // namespace rehearse::sweep
