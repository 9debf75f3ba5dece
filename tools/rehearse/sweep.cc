#include "tools/sweep/sweep.h"

#include <fmt/format.h>
#include <signal.h>

#include <algorithm>
#include <iostream>
#include <thread>

#include "model/base/text.h"
#include "tools/cli/terminal.h"
#include "tools/rehearse/commands.h"
#include "tools/rehearse/sweep_progress.h"
#include "tools/summary/missing.h"
#include "tools/sweep/merge.h"

namespace rehearse::cli {
namespace {

std::vector<std::string> method_names() {
  std::vector<std::string> names;
  for (const sweep::Method& method : sweep::methods())
    names.emplace_back(method.name);
  return names;
}

Syntax syntax() {
  return {
      {"SCENARIO..."},
      {{"out", "DIR", "folder for the results (needed): results.csv, results.jsonl, sweep.json"},
       {"jobs", "N", "threads that play (preset: one for each core)"},
       {"resume", "", "go on with the results that are in the folder"},
       {"shard", "K/N", "only the K-th of N parts, for several machines"},
       {"merge", "", "instead: the arguments are folders of shards' results, to be made one"},
       {"method", "HOW",
        "how strategies are evaluated: estimate, in closed form; estimate-played, the same, "
        "but small plans are played where messages meet; simulate (preset)",
        method_names()},
       {"limit", "N", "most points of the sweep (preset: 1000000)"}}};
}

// Set by Ctrl-C and by what Slurm sends before it ends a job; the second one ends at once.
std::atomic<bool> stop = false;

void stop_on_signals() {
  struct sigaction action {};
  action.sa_handler = [](int) { stop = true; };
  action.sa_flags = static_cast<int>(SA_RESETHAND);
  sigaction(SIGINT, &action, nullptr);
  sigaction(SIGTERM, &action, nullptr);
}

struct Request {
  std::string out;
  sweep::Options options;
  std::uint64_t limit = 0;
};

Result<Request> read_request(const Arguments& arguments) {
  const auto out = arguments.get("out");
  if (!out) return error("--out is missing: the folder for the results");
  const auto cores = static_cast<std::int64_t>(std::max(1u, std::thread::hardware_concurrency()));
  const Result<std::int64_t> jobs = arguments.count("jobs", cores, 1);
  if (!jobs) return jobs.errors();
  constexpr std::int64_t kMostJobs = 1024;
  if (*jobs > kMostJobs) return error(fmt::format("--jobs is at most {}", kMostJobs));
  const Result<std::int64_t> limit = arguments.count("limit", sweep::kPresetLimit, 1);
  if (!limit) return limit.errors();
  const Result<sweep::Method> method =
      sweep::find_method(arguments.get("method").value_or("simulate"));
  if (!method) return method.errors();
  const Result<sweep::Shard> shard = sweep::parse_shard(arguments.get("shard").value_or("1/1"));
  if (!shard) return shard.errors();
  Request request;
  request.out = *out;
  request.limit = static_cast<std::uint64_t>(*limit);
  request.options.method = *method;
  request.options.shard = *shard;
  request.options.jobs = static_cast<std::size_t>(*jobs);
  request.options.stop = &stop;
  return request;
}

void print_ranking(const sweep::Ranking& ranking, const sweep::Manifest& manifest,
                   const std::string& folder) {
  print(ranking.print(sweep::columns_of(manifest)));
  std::cout << fmt::format("all rows written to {0}/results.csv and {0}/results.jsonl\n", folder);
  if (!sweep::is_estimate(manifest.method) || ranking.rows_with(sweep::RowStatus::played) == 0)
    return;
  std::cout << "What is said to fit does so by the least memory that it needs: 'rehearse memory' "
               "tells what layouts take.\n";
}

int run_merge(const Arguments& arguments) {
  const auto out = arguments.get("out");
  for (const char* option : {"jobs", "resume", "shard", "method", "limit"}) {
    if (!arguments.has(option)) continue;
    return fail(error(fmt::format("--{} is for a sweep that is played, not for --merge", option))),
           kWrongCommandLine;
  }
  if (!out) return fail(error("--out is missing: the folder for the results")), kWrongCommandLine;
  const Result<sweep::Merged> merged = sweep::merge(arguments.all("SCENARIO..."), *out);
  if (!merged) return fail(merged.errors());
  print_ranking(merged->ranking, merged->manifest, *out);
  if (merged->missing == 0) return kDone;
  std::cerr << fmt::format(
      "{} rows are missing: 'rehearse sweep ... --out {} --resume' plays them\n",
      human_count(static_cast<std::int64_t>(merged->missing)), *out);
  return kWrongInput;
}

int say_interrupted(const sweep::Outcome& outcome, std::uint64_t total, const std::string& out) {
  std::cerr << fmt::format(
      "interrupted: {} of {} rows are in '{}'; the same command with --resume plays the others\n",
      human_count(static_cast<std::int64_t>(outcome.ranking.rows())),
      human_count(static_cast<std::int64_t>(total)), out);
  return kWrongInput;
}

int run(const Arguments& arguments) {
  if (arguments.has("merge")) return run_merge(arguments);
  Result<Request> request = read_request(arguments);
  if (!request) return fail(request.errors()), kWrongCommandLine;
  const Result<sweep::Sources> sources =
      sweep::read_sources(arguments.all("SCENARIO..."), request->limit);
  if (!sources) return fail(sources.errors());
  const sweep::Manifest manifest =
      sweep::manifest_of(*sources, request->options.method, request->options.shard);
  sweep::Ranking ranking;
  Result<sweep::Results> results =
      arguments.has("resume")
          ? sweep::Results::resume(request->out, manifest,
                                   [&](const sweep::RowPlace& place, const sweep::Row& row) {
                                     ranking.add(place, row);
                                   })
          : sweep::Results::create(request->out, manifest);
  if (!results) return fail(results.errors());
  stop_on_signals();
  SweepProgress progress;
  request->options.progress = [&](const sweep::Progress& at) { progress.show(at); };
  const Result<sweep::Outcome> outcome =
      sweep::play(*sources, request->options, *results, std::move(ranking));
  progress.finish();
  if (!outcome) return fail(outcome.errors());
  if (outcome->interrupted)
    return say_interrupted(*outcome, sweep::rows_of(manifest), request->out);
  print_ranking(outcome->ranking, manifest, request->out);
  for (const auto& source : *sources) {
    const std::string missing = missing_links(source->file.scenario.cluster);
    if (!source->file.scenario.prices && !missing.empty())
      std::cout << (sources->size() > 1 ? source->path + ": " : "") << missing;
  }
  constexpr double kShort = 5;  // seconds, of which nobody needs to know where they went
  if (progress.seconds() > kShort)
    std::cerr << fmt::format("{:.1f} s, of which {} evaluated {:.1f} %\n", progress.seconds(),
                             request->options.jobs == 1
                                 ? "one thread"
                                 : fmt::format("{} threads", request->options.jobs),
                             100 * outcome->busy);
  // Of a shard that says little about the others.
  const bool is_whole = request->options.shard.of == 1;
  if (!is_whole || outcome->ranking.rows_with(sweep::RowStatus::refused) < outcome->ranking.rows())
    return kDone;
  std::cerr << "error: no point can be played\n";
  return outcome->first_refusal.empty() ? kWrongInput : fail(outcome->first_refusal);
}

}  // namespace

Command sweep_command() {
  return {"sweep", "play all points that a scenario's 'sweep' spans, on all cores", syntax, run};
}

}  // namespace rehearse::cli
