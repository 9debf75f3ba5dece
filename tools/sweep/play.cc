#include <fmt/format.h>

#include <chrono>
#include <condition_variable>
#include <mutex>
#include <thread>

#include "model/base/text.h"
#include "tools/predict/predict.h"
#include "tools/sweep/hashes.h"
#include "tools/sweep/point_trees.h"
#include "tools/sweep/sweep.h"
#include "tools/sweep/tasks.h"

namespace rehearse::sweep {
namespace {

using Clock = std::chrono::steady_clock;

double seconds_since(Clock::time_point begin) {
  return std::chrono::duration<double>(Clock::now() - begin).count();
}

// A row's name: its place, and the values it is swept by.
void take_name(Row& row, const Sources& sources, const RowPlace& place) {
  const Source& source = *sources[place.file];
  const SweptScenario& file = source.file;
  row.scenario = file.scenario.name;
  row.file = source.path;
  row.point = place.point;
  row.strategy = file.scenario.strategies[place.strategy].spec.name;
  row.values.clear();
  const std::vector<std::size_t> values = Space(file.sweep).values_of(place.point);
  for (std::size_t a = 0; a < values.size(); ++a) {
    for (const SweptColumn& column : file.sweep.axes[a].columns)
      row.values.emplace_back(column.name, cell_of(column.values[values[a]]));
  }
}

// What the threads share, one at a time.
class Desk {
 public:
  Desk(Results& results, Ranking ranking, const Sources& sources)
      : results_(results), identical_(results.rows()), sources_(sources) {
    outcome_.ranking = std::move(ranking);
  }

  Identical::Claim claim(std::uint64_t hash, const RowPlace& place) {
    const std::scoped_lock lock(mutex_);
    return identical_.claim(hash, place);
  }

  void store(const Row& row, const RowPlace& place) {
    const PrintedRow printed = results_.print(place, row);
    const std::scoped_lock lock(mutex_);
    append(row, printed);
  }

  // A row that was claimed first, and all that wait for it.
  void finish(const Row& row, const RowPlace& place) {
    const PrintedRow printed = results_.print(place, row);
    const std::scoped_lock lock(mutex_);
    const std::uint64_t json_at = append(row, printed);
    for (const RowPlace& waiting : identical_.finish(printed.scenario_hash, json_at))
      append_copy(row, waiting);
    identical_.keep(printed.scenario_hash, std::make_shared<const Row>(row));
  }

  // Of a row that is there.
  void copy(const Identical::Claim& claim, std::uint64_t hash, const RowPlace& place) {
    const std::shared_ptr<const Row> first = claim.row ? claim.row : read(*claim.json_at, hash);
    if (!first) return;
    Row row = *first;
    take_name(row, sources_, place);
    store(row, place);
  }

  void refuse(const RowPlace& place, const Diagnostics& errors) {
    const std::scoped_lock lock(mutex_);
    if (!outcome_.first_refusal.empty() && first_refused_ < place) return;
    first_refused_ = place;
    outcome_.first_refusal = errors;
  }

  void stop(Diagnostics errors) {
    const std::scoped_lock lock(mutex_);
    fail(std::move(errors));
  }
  bool is_stopped() const { return stopped_; }

  void add_busy(double seconds) {
    const std::scoped_lock lock(mutex_);
    outcome_.busy += seconds;
  }
  Progress progress() {
    const std::scoped_lock lock(mutex_);
    Progress progress;
    progress.done = outcome_.ranking.rows();
    if (const Row* best = outcome_.ranking.best()) progress.best = *best;
    return progress;
  }

  Result<Outcome> take() {
    if (!errors_.empty()) return errors_;
    return std::move(outcome_);
  }

 private:
  void fail(Diagnostics errors) {
    if (errors_.empty()) errors_ = std::move(errors);
    stopped_ = true;
  }

  std::uint64_t append(const Row& row, const PrintedRow& printed) {
    const Result<std::uint64_t> json_at = results_.append(printed);
    if (!json_at) return fail(json_at.errors()), 0;
    outcome_.ranking.add(printed.place, row);
    return *json_at;
  }
  void append_copy(Row row, const RowPlace& place) {
    take_name(row, sources_, place);
    append(row, results_.print(place, row));
  }

  // None if it cannot be read.
  std::shared_ptr<const Row> read(std::uint64_t json_at, std::uint64_t hash) {
    const std::scoped_lock lock(mutex_);
    Result<Row> row = results_.read(json_at);
    if (!row) return fail(row.errors()), nullptr;
    auto kept = std::make_shared<const Row>(*std::move(row));
    identical_.keep(hash, kept);
    return kept;
  }

  Results& results_;
  Identical identical_;
  const Sources& sources_;
  std::mutex mutex_;
  Outcome outcome_;
  RowPlace first_refused_;
  Diagnostics errors_;
  std::atomic<bool> stopped_ = false;
};

// One thread: reads the scenarios of rows and evaluates them.
class Player {
 public:
  Player(const Sources& sources, const Options& options, Desk& desk)
      : sources_(sources), options_(options), desk_(desk), evaluator_(options.method.make()) {
    for (const auto& source : sources) {
      trees_.emplace_back(source->file);
      spaces_.emplace_back(source->file.sweep);
      readers_.emplace_back(source->path, profile_path(source->path));
    }
  }

  void run(Tasks& tasks) {
    while (!desk_.is_stopped() && !(options_.stop != nullptr && *options_.stop)) {
      const std::optional<Task> task = tasks.next();
      if (!task) break;
      play(*task);
    }
    desk_.add_busy(busy_);
  }

 private:
  void play(const Task& task) {
    const RowPlace& place = task.place;
    const yaml::Value& tree =
        trees_[place.file].at(spaces_[place.file].values_of(place.point), place.strategy);
    PointReader& reader = readers_[place.file];
    const Result<Scenario> scenario = reader.read(tree);
    Row row;
    row.scenario_hash = point_hash(tree, reader.profile_hashes(), scenario ? &*scenario : nullptr);
    const std::uint64_t hash = hash_number(row.scenario_hash);
    if (task.stored) return check_stored(*task.stored, hash, place);
    take_name(row, sources_, place);
    row.method = options_.method.name;
    row.tool_version = REHEARSE_VERSION;
    if (!scenario) {
      refuse(row, place, scenario.errors());
      return desk_.store(row, place);
    }
    const Identical::Claim claim = desk_.claim(hash, place);
    if (claim.json_at) return desk_.copy(claim, hash, place);
    if (!claim.is_first) return;
    evaluate(row, place, *scenario, reader);
    desk_.finish(row, place);
  }

  void evaluate(Row& row, const RowPlace& place, const Scenario& scenario,
                const PointReader& reader) {
    const auto begin = Clock::now();
    const Result<Evaluated> evaluated =
        evaluator_->evaluate(scenario, scenario.strategies.front(), reader.setting());
    busy_ += seconds_since(begin);
    if (!evaluated) return refuse(row, place, evaluated.errors());
    row.figures = evaluated->figures;
    if (evaluated->does_not_fit.empty()) return;
    row.status = RowStatus::does_not_fit;
    row.reason = evaluated->does_not_fit;
  }

  void refuse(Row& row, const RowPlace& place, const Diagnostics& errors) {
    row.status = RowStatus::refused;
    row.reason = errors.front().message;
    desk_.refuse(place, errors);
  }

  // Values are the same, since the file's hash is: what it names has changed.
  void check_stored(std::uint64_t stored, std::uint64_t now, const RowPlace& place) {
    if (stored == now) return;
    Row row;
    take_name(row, sources_, place);
    desk_.stop(
        error(fmt::format("the stored row of point {}, strategy '{}' is of another device "
                          "profile or schedule file than '{}' names now: begin anew, in "
                          "another folder",
                          place.point, row.strategy, row.file)));
  }

  const Sources& sources_;
  const Options& options_;
  Desk& desk_;
  const std::unique_ptr<Evaluator> evaluator_;
  std::vector<PointTrees> trees_;
  std::vector<Space> spaces_;
  std::vector<PointReader> readers_;
  double busy_ = 0;
};

// Counts threads down and lets one wait for it, a while at a time.
class Countdown {
 public:
  explicit Countdown(std::size_t count) : count_(count) {}
  void arrive() {
    const std::scoped_lock lock(mutex_);
    --count_;
    zero_.notify_all();
  }
  bool wait(std::chrono::milliseconds most) {
    std::unique_lock lock(mutex_);
    return zero_.wait_for(lock, most, [this] { return count_ == 0; });
  }

 private:
  std::mutex mutex_;
  std::condition_variable zero_;
  std::size_t count_;
};

}  // namespace

Result<Outcome> play(const Sources& sources, const Options& options, Results& results,
                     Ranking ranking) {
  const auto begin = Clock::now();
  const std::uint64_t total = rows_of(manifest_of(sources, options.method, options.shard));
  const std::uint64_t before = ranking.rows();
  Tasks tasks(sources, options.shard, results.rows());
  Desk desk(results, std::move(ranking), sources);
  Countdown running(options.jobs);
  {
    std::vector<std::jthread> threads;
    for (std::size_t j = 0; j < options.jobs; ++j) {
      threads.emplace_back([&] {
        Player(sources, options, desk).run(tasks);
        running.arrive();
      });
    }
    while (!running.wait(std::chrono::milliseconds(200))) {
      if (!options.progress) continue;
      Progress progress = desk.progress();
      progress.total = total;
      progress.before = before;
      options.progress(progress);
    }
  }
  Result<Outcome> outcome = desk.take();
  if (!outcome) return outcome;
  outcome->busy /= seconds_since(begin) * static_cast<double>(options.jobs);
  outcome->interrupted = outcome->ranking.rows() < total;
  const Status flushed = results.flush();
  if (!flushed) return flushed.errors();
  if (outcome->interrupted) return outcome;
  const Status sorted = results.put_in_order();
  if (!sorted) return sorted.errors();
  return outcome;
}

}  // namespace rehearse::sweep
