#include "tools/summary/table.h"

#include <fmt/format.h>

#include <algorithm>

#include "model/base/human_number.h"
#include "model/base/text.h"
#include "tools/summary/missing.h"
#include "tools/summary/subnetworks.h"
#include "tools/summary/summary.h"

namespace rehearse {

namespace {

std::vector<std::size_t> widths_of(const std::vector<std::vector<std::string>>& rows) {
  std::vector<std::size_t> widths;
  for (const auto& row : rows) {
    widths.resize(std::max(widths.size(), row.size()), 0);
    for (std::size_t c = 0; c < row.size(); ++c)
      widths[c] = std::max(widths[c], row[c].size());
  }
  return widths;
}

Emphasis emphasis_of(std::size_t row, std::size_t column,
                     const std::vector<CellEmphasis>& emphases) {
  if (row == 0) return Emphasis::strong;
  for (const CellEmphasis& cell : emphases) {
    if (cell.row == row && cell.column == column) return cell.emphasis;
  }
  return Emphasis::none;
}

}  // namespace

StyledText align_columns(const std::vector<std::vector<std::string>>& rows,
                         const std::vector<CellEmphasis>& emphases) {
  const std::vector<std::size_t> widths = widths_of(rows);
  StyledText text;
  for (std::size_t r = 0; r < rows.size(); ++r) {
    // No line ends in spaces: they are put before a cell, once there is one.
    std::size_t spaces = 0;
    for (std::size_t c = 0; c < rows[r].size(); ++c) {
      const std::string& cell = rows[r][c];
      const std::size_t padding = widths[c] - cell.size();
      if (c > 0) spaces += 2 + padding;
      if (!cell.empty()) {
        text += std::string(spaces, ' ');
        text.append(cell, emphasis_of(r, c, emphases));
        spaces = 0;
      }
      if (c == 0) spaces += padding;
    }
    text += "\n";
  }
  return text;
}

std::string text_of(const std::optional<TimeBand>& band) {
  return band ? fmt::format("{} to {}", human(band->low), human(band->high)) : "-";
}

std::string no_bands(std::string_view device) {
  return fmt::format("No error bands: the profile of '{}' says nothing of its errors.\n", device);
}

std::string text_of(const PriceShares& shares) {
  std::string text;
  for (std::size_t p = 0; p < shares.size(); ++p) {
    if (shares[p] == 0) continue;
    text += fmt::format("{}{} {:.0f} %", text.empty() ? "" : ", ",
                        to_string(static_cast<Provenance>(p)), 100 * shares[p]);
  }
  return text;
}

std::string print_price_shares(const std::vector<std::pair<std::string, PriceShares>>& all) {
  std::vector<std::pair<std::string, std::vector<std::string>>> alike;
  for (const auto& [strategy, of] : all) {
    const std::string shares = text_of(of);
    if (shares.empty()) continue;
    if (alike.empty() || alike.back().first != shares) alike.push_back({shares, {}});
    alike.back().second.push_back(strategy);
  }
  std::string text;
  for (const auto& [shares, strategies] : alike) {
    const std::string whose = alike.size() > 1 ? " (" + join(strategies, ", ") + ")" : "";
    text += fmt::format("Rates that computing is priced by: {}{}.\n", shares, whose);
  }
  return text;
}

namespace {

// Of all strategies at once where they are alike.
std::string print_price_shares(const Summary& summary) {
  std::vector<std::pair<std::string, PriceShares>> all;
  for (const StrategySummary& s : summary.strategies) {
    if (s.price_shares) all.emplace_back(s.strategy, *s.price_shares);
  }
  return rehearse::print_price_shares(all);
}

std::string named(MissingPrice price) {
  return fmt::format("{} ({})", meaning_of(price), to_string(price));
}

// Of all strategies at once.
std::string print_missing_prices(const Summary& summary) {
  std::vector<std::string> texts;
  std::string of_cluster;
  for (int p = 0; p <= static_cast<int>(kLastMissingPrice); ++p) {
    const auto price = static_cast<MissingPrice>(p);
    const auto is_without = [&](const StrategySummary& s) {
      return std::count(s.missing_prices.begin(), s.missing_prices.end(), price) > 0;
    };
    if (std::none_of(summary.strategies.begin(), summary.strategies.end(), is_without)) continue;
    if (is_of_cluster(price)) {
      of_cluster = missing_of_cluster(price);
    } else {
      texts.push_back(named(price));
    }
  }
  if (texts.empty()) return of_cluster;
  return of_cluster + fmt::format("Taken for nothing, since the profile of '{}' lacks it: {}.\n",
                                  summary.device, join(texts, ", "));
}

bool has_bands(const Summary& summary) {
  return std::any_of(summary.strategies.begin(), summary.strategies.end(),
                     [](const StrategySummary& s) { return s.step_time_band.has_value(); });
}

// Stated prices are no profile's, and nothing has memory then.
bool is_of_profile(const Summary& summary) {
  return std::any_of(summary.strategies.begin(), summary.strategies.end(),
                     [](const StrategySummary& s) { return s.price_shares && s.memory; });
}

}  // namespace

std::string missing_of_cluster(MissingPrice price) {
  return fmt::format("Taken for nothing, since 'cluster' says nothing of it: {}.\n", named(price));
}

std::string missing_links(const ClusterSpec& cluster) {
  const bool are_free = cluster.device.kind == DeviceKind::gpu && cluster.devices_per_node > 1 &&
                        !cluster.interconnect && !cluster.nics;
  return are_free ? missing_of_cluster(MissingPrice::interconnect) : "";
}

StyledText print_table(const Summary& summary) {
  std::vector<std::vector<std::string>> rows = {{"strategy", "step time", "samples/s",
                                                 "peak memory", "sent/worker", "compute",
                                                 "exposed comm", "idle", "bubble", "fits"}};
  std::vector<CellEmphasis> emphases;
  const bool with_bands = has_bands(summary);
  const auto add_band = [&](std::string cell) {
    if (with_bands) rows.back().insert(rows.back().begin() + 2, std::move(cell));
  };
  add_band(std::string(kBandHeading));
  for (const StrategySummary& s : summary.strategies) {
    const std::optional<Bytes> sent = most_sent(s);
    rows.push_back({s.strategy, human(s.step_time), human_number(s.samples_per_s),
                    s.memory ? human(s.memory->peak) : "-", sent ? human(*sent) : "-",
                    human(s.compute), human(s.exposed_communication), human(s.idle),
                    fmt::format("{:.1f} %", 100 * s.bubble_fraction),
                    !s.fits   ? "-"
                    : *s.fits ? "yes"
                              : "NO"});
    add_band(text_of(s.step_time_band));
    if (s.fits == false)
      emphases.push_back({rows.size() - 1, rows.back().size() - 1, Emphasis::bad});
  }
  StyledText text =
      align_columns(rows, emphases) + print_price_shares(summary) + print_missing_prices(summary);
  if (!with_bands && is_of_profile(summary)) text += no_bands(summary.device);
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
