// How far a sweep has come, for whoever waits for it.
#pragma once

#include <chrono>

#include "tools/sweep/sweep.h"

namespace rehearse::cli {

// To stderr: on a terminal one line that is written over again and again, elsewhere a line every
// ten seconds.
class SweepProgress {
 public:
  SweepProgress();
  void show(const sweep::Progress& progress);
  // Ends the line.
  void finish();
  double seconds() const;

 private:
  using Clock = std::chrono::steady_clock;
  const bool is_terminal_;
  const Clock::time_point begin_ = Clock::now();
  Clock::time_point last_ = begin_;
  bool has_line_ = false;
};

// "1,200 of 6,000 rows, 96.1/s, 50 s left; best: pipe, 1.234e+04 samples/s".
std::string describe(const sweep::Progress& progress, double seconds);

}  // namespace rehearse::cli
