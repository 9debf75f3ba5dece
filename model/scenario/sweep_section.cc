#include <algorithm>
#include <map>

#include "model/base/text.h"
#include "model/scenario/sections.h"
#include "model/scenario/sweep_values.h"

namespace rehearse::yaml {
namespace {

std::string name_of(const Value& item) {
  for (const Entry& entry : item.entries) {
    if (entry.key == "name" && entry.value.kind == Kind::scalar) return entry.value.text;
  }
  return "";
}

// What a step down can be called: keys, or names and numbers of items.
std::vector<std::string> steps_from(const Value& value, bool is_root) {
  std::vector<std::string> names;
  for (const Entry& entry : value.entries)
    names.push_back(is_root && (entry.key == "sweep" || entry.key == "name") ? "" : entry.key);
  for (std::size_t i = 0; i < value.items.size(); ++i) {
    const std::string name = name_of(value.items[i]);
    names.push_back(name.empty() ? std::to_string(i) : name);
  }
  return names;
}

const Value& child(const Value& value, std::size_t step) {
  return value.kind == Kind::map ? value.entries[step].value : value.items[step];
}

// Walks down a path; what it cannot find it says.
class PathReader {
 public:
  PathReader(const Value& root, Problems& problems) : root_(root), problems_(problems) {}

  std::optional<SweptPath> find(const std::string& text, const SourceSpan& where) const {
    SweptPath path{text, {}, where};
    const Value* value = &root_;
    std::string_view rest = text;
    while (true) {
      const std::vector<std::string> names = steps_from(*value, value == &root_);
      const auto step = longest(names, rest);
      if (!step) return refuse(path, *value, names, rest);
      path.steps.push_back(*step);
      value = &child(*value, *step);
      rest.remove_prefix(names[*step].size());
      if (rest.empty()) break;
      rest.remove_prefix(1);
    }
    return check(path);
  }

 private:
  // Names of strategies may have dots in them.
  static std::optional<std::size_t> longest(const std::vector<std::string>& names,
                                            std::string_view rest) {
    std::optional<std::size_t> best;
    for (std::size_t n = 0; n < names.size(); ++n) {
      const std::string& name = names[n];
      const bool fits = !name.empty() && rest.starts_with(name) &&
                        (rest.size() == name.size() || rest[name.size()] == '.');
      if (fits && (!best || name.size() > names[*best].size())) best = n;
    }
    return best;
  }

  std::optional<SweptPath> refuse(const SweptPath& path, const Value& value,
                                  std::vector<std::string> names, std::string_view rest) const {
    std::string above = path.text.substr(0, path.text.size() - rest.size());
    if (above.ends_with('.')) above.pop_back();
    const std::string inside = above.empty() ? "the scenario" : fmt::format("'{}'", above);
    std::erase(names, "");
    if (names.empty()) {
      problems_.add(path.where, fmt::format("there is nothing below {}, which is {}", inside,
                                            describe(value.kind)));
      return std::nullopt;
    }
    const std::string_view word = rest.substr(0, rest.find('.'));
    const auto guess = nearest(word, names);
    std::vector<Note> notes;
    if (!guess)
      notes.push_back({std::nullopt,
                       "what is swept stands in the scenario: write out what is left "
                       "to its default"});
    problems_.add(path.where,
                  fmt::format("there is no '{}' in {}; {}", printable(word), inside,
                              guess ? fmt::format("did you mean '{}'?", *guess)
                                    : "it has " + join(names, ", ")),
                  std::move(notes));
    return std::nullopt;
  }

  std::optional<SweptPath> check(const SweptPath& path) const {
    if (root_.entries[path.steps[0]].key != "strategies") return path;
    if (path.steps.size() == 1) {
      problems_.add(path.where,
                    "strategies are swept one by one: strategies.NAME, or a key of one");
      return std::nullopt;
    }
    const Value& strategy = child(child(root_, path.steps[0]), path.steps[1]);
    if (path.steps.size() > 2 && strategy.kind == Kind::map &&
        strategy.entries[path.steps[2]].key == "name") {
      problems_.add(path.where, "rows are known by their strategy's name: it stays");
      return std::nullopt;
    }
    return path;
  }

  const Value& root_;
  Problems& problems_;
};

class SweepReader {
 public:
  SweepReader(const Value& root, Problems& problems)
      : root_(root), paths_(root, problems), problems_(problems) {}

  Sweep run(const Value& section, const SourceSpan& where) {
    if (section.kind != Kind::map) {
      problems_.add(section.kind == Kind::empty ? where : section.where,
                    fmt::format("'sweep' expects a map, got {}", describe(section.kind)));
      return {};
    }
    for (const Entry& entry : section.entries) {
      if (entry.key != "when") read_axis(entry);
    }
    check_apart();
    for (const Entry& entry : section.entries) {
      if (entry.key == "when") read_conditions(entry);
    }
    return std::move(sweep_);
  }

 private:
  void read_axis(const Entry& entry) {
    const Value& value = entry.value;
    const bool is_named = value.kind == Kind::map && !is_range(value);
    if (!is_named) return add_axis({read_column(entry.key, entry.key_where, value)});
    Map map(value, entry.key, entry.key_where, problems_);
    if (const Value* linked = map.find("linked")) {
      read_linked(*linked, map.where("linked"));
    } else if (map.find("paths") == nullptr && map.find("values") == nullptr) {
      problems_.add(value.where,
                    fmt::format("'{}' expects a list of values, a range such as {{from: 1, to: 8, "
                                "step: 1}}, 'paths' with 'values', or 'linked'",
                                printable(entry.key)));
      return;
    } else {
      read_named(entry, map);
    }
    map.finish();
  }

  using Column = std::optional<SweptColumn>;

  Column read_column(const std::string& path, const SourceSpan& where, const Value& value) {
    const auto found = paths_.find(path, where);
    auto values = read_swept_values(value, where, problems_);
    if (!found || !values) return std::nullopt;
    return SweptColumn{path, {*found}, *std::move(values)};
  }

  // Several places with one value.
  void read_named(const Entry& entry, Map& map) {
    SweptColumn column{entry.key, {}, {}};
    if (const Value* paths = map.need("paths")) {
      const std::vector<Value> one{*paths};
      for (const Value& item : paths->kind == Kind::list ? paths->items : one) {
        const auto text = read_text(item, problems_);
        const auto path = text ? paths_.find(*text, item.where) : std::nullopt;
        if (path) column.paths.push_back(*path);
      }
      if (paths->kind == Kind::list && paths->items.empty())
        problems_.add(paths->where, "an empty list sweeps nothing");
    }
    const Value* values = map.need("values");
    if (values == nullptr) return;
    auto read = read_swept_values(*values, map.where("values"), problems_);
    if (!read || column.paths.empty()) return;
    column.values = *std::move(read);
    add_axis({std::move(column)});
  }

  void read_linked(const Value& value, const SourceSpan& where) {
    if (value.kind != Kind::map || value.entries.empty()) {
      problems_.add(value.kind == Kind::empty ? where : value.where,
                    "'linked' expects a map of paths, each with as many values");
      return;
    }
    std::vector<Column> columns;
    for (const Entry& entry : value.entries) {
      columns.push_back(read_column(entry.key, entry.key_where, entry.value));
      const Column &first = columns.front(), &last = columns.back();
      if (!first || !last || first->values.size() == last->values.size()) continue;
      problems_.add(entry.key_where,
                    fmt::format("linked values move together: {} here, {} of '{}'",
                                last->values.size(), first->values.size(), first->name),
                    {{value.entries.front().key_where, "those are here"}});
      return;
    }
    add_axis(std::move(columns));
  }

  void add_axis(std::vector<Column> columns) {
    SweptAxis axis;
    for (Column& column : columns) {
      if (!column) return;
      axis.columns.push_back(*std::move(column));
    }
    sweep_.axes.push_back(std::move(axis));
  }

  // A value that is replaced as a whole has nothing inside it that could be.
  void check_apart() {
    std::map<std::vector<std::size_t>, const SweptPath*> known;
    for (const SweptColumn* column : sweep_.columns()) {
      for (const SweptPath& path : column->paths) {
        const auto [next, is_new] = known.try_emplace(path.steps, &path);
        const SweptPath* other = is_new ? nullptr : next->second;
        // In this order what is inside a path follows it, and what a path is inside of comes
        // before.
        if (is_new && next != known.begin() && is_inside(next->first, std::prev(next)->first))
          other = std::prev(next)->second;
        if (is_new && std::next(next) != known.end() &&
            is_inside(std::next(next)->first, path.steps))
          other = std::next(next)->second;
        if (other == nullptr) continue;
        problems_.add(path.where, fmt::format("'{}' is swept twice", path.text),
                      {{other->where, fmt::format("here, too, as '{}'", other->text)}});
      }
    }
  }

  static bool is_inside(const std::vector<std::size_t>& path,
                        const std::vector<std::size_t>& outer) {
    return path.size() >= outer.size() && std::equal(outer.begin(), outer.end(), path.begin());
  }

  // ---- conditions ----

  void read_conditions(const Entry& entry) {
    const std::vector<Value> one{entry.value};
    for (const Value& item : entry.value.kind == Kind::list ? entry.value.items : one) {
      const auto text = read_text(item, problems_);
      if (!text) continue;
      constexpr std::size_t kLongest = 1000;  // characters
      if (text->size() > kLongest) {
        problems_.add(item.where, fmt::format("a condition has at most {} characters", kLongest));
        continue;
      }
      SourceSpan where = item.where;
      if (item.quoted) ++where.column;
      Result<Expression> condition = Expression::parse(*text, where, names());
      if (condition) {
        sweep_.conditions.push_back(*std::move(condition));
      } else {
        problems_.add(condition.errors());
      }
    }
  }

  ExpressionNames names() {
    ExpressionNames names;
    for (const SweptColumn* column : sweep_.columns()) {
      names.suggestions.push_back(column->name);
      const auto dot = column->name.rfind('.');
      if (dot != std::string::npos) names.suggestions.push_back(column->name.substr(dot + 1));
    }
    names.find = [this](std::string_view name) { return find_name(name); };
    return names;
  }

  // A column, by its name or an end of it that no other has; or a value of the file.
  std::optional<std::size_t> find_name(std::string_view name) {
    const std::vector<const SweptColumn*> columns = sweep_.columns();
    std::vector<std::size_t> ends;
    for (std::size_t c = 0; c < columns.size(); ++c) {
      if (columns[c]->name == name) return c;
      if (columns[c]->name.ends_with("." + std::string(name))) ends.push_back(c);
    }
    if (ends.size() == 1) return ends.front();
    Problems silent;
    const auto path = PathReader(root_, silent).find(std::string(name), {});
    if (!path) return std::nullopt;
    const Value& value = value_at(root_, path->steps);
    if (value.kind != Kind::scalar) return std::nullopt;
    sweep_.constants.push_back(expression_value(value));
    return columns.size() + sweep_.constants.size() - 1;
  }

  const Value& root_;
  const PathReader paths_;
  Problems& problems_;
  Sweep sweep_;
};

}  // namespace

Sweep read_sweep(Map& scenario, const Value& root) {
  const Value* section = scenario.find("sweep");
  if (section == nullptr) return {};
  return SweepReader(root, scenario.problems()).run(*section, scenario.where("sweep"));
}

std::optional<Value> with_first_values(const Value& root, const SourceSpan& where) {
  Problems problems;
  Map file(root, section("scenario"), where, problems);
  const Sweep sweep = read_sweep(file, root);
  if (!problems.empty() || sweep.axes.empty()) return std::nullopt;
  Value first = root;
  for (const SweptColumn* column : sweep.columns()) {
    for (const SweptPath& path : column->paths)
      value_at(first, path.steps) = column->values.front();
  }
  return first;
}

}  // namespace rehearse::yaml

namespace rehearse {

std::vector<const SweptColumn*> Sweep::columns() const {
  std::vector<const SweptColumn*> all;
  for (const SweptAxis& axis : axes) {
    for (const SweptColumn& column : axis.columns)
      all.push_back(&column);
  }
  return all;
}

ExpressionValue expression_value(const yaml::Value& value) {
  if (value.kind != yaml::Kind::scalar) return yaml::print_flow(value);
  if (value.quoted) return value.text;
  if (const auto quantity = parse_quantity(value.text)) return *quantity;
  if (value.text == "true" || value.text == "false") return value.text == "true";
  return value.text;
}

const yaml::Value& value_at(const yaml::Value& root, const std::vector<std::size_t>& steps) {
  const yaml::Value* value = &root;
  for (const std::size_t step : steps)
    value = value->kind == yaml::Kind::map ? &value->entries[step].value : &value->items[step];
  return *value;
}

yaml::Value& value_at(yaml::Value& root, const std::vector<std::size_t>& steps) {
  return const_cast<yaml::Value&>(value_at(std::as_const(root), steps));
}

}  // namespace rehearse
