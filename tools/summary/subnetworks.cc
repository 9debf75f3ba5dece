#include "tools/summary/subnetworks.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <functional>

#include "model/base/text.h"
#include "tools/summary/summary.h"
#include "tools/summary/table.h"

namespace rehearse {
namespace {

Bytes state(const StrategySummary& s) {
  return s.largest ? s.largest->state : Bytes{};
}
Bytes activation_bytes(const StrategySummary& s) {
  return s.largest ? s.largest->activations : Bytes{};
}
// All ranks together, of one step.
Bytes sent(const StrategySummary& s) {
  return total_sent(s).value_or(Bytes{});
}

// A step with its part of what a redraw takes.
Seconds step_time(const StrategySummary& s) {
  if (!s.subnetwork || !s.subnetwork->redraw) return s.step_time;
  const SubnetworkSummary::Redraw& redraw = *s.subnetwork->redraw;
  return s.step_time + redraw.time / static_cast<double>(redraw.every);
}
// The same of what all ranks send.
double sent_by_all(const StrategySummary& s) {
  const double sent_in_step = static_cast<double>(sent(s).bytes());
  if (!s.subnetwork || !s.subnetwork->redraw) return sent_in_step;
  const SubnetworkSummary::Redraw& redraw = *s.subnetwork->redraw;
  return sent_in_step + static_cast<double>(redraw.received.bytes()) *
                            static_cast<double>(s.ranks.size()) / static_cast<double>(redraw.every);
}

double steps(const StrategySummary& s) {
  return s.subnetwork ? s.subnetwork->step_multiplier : s.step_multiplier.value_or(1);
}

std::string percent(double of, double whole) {
  return whole > 0 ? fmt::format("{:.0f} %", 100 * of / whole) : "-";
}

// "1.2 GiB, 53 %": of data parallelism's, if there is any.
std::string beside(Bytes bytes, const StrategySummary* ddp,
                   const std::function<Bytes(const StrategySummary&)>& get) {
  if (ddp == nullptr) return human(bytes);
  return fmt::format(
      "{}, {}", human(bytes),
      percent(static_cast<double>(bytes.bytes()), static_cast<double>(get(*ddp).bytes())));
}

// "2", or the fewest, the mean and the most: "1 / 2.25 / 4".
std::string print_holders(const HolderCount& holders) {
  if (holders.is_same()) return std::to_string(holders.least);
  return fmt::format("{} / {:.4g} / {}", holders.least, holders.mean, holders.most);
}

std::vector<std::string> row_of(const StrategySummary& s, const StrategySummary* ddp) {
  const SubnetworkSummary& it = *s.subnetwork;
  const HolderCount holders = count_holders(it);
  std::string run_sent = "-", run_time = "-";
  if (ddp != nullptr) {
    run_sent = percent(steps(s) * sent_by_all(s), static_cast<double>(sent(*ddp).bytes()));
    run_time = percent(run_time_per_step(s).seconds(), ddp->step_time.seconds());
  }
  return {s.strategy,
          fmt::format("{:.4g}", holders.mean / static_cast<double>(it.workers)),
          fmt::format("{} of {}", print_holders(holders), it.workers),
          beside(state(s), ddp, state),
          beside(activation_bytes(s), ddp, activation_bytes),
          beside(sent(s), ddp, sent),
          fmt::format("x {:.4g}", it.step_multiplier),
          run_sent,
          run_time};
}

// What strategies without subnetworks have less of: "Less state: zero3 (12 MiB) than a and b.\n"
std::string print_less(std::string_view what, const Summary& summary,
                       const std::function<Bytes(const StrategySummary&)>& get) {
  std::vector<std::string> parts;
  for (const StrategySummary& s : summary.strategies) {
    if (s.subnetwork || s.data_parallel) continue;
    std::vector<std::string> more;
    std::size_t rows = 0;
    for (const StrategySummary& row : summary.strategies) {
      rows += row.subnetwork ? 1 : 0;
      if (row.subnetwork && get(s) < get(row)) more.push_back(row.strategy);
    }
    if (more.empty()) continue;
    const bool all = more.size() == rows;
    parts.push_back(fmt::format("{} ({}) than {}", s.strategy, human(get(s)),
                                all ? "any of these" : join(more, ", ")));
  }
  return parts.empty() ? "" : fmt::format("Less {}: {}.\n", what, join(parts, "; "));
}

// Where runs of as many steps as are counted here execute other FLOPs by more than a twentieth.
std::string print_equal_flops(const Summary& summary) {
  std::vector<std::string> parts;
  for (const StrategySummary& s : summary.strategies) {
    if (!s.subnetwork || !s.subnetwork->equal_flops) continue;
    const double equal = *s.subnetwork->equal_flops;
    if (std::abs(equal / s.subnetwork->step_multiplier - 1) > 0.05)
      parts.push_back(fmt::format("{} x {:.3g}", s.strategy, equal));
  }
  return parts.empty() ? "" : fmt::format("Equal FLOPs are other steps: {}.\n", join(parts, ", "));
}

// By time of the run, with its steps and redraws.
const StrategySummary& fastest_run(const Summary& summary) {
  return *std::min_element(summary.strategies.begin(), summary.strategies.end(),
                           [](const StrategySummary& a, const StrategySummary& b) {
                             return run_time_per_step(a) < run_time_per_step(b);
                           });
}

}  // namespace

Seconds run_time_per_step(const StrategySummary& summary) {
  return step_time(summary) * steps(summary);
}

HolderCount count_holders(const SubnetworkSummary& summary) {
  if (summary.units.empty())
    return {summary.holders, summary.holders, static_cast<double>(summary.holders)};
  HolderCount count{summary.workers, 0, 0};
  std::int64_t sum = 0;
  for (const SubnetworkSummary::UnitHolders& unit : summary.units) {
    const std::int64_t holders = std::ssize(unit.workers);
    count.least = std::min(count.least, holders);
    count.most = std::max(count.most, holders);
    sum += holders;
  }
  count.mean = static_cast<double>(sum) / static_cast<double>(summary.units.size());
  return count;
}

StyledText print_subnetworks(const Summary& summary) {
  const auto& all = summary.strategies;
  const bool any = std::any_of(all.begin(), all.end(),
                               [](const StrategySummary& s) { return s.subnetwork.has_value(); });
  if (!any) return "";
  const auto found = std::find_if(all.begin(), all.end(),
                                  [](const StrategySummary& s) { return s.data_parallel; });
  const StrategySummary* ddp = found == all.end() ? nullptr : &*found;
  std::vector<std::vector<std::string>> rows = {{"subnetworks", "coverage", "holders", "state",
                                                 "activations", "sent/step", "steps", "sent/run",
                                                 "run time"}};
  for (const StrategySummary& s : all) {
    if (s.subnetwork) rows.push_back(row_of(s, ddp));
  }
  StyledText text = "\n" + align_columns(rows);
  if (ddp != nullptr)
    text +=
        fmt::format("Shares are of {}'s; sent/step is of all workers together.\n", ddp->strategy);
  if (std::any_of(all.begin(), all.end(), [](const StrategySummary& s) {
        return s.subnetwork && !count_holders(*s.subnetwork).is_same();
      }))
    text += "Holders of units that have not equally many: fewest / mean / most.\n";
  text += print_equal_flops(summary);
  for (const StrategySummary& s : all) {
    if (!s.subnetwork || !s.subnetwork->redraw) continue;
    const SubnetworkSummary::Redraw& redraw = *s.subnetwork->redraw;
    text += fmt::format("{} redraws its masks every {} steps: {} to a rank, in {}.\n", s.strategy,
                        redraw.every, human(redraw.received), human(redraw.time));
  }
  text +=
      print_less("state", summary, state) + print_less("activations", summary, activation_bytes);
  const StrategySummary& fastest = fastest_run(summary);
  text += fmt::format("The fastest run is {}'s{}.\n", fastest.strategy,
                      fastest.step_multiplier ? fmt::format(" (of {:.4g} times as many steps)",
                                                            *fastest.step_multiplier)
                                              : "");
  return text;
}

}  // namespace rehearse
