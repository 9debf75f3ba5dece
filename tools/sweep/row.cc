#include "tools/sweep/row.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <iterator>
#include <map>
#include <nlohmann/json.hpp>

#include "model/base/text.h"
#include "tools/summary/subnetworks.h"

namespace rehearse::sweep {
namespace {

using Json = nlohmann::ordered_json;

// ---- figures -----------------------------------------------------------------------------------

Cell cell(const std::optional<double>& x) {
  return x ? Cell(*x) : Cell();
}
Cell cell(const std::optional<Bytes>& x) {
  return x ? Cell(x->bytes()) : Cell();
}
template <class Taken, class Unit>
std::optional<Unit> part(const std::optional<Taken>& taken, Unit Taken::*figure) {
  return taken ? std::optional((*taken).*figure) : std::nullopt;
}
std::optional<double> seconds(const std::optional<Seconds>& x) {
  return x ? std::optional(x->seconds()) : std::nullopt;
}

struct Figure {
  std::string name;
  Cell (*of)(const StrategySummary& summary);
  Cell (*of_estimate)(const StrategyEstimate& estimate) = nullptr;  // none: it does not say that
};

template <std::size_t N>
struct Name {
  constexpr Name(const char (&text)[N]) { std::copy_n(text, N, chars); }
  char chars[N];
};

template <Name name>
Figure pool() {
  return {fmt::format("pool_bytes.{}", name.chars), [](const StrategySummary& s) {
            for (const PoolSummary& pool : s.pools) {
              if (pool.name == name.chars) return Cell(pool.size.bytes());
            }
            return Cell();
          }};
}

const std::vector<Figure>& figures() {
  using S = const StrategySummary&;
  using E = const StrategyEstimate&;
  static const std::vector<Figure> all = {
      {"plan_hash", [](S s) { return Cell(s.plan_hash); }},
      {"devices", [](S s) { return Cell(std::ssize(s.ranks)); }},
      {"step_time_s", [](S s) { return Cell(s.step_time.seconds()); },
       [](E e) { return Cell(e.estimate.step_time); }},
      {"step_time_low_s", [](S s) { return cell(seconds(part(s.step_time_band, &TimeBand::low))); },
       [](E e) { return cell(seconds(part(e.step_time_band, &TimeBand::low))); }},
      {"step_time_high_s",
       [](S s) { return cell(seconds(part(s.step_time_band, &TimeBand::high))); },
       [](E e) { return cell(seconds(part(e.step_time_band, &TimeBand::high))); }},
      {"run_samples_per_s",
       [](S s) { return Cell(s.samples_per_s * (s.step_time / run_time_per_step(s))); },
       [](E e) { return Cell(e.samples_per_s / e.step_multiplier); }},
      {"samples_per_s", [](S s) { return Cell(s.samples_per_s); },
       [](E e) { return Cell(e.samples_per_s); }},
      {"tokens_per_s", [](S s) { return cell(s.tokens_per_s); },
       [](E e) { return cell(e.tokens_per_s); }},
      {"mfu", [](S s) { return cell(s.mfu); }, [](E e) { return cell(e.mfu); }},
      {"bubble_fraction", [](S s) { return Cell(s.bubble_fraction); },
       [](E e) { return Cell(e.estimate.bubble_fraction); }},
      {"compute_s", [](S s) { return Cell(s.compute.seconds()); },
       [](E e) { return Cell(e.estimate.compute); }},
      {"exposed_comm_s", [](S s) { return Cell(s.exposed_communication.seconds()); }},
      {"idle_s", [](S s) { return Cell(s.idle.seconds()); }},
      {"step_time_p50_s",
       [](S s) { return cell(seconds(part(s.step_times, &StepTimesSummary::p50))); }},
      {"step_time_p99_s",
       [](S s) { return cell(seconds(part(s.step_times, &StepTimesSummary::p99))); }},
      {"fits", [](S s) { return s.fits ? Cell(*s.fits) : Cell(); },
       [](E e) { return Cell(e.estimate.fits); }},
      {"peak_memory_bytes", [](S s) { return cell(part(s.memory, &MemorySummary::peak)); }},
      {"arena_bytes", [](S s) { return cell(part(s.memory, &MemorySummary::arena)); }},
      {"arena_live_bytes", [](S s) { return cell(part(s.memory, &MemorySummary::arena_live)); },
       [](E e) { return Cell(e.estimate.arena_live); }},
      // With the libraries' pools, without gaps of the arena.
      {"least_memory_bytes", [](S) { return Cell(); }, [](E e) { return Cell(e.estimate.memory); }},
      {"binds", [](S) { return Cell(); },
       [](E e) { return Cell(std::string(to_string(e.estimate.binding))); }},
      {"contention_at_most_s", [](S) { return Cell(); },
       [](E e) { return Cell(e.estimate.contention); }},
      {"is_marked", [](S) { return Cell(); }, [](E e) { return Cell(e.estimate.is_marked()); }},
      {"largest_state_bytes", [](S s) { return cell(part(s.largest, &LargestSummary::state)); }},
      {"largest_activation_bytes",
       [](S s) { return cell(part(s.largest, &LargestSummary::activations)); }},
      pool<"parameters">(),
      pool<"gradients">(),
      pool<"optimizer_state">(),
      pool<"activations">(),
      pool<"communication">(),
      pool<"workspace">(),
      pool<"communicators">(),
      pool<"carried">(),
      {"bytes_sent", [](S s) { return cell(most_sent(s)); }},
      {"bytes_sent_by_all", [](S s) { return cell(total_sent(s)); }},
  };
  return all;
}

// ---- cells -------------------------------------------------------------------------------------

// As JSON has it, in quotes.
void append_text(std::string& line, std::string_view text) {
  const auto is_plain = [](char c) { return c >= ' ' && c <= '~' && c != '"' && c != '\\'; };
  if (std::all_of(text.begin(), text.end(), is_plain)) {
    fmt::format_to(std::back_inserter(line), "\"{}\"", text);
  } else {
    line += Json(text).dump(-1, ' ', false, Json::error_handler_t::replace);
  }
}

// A number that is whole keeps its point, so that it is read as one again.
void append_number(std::string& line, double number) {
  const std::size_t begin = line.size();
  fmt::format_to(std::back_inserter(line), "{}", number);
  if (line.find_first_of(".e", begin) == std::string::npos) line += ".0";
}

void append_cell(std::string& line, const Cell& cell) {
  std::visit(
      [&](const auto& value) {
        using Value = std::decay_t<decltype(value)>;
        if constexpr (std::is_same_v<Value, std::monostate>)
          line += "null";
        else if constexpr (std::is_same_v<Value, std::string>)
          append_text(line, value);
        else if constexpr (std::is_same_v<Value, double>)
          append_number(line, value);
        else
          fmt::format_to(std::back_inserter(line), "{}", value);
      },
      cell);
}

// There is nothing to be said where there is no such figure, nor where it is no number.
bool is_there(const Cell& cell) {
  const auto* number = std::get_if<double>(&cell);
  return number == nullptr ? !std::holds_alternative<std::monostate>(cell) : std::isfinite(*number);
}

Cell cell_of(const Json& json) {
  if (json.is_boolean()) return json.get<bool>();
  if (json.is_number_integer()) return json.get<std::int64_t>();
  if (json.is_number()) return json.get<double>();
  if (json.is_string()) return json.get<std::string>();
  return {};
}

std::string quoted(const std::string& text) {
  if (text.find_first_of(",\"\r\n") == std::string::npos) return text;
  std::string result = "\"";
  for (const char c : text)
    result.append(c == '"' ? 2 : 1, c);
  return result + '"';
}

std::string text_of(const Cell& cell) {
  if (const auto* truth = std::get_if<bool>(&cell)) return *truth ? "true" : "false";
  if (const auto* count = std::get_if<std::int64_t>(&cell)) return fmt::format("{}", *count);
  if (const auto* number = std::get_if<double>(&cell)) return exact(*number);
  const auto* text = std::get_if<std::string>(&cell);
  return text == nullptr ? "" : quoted(*text);
}

std::string line_of(const std::vector<std::string>& cells) {
  return fmt::format("{}\n", fmt::join(cells, ","));
}

std::optional<std::size_t> place_of_figure(std::string_view name) {
  static const std::map<std::string_view, std::size_t> places = [] {
    std::map<std::string_view, std::size_t> all;
    for (std::size_t f = 0; f < figures().size(); ++f)
      all.emplace(figures()[f].name, f);
    return all;
  }();
  const auto found = places.find(name);
  return found == places.end() ? std::nullopt : std::optional(found->second);
}

constexpr RowStatus kStatuses[] = {RowStatus::played, RowStatus::does_not_fit, RowStatus::refused};

}  // namespace

std::string_view to_string(RowStatus status) {
  switch (status) {
    case RowStatus::played:
      return "played";
    case RowStatus::does_not_fit:
      return "does not fit";
    case RowStatus::refused:
      return "refused";
  }
  REHEARSE_UNREACHABLE("status");
}

Cell cell_of(const yaml::Value& value) {
  if (value.kind != yaml::Kind::scalar) return yaml::print_flow(value);
  if (value.quoted) return value.text;
  if (const auto count = parse_integer(value.text)) return *count;
  if (const auto number = parse_number(value.text)) return *number;
  if (value.text == "true" || value.text == "false") return value.text == "true";
  return value.text;
}

const std::vector<std::string>& figure_names() {
  static const std::vector<std::string> names = [] {
    std::vector<std::string> all;
    for (const Figure& figure : figures())
      all.push_back(figure.name);
    return all;
  }();
  return names;
}

std::vector<Cell> figures_of(const StrategySummary& summary) {
  std::vector<Cell> cells;
  for (const Figure& figure : figures())
    cells.push_back(figure.of(summary));
  return cells;
}

std::vector<Cell> figures_of(const StrategyEstimate& estimate, std::int64_t devices) {
  std::vector<Cell> cells;
  for (const Figure& figure : figures()) {
    if (figure.name == "devices")
      cells.emplace_back(devices);
    else
      cells.push_back(figure.of_estimate == nullptr ? Cell() : figure.of_estimate(estimate));
  }
  return cells;
}

Cell figure(const Row& row, std::string_view name) {
  const auto at = place_of_figure(name);
  return at && *at < row.figures.size() ? row.figures[*at] : Cell();
}

std::optional<double> number(const Cell& cell) {
  if (const auto* count = std::get_if<std::int64_t>(&cell)) return static_cast<double>(*count);
  const auto* real = std::get_if<double>(&cell);
  return real == nullptr ? std::nullopt : std::optional(*real);
}

std::string print_json_line(const Row& row) {
  std::string line;
  const auto add_key = [&](std::string_view key) {
    line += line.empty() ? '{' : ',';
    append_text(line, key);
    line += ':';
  };
  const auto add = [&](std::string_view key, std::string_view text) {
    add_key(key);
    append_text(line, text);
  };
  add("scenario", row.scenario);
  add("file", row.file);
  fmt::format_to(std::back_inserter(line), ",\"point\":{}", row.point);
  add("strategy", row.strategy);
  line += ",\"values\":{";
  for (const auto& [name, value] : row.values) {
    if (!line.ends_with('{')) line += ',';
    append_text(line, name);
    line += ':';
    append_cell(line, value);
  }
  line += '}';
  add("status", to_string(row.status));
  if (!row.reason.empty()) add("reason", row.reason);
  add("method", row.method);
  add("tool_version", row.tool_version);
  add("scenario_hash", row.scenario_hash);
  for (std::size_t f = 0; f < row.figures.size(); ++f) {
    if (!is_there(row.figures[f])) continue;
    add_key(figure_names()[f]);
    append_cell(line, row.figures[f]);
  }
  return line + "}\n";
}

Result<Row> parse_json_line(std::string_view line) try {
  const Json json = Json::parse(line);
  Row row;
  row.scenario = json.at("scenario").get<std::string>();
  row.file = json.at("file").get<std::string>();
  row.point = json.at("point").get<std::uint64_t>();
  row.strategy = json.at("strategy").get<std::string>();
  for (const auto& [name, value] : json.at("values").items())
    row.values.emplace_back(name, cell_of(value));
  const auto status = json.at("status").get<std::string>();
  const auto* known = std::find_if(std::begin(kStatuses), std::end(kStatuses),
                                   [&](RowStatus s) { return to_string(s) == status; });
  if (known == std::end(kStatuses)) return error(fmt::format("there is no status '{}'", status));
  row.status = *known;
  row.method = json.at("method").get<std::string>();
  row.tool_version = json.at("tool_version").get<std::string>();
  row.scenario_hash = json.at("scenario_hash").get<std::string>();
  if (row.status != RowStatus::refused) row.figures.resize(figure_names().size());
  for (const auto& [key, value] : json.items()) {
    if (key == "reason" && !value.is_null()) row.reason = value.get<std::string>();
    const auto at = place_of_figure(key);
    if (at && *at < row.figures.size()) row.figures[*at] = cell_of(value);
  }
  return row;
} catch (const Json::exception& problem) {
  return error(fmt::format("not a row of a sweep: {}", problem.what()));
}

std::string csv_heading(const std::vector<std::string>& swept) {
  std::vector<std::string> cells = {"scenario", "file", "point"};
  for (const std::string& name : swept)
    cells.push_back(quoted(name));
  for (const char* name :
       {"strategy", "status", "reason", "method", "tool_version", "scenario_hash"})
    cells.emplace_back(name);
  cells.insert(cells.end(), figure_names().begin(), figure_names().end());
  return line_of(cells);
}

std::string print_csv_line(const Row& row, const std::vector<std::string>& swept) {
  std::vector<std::string> cells = {quoted(row.scenario), quoted(row.file),
                                    fmt::format("{}", row.point)};
  for (const std::string& name : swept) {
    const auto value = std::find_if(row.values.begin(), row.values.end(),
                                    [&](const auto& own) { return own.first == name; });
    cells.push_back(value == row.values.end() ? "" : text_of(value->second));
  }
  for (const std::string& text : {row.strategy, std::string(to_string(row.status)), row.reason,
                                  row.method, row.tool_version, row.scenario_hash})
    cells.push_back(quoted(text));
  for (std::size_t f = 0; f < figure_names().size(); ++f)
    cells.push_back(f < row.figures.size() ? text_of(row.figures[f]) : "");
  return line_of(cells);
}

}  // namespace rehearse::sweep
