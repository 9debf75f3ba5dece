// Playing a sweep: every strategy at every point, on several threads, into a folder of results.
#pragma once

#include <atomic>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "tools/sweep/methods.h"
#include "tools/sweep/ranking.h"
#include "tools/sweep/results.h"
#include "tools/sweep/space.h"

namespace rehearse::sweep {

// Points of one sweep, over all its files.
inline constexpr std::int64_t kPresetLimit = 1'000'000;

// Files of a sweep, read.
struct Source {
  std::string path;
  SweptScenario file;
  std::uint64_t points = 0;
};
using Sources = std::vector<std::unique_ptr<const Source>>;

// Scenario files, and folders of which all .yaml files are taken, sorted by name; each once.
// Errors: of each file that is wrong, and more points than `limit`.
Result<Sources> read_sources(const std::vector<std::string>& paths, std::uint64_t limit);

Manifest manifest_of(const Sources& sources, const Method& method, const Shard& shard);

struct Progress {
  std::uint64_t done = 0, total = 0;  // rows
  std::uint64_t before = 0;           // of those done, stored by earlier runs
  std::optional<Row> best;
};

struct Options {
  Method method = {};
  Shard shard;
  std::size_t jobs = 1;
  const std::atomic<bool>* stop = nullptr;        // no row is begun once it is set
  std::function<void(const Progress&)> progress;  // called several times a second
};

struct Outcome {
  Ranking ranking;
  bool interrupted = false;
  // Of the first row that was refused: why, with its place in the file.
  Diagnostics first_refusal;
  double busy = 0;  // share of the threads' time that rows were being evaluated
};

// Plays what is not stored yet. Rows whose scenarios are the same but for the sweep are played
// once. Errors: files that cannot be written, or stored rows of scenarios that read differently
// now.
Result<Outcome> play(const Sources& sources, const Options& options, Results& results,
                     Ranking ranking);

}  // namespace rehearse::sweep
