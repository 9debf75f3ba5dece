#include "tools/summary/table.h"

#include <fmt/format.h>

#include <algorithm>

#include "model/base/text.h"
#include "tools/summary/subnetworks.h"
#include "tools/summary/summary.h"

namespace rehearse {

std::string align_columns(const std::vector<std::vector<std::string>>& rows) {
  std::vector<std::size_t> widths;
  for (const auto& row : rows) {
    widths.resize(std::max(widths.size(), row.size()), 0);
    for (std::size_t c = 0; c < row.size(); ++c)
      widths[c] = std::max(widths[c], row[c].size());
  }
  std::string text;
  for (const auto& row : rows) {
    std::string line;
    for (std::size_t c = 0; c < row.size(); ++c) {
      line += c == 0 ? fmt::format("{:<{}}", row[c], widths[c])
                     : fmt::format("  {:>{}}", row[c], widths[c]);
    }
    line.erase(line.find_last_not_of(' ') + 1);
    text += line + "\n";
  }
  return text;
}

namespace {

// "published 84 %, assumed 16 %"; empty: nothing is computed.
std::string text_of(const std::array<double, kProvenanceCount>& shares) {
  std::string text;
  for (std::size_t p = 0; p < shares.size(); ++p) {
    if (shares[p] == 0) continue;
    text += fmt::format("{}{} {:.0f} %", text.empty() ? "" : ", ",
                        to_string(static_cast<Provenance>(p)), 100 * shares[p]);
  }
  return text;
}

// Of all strategies at once where they are alike.
std::string print_price_shares(const Summary& summary) {
  std::vector<std::pair<std::string, std::vector<std::string>>> alike;
  for (const StrategySummary& s : summary.strategies) {
    if (!s.price_shares) continue;
    const std::string shares = text_of(*s.price_shares);
    if (shares.empty()) continue;
    if (alike.empty() || alike.back().first != shares) alike.push_back({shares, {}});
    alike.back().second.push_back(s.strategy);
  }
  std::string text;
  for (const auto& [shares, strategies] : alike) {
    const std::string whose = alike.size() > 1 ? " (" + join(strategies, ", ") + ")" : "";
    text += fmt::format("Rates that computing is priced by: {}{}.\n", shares, whose);
  }
  return text;
}

}  // namespace

std::string print_table(const Summary& summary) {
  std::vector<std::vector<std::string>> rows = {{"strategy", "step time", "samples/s",
                                                 "peak memory", "sent/worker", "compute",
                                                 "exposed comm", "idle", "bubble", "fits"}};
  for (const StrategySummary& s : summary.strategies) {
    const std::optional<Bytes> sent = most_sent(s);
    rows.push_back({s.strategy, human(s.step_time), fmt::format("{:.4g}", s.samples_per_s),
                    s.memory ? human(s.memory->peak) : "-", sent ? human(*sent) : "-",
                    human(s.compute), human(s.exposed_communication), human(s.idle),
                    fmt::format("{:.1f} %", 100 * s.bubble_fraction),
                    !s.fits   ? "-"
                    : *s.fits ? "yes"
                              : "NO"});
  }
  std::string text = align_columns(rows) + print_price_shares(summary);
  for (const StrategySummary& s : summary.strategies) {
    if (!s.local_steps) continue;
    text += fmt::format("{} synchronises every {} steps: that one takes {}, the others {}.\n",
                        s.strategy, s.local_steps->steps, human(s.local_steps->synchronising_step),
                        human(s.local_steps->local_step));
  }
  for (const StrategySummary& s : summary.strategies) {
    if (!s.step_times) continue;
    text += fmt::format("{}: mean step time {}, p50 {}, p99 {} over {} steps with jitter.\n",
                        s.strategy, human(s.step_times->mean), human(s.step_times->p50),
                        human(s.step_times->p99), s.step_times->steps);
  }
  return text + print_subnetworks(summary);
}

}  // namespace rehearse
