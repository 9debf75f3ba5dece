#include <fmt/format.h>

#include <nlohmann/json.hpp>

#include "model/base/text.h"
#include "tools/advise/advice.h"
#include "tools/advise/write_scenario.h"
#include "tools/summary/missing.h"
#include "tools/summary/table.h"

namespace rehearse::advise {
namespace {

using Json = nlohmann::ordered_json;

std::string long_duration(double seconds) {
  constexpr double kMinute = 60, kHour = 3600, kDay = 86400;
  if (seconds < 2 * kMinute) return human(Seconds::seconds(seconds));
  if (seconds < 2 * kHour) return fmt::format("{:.1f} min", seconds / kMinute);
  if (seconds < 2 * kDay) return fmt::format("{:.1f} h", seconds / kHour);
  return fmt::format("{:.1f} days", seconds / kDay);
}

std::string counted(std::int64_t n, std::string_view one, std::string_view several) {
  return fmt::format("{} {}", human_count(n), n == 1 ? one : several);
}

// "2, 3 and 5" of numbers from 0, as people count.
std::string listed(const std::vector<std::size_t>& numbers) {
  std::string text;
  for (std::size_t i = 0; i < numbers.size(); ++i) {
    if (i > 0) text += i + 1 == numbers.size() ? " and " : ", ";
    text += fmt::format("{}", numbers[i] + 1);
  }
  return text;
}

// ---- the table
// -----------------------------------------------------------------------------------

StyledText print_ranking(const Scenario& scenario, const Advice& advice) {
  const bool is_gpu = scenario.cluster.device.kind == DeviceKind::gpu;
  std::vector<std::string> heading = {
      "",          "strategy",  "step time",
      "estimated", "whole run", "memory",
      "MFU",       "binds",     is_gpu ? "GPU-hours" : "rank-hours"};
  if (advice.price) heading.emplace_back("USD");
  if (advice.errors) heading.emplace_back("90 % of steps");
  std::vector<std::vector<std::string>> rows = {heading};
  for (std::size_t n = 0; n < advice.ranking.size(); ++n) {
    const Advised& it = advice.ranking[n];
    const StrategySummary& s = it.summary;
    std::vector<std::string> row = {
        fmt::format("{}", n + 1),
        it.spec.name,
        human(s.step_time),
        it.estimate ? human(Seconds::seconds(it.estimate->step_time)) : "simulated only",
        long_duration(it.run.seconds),
        s.memory ? human(s.memory->peak) : "-",
        s.mfu ? fmt::format("{:.1f} %", 100 * *s.mfu) : "-",
        std::string(to_string(it.binding)),
        fmt::format("{:.4g}", it.run.device_hours)};
    if (advice.price) row.push_back(fmt::format("{:.4g}", it.run.dollars.value_or(0)));
    if (it.band) row.push_back(fmt::format("{} to {}", human(it.band->low), human(it.band->high)));
    rows.push_back(std::move(row));
  }
  return align_columns(rows);
}

std::string print_sensitivity(const Advice& advice) {
  if (advice.ranking.size() < 2) return "";
  if (!advice.errors)
    return "The device's profile does not say how far off its predictions are: which of these can "
           "be told apart is not known ('rehearse calibrate' measures it, --error assumes it).\n";
  const std::string by =
      advice.errors_are_assumed ? "By the errors assumed" : "By the profile's errors";
  const auto& alike = advice.ranking.front().not_told_apart;
  if (alike.empty()) return fmt::format("{} 1 can be told apart from all others.\n", by);
  return fmt::format("{} 1 cannot be told apart from {}.\n", by, listed(alike));
}

std::string print_subnetwork_note(const Advice& advice) {
  if (!advice.has_subnetworks) return "";
  return "Equal steps of subnetworks are not equal quality: they are compared by the time of a "
         "whole "
         "run, of 1/C times data parallelism's steps (equal FLOPs) or what --steps-multiplier "
         "says.\n";
}

StyledText print_unfitting(const Advice& advice) {
  if (advice.unfitting.empty()) return "";
  const bool any_fits = !advice.ranking.empty();
  std::string text = any_fits ? "Faster, if they fitted:\n" : "Nearest to fitting:\n";
  std::vector<std::vector<std::string>> rows = {
      {"strategy", "estimated", "needs", "has", "lacks", "at"}};
  for (const Found& found : advice.unfitting) {
    const Estimate& e = found.estimate;
    const Bytes needs = Bytes::bytes(e.memory);
    rows.push_back({found.spec.name, human(Seconds::seconds(e.step_time)), human(needs),
                    human(advice.device_memory), human(needs - advice.device_memory),
                    fmt::format("rank {} of the pipeline", e.worst_rank)});
  }
  return text + align_columns(rows);
}

std::string print_counts(const Advice& advice) {
  const Searched::Counts& counts = advice.counts;
  std::string text =
      fmt::format("{} searched: {} priced and fit, {} cannot be faster by their bounds, {} not fit",
                  counted(advice.points, "strategy", "strategies"), human_count(counts.fit),
                  human_count(counts.slower),
                  counts.unfitting == 1 ? "1 does" : human_count(counts.unfitting) + " do");
  for (const auto& [verdict, count] : counts.unpriced)
    text += fmt::format(", {} have no closed form ({})", human_count(count), to_string(verdict));
  text += ".\n";
  if (counts.unplayed > 0)
    text += fmt::format(
        "Messages meet on links: {} played for it, {} more might be among the best and {} not; a "
        "narrower space has fewer.\n",
        counts.played == 1 ? "1 plan was" : human_count(counts.played) + " plans were",
        human_count(counts.unplayed), counts.unplayed == 1 ? "was" : "were");
  if (counts.fit == 0 && advice.unpriced_left > 0)
    text +=
        "None of them is priced in closed form here: the few that were played are no search, and "
        "any of the others may be faster.\n";
  if (advice.unpriced_left > 0)
    text += fmt::format(
        "{} of those without a closed form might be among the best and {} not "
        "played (--unpriced).\n",
        human_count(static_cast<std::int64_t>(advice.unpriced_left)),
        advice.unpriced_left == 1 ? "was" : "were");
  for (const NotPlayed& it : advice.not_played)
    text += fmt::format("{}: {}.\n", it.spec.name, it.reason);
  return text;
}

// ---- JSON
// ----------------------------------------------------------------------------------------

Json json_of(const Advised& it) {
  const StrategySummary& s = it.summary;
  Json json = {{"strategy", it.spec.name},
               {"yaml", print_strategy(it.spec)},
               {"source", it.estimate ? "estimated and simulated" : "simulated only"},
               {"plan_hash", s.plan_hash},
               {"step_time_s", s.step_time.seconds()}};
  if (it.estimate) json["estimated_step_time_s"] = it.estimate->step_time;
  if (it.band) json["step_time_90_s"] = {it.band->low.seconds(), it.band->high.seconds()};
  json["steps_multiplier"] = it.multiplier;
  json["run_time_s"] = it.run.seconds;
  json["device_hours"] = it.run.device_hours;
  if (it.run.dollars) json["usd"] = *it.run.dollars;
  json["samples_per_s"] = s.samples_per_s;
  if (s.tokens_per_s) json["tokens_per_s"] = *s.tokens_per_s;
  if (s.mfu) json["mfu"] = *s.mfu;
  json["bubble_fraction"] = s.bubble_fraction;
  json["compute_s"] = s.compute.seconds();
  json["exposed_comm_s"] = s.exposed_communication.seconds();
  json["idle_s"] = s.idle.seconds();
  if (s.memory) json["peak_memory_bytes"] = s.memory->peak.bytes();
  json["binds"] = to_string(it.binding);
  json["not_told_apart"] = Json::array();
  for (const std::size_t other : it.not_told_apart)
    json["not_told_apart"].push_back(other + 1);
  return json;
}

Json json_of(const Found& it, Bytes memory) {
  return {{"strategy", it.spec.name},
          {"yaml", print_strategy(it.spec)},
          {"estimated_step_time_s", it.estimate.step_time},
          {"least_memory_bytes", it.estimate.memory},
          {"lacks_bytes", it.estimate.memory - memory.bytes()},
          {"pipeline_rank", it.estimate.worst_rank},
          {"binds", to_string(it.estimate.binding)}};
}

Json json_of(const Searched::Counts& counts, std::int64_t points) {
  Json json = {{"points", points},
               {"priced_and_fit", counts.fit},
               {"slower_by_bounds", counts.slower},
               {"do_not_fit", counts.unfitting},
               {"played_where_messages_meet", counts.played},
               {"not_played_where_messages_meet", counts.unplayed},
               {"without_closed_form", Json::object()}};
  for (const auto& [verdict, count] : counts.unpriced)
    json["without_closed_form"][std::string(to_string(verdict))] = count;
  return json;
}

}  // namespace

StyledText print_table(const Scenario& scenario, const Advice& advice) {
  const Training& training = scenario.training;
  StyledText text;
  if (advice.ranking.empty()) {
    text.append("No strategy fits.\n", Emphasis::bad);
  } else {
    text = print_ranking(scenario, advice);
    text += fmt::format("A whole run is {} of {} samples on {}.\n",
                        counted(training.steps, "step", "steps"), human_count(training.batch),
                        counted(advice.devices, "device", "devices"));
    text += missing_links(scenario.cluster);
    std::vector<std::pair<std::string, PriceShares>> shares;
    for (const Advised& it : advice.ranking) {
      if (it.summary.price_shares) shares.emplace_back(it.spec.name, *it.summary.price_shares);
    }
    text += print_price_shares(shares);
    text += print_sensitivity(advice);
  }
  return text + print_subnetwork_note(advice) + print_unfitting(advice) + print_counts(advice);
}

std::string print_json(const Scenario& scenario, const Advice& advice) {
  Json json = {
      {"scenario", scenario.name},
      {"device", scenario.cluster.device.name},
      {"devices", advice.devices},
      {"steps", scenario.training.steps},
      {"price_usd_per_device_hour", advice.price ? Json(advice.price->dollars) : Json(nullptr)},
      {"strategies", Json::array()},
      {"unfitting", Json::array()},
      {"not_played", Json::array()},
      {"searched", json_of(advice.counts, advice.points)},
      {"might_be_better_and_not_played", advice.unpriced_left}};
  for (const Advised& it : advice.ranking)
    json["strategies"].push_back(json_of(it));
  for (const Found& it : advice.unfitting)
    json["unfitting"].push_back(json_of(it, advice.device_memory));
  for (const NotPlayed& it : advice.not_played)
    json["not_played"].push_back({{"strategy", it.spec.name}, {"reason", it.reason}});
  if (advice.has_subnetworks)
    json["note"] = "equal steps of subnetworks are not equal quality: whole runs are compared";
  return json.dump(1) + "\n";
}

}  // namespace rehearse::advise
