#include "tools/scoreboard/score.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <functional>
#include <map>
#include <set>

#include "tools/scoreboard/fit.h"

namespace rehearse {
namespace {

double off(const Predicted& row, double Predicted::*column) {
  return row.*column / row.of->measured - 1;
}

// Pairs and choices within a group.
struct GroupErrors {
  std::size_t pairs = 0, right = 0;
  double regret = 0;
};

GroupErrors in_group(const std::vector<const Predicted*>& rows, double Predicted::*column) {
  GroupErrors errors;
  for (std::size_t a = 0; a < rows.size(); ++a) {
    for (std::size_t b = a + 1; b < rows.size(); ++b) {
      if (rows[a]->of->measured == rows[b]->of->measured) continue;
      ++errors.pairs;
      const bool measured = rows[a]->of->measured < rows[b]->of->measured;
      errors.right += measured == (rows[a]->*column < rows[b]->*column) ? 1 : 0;
    }
  }
  const auto chosen = *std::min_element(rows.begin(), rows.end(),
                                        [&](auto* a, auto* b) { return a->*column < b->*column; });
  const auto best = *std::min_element(
      rows.begin(), rows.end(), [](auto* a, auto* b) { return a->of->measured < b->of->measured; });
  errors.regret = chosen->of->measured / best->of->measured - 1;
  return errors;
}

// By device and the source that is left out; empty: none is.
using Fits = std::map<std::pair<std::string, std::string>, Factors>;

Result<Fits> fit_all(const std::vector<Case>& cases, Predictions& predictions) {
  std::set<std::pair<std::string, std::string>> asked;
  for (const Case& one : cases) {
    if (one.device.empty()) continue;
    asked.insert({one.device, ""});
    asked.insert({one.device, one.hold_out});
  }
  Fits fits;
  for (const auto& [device, without] : asked) {
    std::vector<const Case*> others;
    for (const Case& one : cases) {
      if (one.device == device && one.hold_out != without) others.push_back(&one);
    }
    Result<Factors> factors = fit(others, predictions);
    if (!factors) return factors.errors();
    fits[{device, without}] = *std::move(factors);
  }
  return fits;
}

// Rows of devices that have constants fitted to other sources, or none that are fitted at all.
std::vector<Predicted> without_own_fits(const std::vector<Predicted>& rows, const Fits& fits) {
  const auto is_alone = [&](const Predicted& row) {
    if (row.of->device.empty()) return false;
    return fits.at({row.of->device, row.of->hold_out}).empty() &&
           !fits.at({row.of->device, ""}).empty();
  };
  std::vector<Predicted> apart;
  std::copy_if(rows.begin(), rows.end(), std::back_inserter(apart), std::not_fn(is_alone));
  return apart;
}

std::string percent(double share) {
  return fmt::format("{:.1f}", 100 * share);
}

std::string percent(std::optional<double> share) {
  return share ? percent(*share) : "-";
}

std::string columns_of(const Errors& e) {
  return fmt::format("{} | {} | {:+.1f} | {} | {}", percent(e.mean), percent(e.worst), 100 * e.bias,
                     percent(e.order), percent(e.regret));
}

}  // namespace

Errors errors_of(const std::vector<Predicted>& rows, double Predicted::*column) {
  Errors errors;
  std::map<std::string, std::vector<const Predicted*>> groups;
  for (const Predicted& row : rows) {
    errors.mean += std::abs(off(row, column));
    errors.bias += off(row, column);
    errors.worst = std::max(errors.worst, std::abs(off(row, column)));
    if (!row.of->group.empty()) groups[row.of->group].push_back(&row);
  }
  if (rows.empty()) return errors;
  errors.mean /= static_cast<double>(rows.size());
  errors.bias /= static_cast<double>(rows.size());
  GroupErrors sum;
  std::size_t choices = 0;
  for (const auto& [name, members] : groups) {
    if (members.size() < 2) continue;
    const GroupErrors own = in_group(members, column);
    sum.pairs += own.pairs;
    sum.right += own.right;
    sum.regret += own.regret;
    ++choices;
  }
  if (sum.pairs > 0) errors.order = static_cast<double>(sum.right) / static_cast<double>(sum.pairs);
  if (choices > 0) errors.regret = sum.regret / static_cast<double>(choices);
  return errors;
}

Result<Scoreboard> score(const std::vector<Case>& cases) {
  Predictions predictions;
  const Result<Fits> fits = fit_all(cases, predictions);
  if (!fits) return fits.errors();
  Scoreboard board;
  for (const auto& [key, factors] : *fits)
    board.fits.push_back({key.first, key.second, factors});
  std::vector<std::string> order;
  std::map<std::string, std::vector<Predicted>> by_source;
  for (const Case& one : cases) {
    const Result<double> committed = predictions.of(one, {});
    if (!committed) return committed.errors();
    Result<double> held_out = committed;
    if (!one.device.empty()) held_out = predictions.of(one, fits->at({one.device, one.hold_out}));
    if (!held_out) return held_out.errors();
    board.rows.push_back({&one, *committed, *held_out});
    if (!by_source.contains(one.source)) order.push_back(one.source);
    by_source[one.source].push_back(board.rows.back());
  }
  for (const std::string& source : order) {
    const std::vector<Predicted>& rows = by_source[source];
    const auto fitted = std::count_if(rows.begin(), rows.end(),
                                      [](const Predicted& row) { return row.of->is_fitted; });
    board.sources.push_back({source, rows.size(), static_cast<std::size_t>(fitted),
                             errors_of(rows, &Predicted::committed), 0, std::nullopt});
    const std::vector<Predicted> apart = without_own_fits(rows, *fits);
    board.sources.back().held_out_cases = apart.size();
    if (!apart.empty()) board.sources.back().held_out = errors_of(apart, &Predicted::held_out);
  }
  return board;
}

std::string print_sources(const Scoreboard& board) {
  std::string text =
      "| source | rows | fitted | mean % | max % | bias % | order % | regret % | held out: rows "
      "| mean % | max % | bias % | order % | regret % |\n"
      "|---|---|---|---|---|---|---|---|---|---|---|---|---|---|\n";
  for (const SourceScore& s : board.sources) {
    text +=
        fmt::format("| {} | {} | {} | {} | {} | {} |\n", s.source, s.cases, s.fitted,
                    columns_of(s.committed), board.has_others ? s.held_out_cases : 0,
                    board.has_others && s.held_out ? columns_of(*s.held_out) : "- | - | - | - | -");
  }
  return text;
}

std::string print_rows(const Scoreboard& board) {
  std::string text =
      "| source | row | fitted | by | measured | predicted | error % | held out | error % |\n"
      "|---|---|---|---|---|---|---|---|---|\n";
  for (const Predicted& row : board.rows) {
    const std::string held_out =
        board.has_others
            ? fmt::format("{:.5g} | {:+.1f}", row.held_out, 100 * off(row, &Predicted::held_out))
            : "- | -";
    text += fmt::format("| {} | {} | {} | {} | {:.5g} | {:.5g} | {:+.1f} | {} |\n", row.of->source,
                        row.of->name, row.of->is_fitted ? "yes" : "",
                        row.of->is_estimated ? "estimate" : "simulation", row.of->measured,
                        row.committed, 100 * off(row, &Predicted::committed), held_out);
  }
  return text;
}

std::string print_fits(const Scoreboard& board) {
  std::string text = "| device | without | factors |\n|---|---|---|\n";
  for (const Scoreboard::Fitted& one : board.fits) {
    std::string factors;
    for (const auto& [name, factor] : one.factors)
      factors += fmt::format("{}{} {:.3f}", factors.empty() ? "" : ", ", name, factor);
    text += fmt::format("| {} | {} | {} |\n", one.device, one.without, factors);
  }
  return text;
}

}  // namespace rehearse
