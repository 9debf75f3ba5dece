// Typed reading of YAML maps: whatever is wrong is noted with its place, and reading goes on.
#pragma once

#include <cstdint>
#include <functional>
#include <initializer_list>
#include <iterator>
#include <optional>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <vector>

#include "model/base/diagnostic.h"
#include "model/base/units.h"
#include "model/scenario/keys/keys.h"
#include "model/scenario/yaml.h"

namespace rehearse::yaml {

// Errors found so far.
class Problems {
 public:
  void add(const SourceSpan& where, std::string message, std::vector<Note> notes = {}) {
    list_.push_back({where, std::move(message), std::move(notes)});
  }
  void add(Diagnostics errors) { list_.insert(list_.end(), errors.begin(), errors.end()); }
  bool empty() const { return list_.empty(); }
  std::size_t size() const { return list_.size(); }
  // Sorted by file and place, at most 20.
  Diagnostics take();

 private:
  Diagnostics list_;
};

// What becomes of keys that nobody asked for. A profile may carry notes and what other tools
// measured, but not a known key misspelt: that would be a rate of zero which nobody meant.
enum class Unused { refused, fine_unless_misspelt };

// One map. Keys are read by name; at the end finish() reports those that nobody asked for.
class Map {
 public:
  // name: what the map is, for messages: "cluster". A value that is no map is a problem, and reads
  // as if every key were missing, silently.
  Map(const Value& value, std::string name, SourceSpan where, Problems& problems);
  // A map of a scenario: no key that its section does not have can be asked for. name: the
  // section's, unless another is given.
  Map(const Value& value, const Section& section, SourceSpan where, Problems& problems,
      std::string name = "");

  // The value, or null; `need` reports what is missing.
  const Value* find(std::string_view key);
  const Value* need(std::string_view key);
  // Where the key stands; where the map does, if it is not there.
  SourceSpan where(std::string_view key) const;
  const SourceSpan& where() const { return where_; }
  // What the section says of a key; only of a map that has one.
  const Key& row(std::string_view key) const;
  // find() or need(), as the section says.
  const Value* take(std::string_view key);
  const std::string& name() const { return name_; }
  Problems& problems() { return problems_; }

  void finish(Unused unused = Unused::refused);

 private:
  const Entry* entry(std::string_view key) const;
  const Value* map_ = nullptr;
  const Section* section_ = nullptr;
  std::string name_;
  SourceSpan where_;
  Problems& problems_;
  std::vector<std::string> asked_;
  bool broken_ = false;
};

// ---- scalars: empty, with a problem noted, if the text is not such a value ---------------------

std::optional<std::string> read_text(const Value& value, Problems& problems);
// One printable word.
std::optional<std::string> read_name(const Value& value, Problems& problems);
// Whole numbers and numbers are decimal: '010' is neither 8 nor 10 but an error.
std::optional<std::int64_t> read_count(const Value& value, Problems& problems, Range range);
std::optional<double> read_number(const Value& value, Problems& problems, Bounds bounds);
std::optional<bool> read_yes_no(const Value& value, Problems& problems);
// Quantities have a unit, are finite and not below 0; rates are above 0, since they divide.
std::optional<Bytes> read_bytes(const Value& value, Problems& problems);
std::optional<Seconds> read_seconds(const Value& value, Problems& problems);
std::optional<BytesPerSecond> read_bandwidth(const Value& value, Problems& problems);
std::optional<FlopsPerSecond> read_flop_rate(const Value& value, Problems& problems);
// "expected <what>, got ..."
void expected(std::string_view what, const Value& value, Problems& problems);
// "there is no <what> 'x'; did you mean ...?" with all names.
void unknown_name(std::string_view what, const Value& value, const std::vector<std::string>& names,
                  Problems& problems);

// ---- keys --------------------------------------------------------------------------------------

// Reads a key into `into` if it is there and right.
template <class T, class Read, class... Rest>
void read(Map& map, std::string_view key, T& into, Read read_value, Rest... rest) {
  const Value* value = map.find(key);
  if (value == nullptr) return;
  if (auto result = read_value(*value, map.problems(), rest...)) into = std::move(*result);
}
// The same for a key that has to be there.
template <class T, class Read, class... Rest>
void read_needed(Map& map, std::string_view key, T& into, Read read_value, Rest... rest) {
  const Value* value = map.need(key);
  if (value == nullptr) return;
  if (auto result = read_value(*value, map.problems(), rest...)) into = std::move(*result);
}

// One of some enumerators, by name.
template <class List, class Enum = std::decay_t<decltype(*std::begin(std::declval<List&>()))>>
std::optional<Enum> read_enum(const Value& value, std::string_view what, const List& all,
                              Problems& problems) {
  const auto text = read_text(value, problems);
  if (!text) return std::nullopt;
  std::vector<std::string> names;
  for (const Enum one : all) {
    if (to_string(one) == *text) return one;
    names.emplace_back(to_string(one));
  }
  unknown_name(what, value, names, problems);
  return std::nullopt;
}

template <class Enum>
std::optional<Enum> read_enum(const Value& value, std::string_view what,
                              std::initializer_list<Enum> all, Problems& problems) {
  return read_enum(value, what, std::vector<Enum>(all), problems);
}

// ---- keys of a section: type, bounds, and whether they are needed as their row has them
// ---------- Each reads into `into` if the key is there and right.

void read(Map& map, std::string_view key, std::string& into);
void read(Map& map, std::string_view key, bool& into);
void read(Map& map, std::string_view key, std::int64_t& into);
void read(Map& map, std::string_view key, std::uint64_t& into);
void read(Map& map, std::string_view key, double& into);
void read(Map& map, std::string_view key, Bytes& into);
void read(Map& map, std::string_view key, Seconds& into);
void read(Map& map, std::string_view key, BytesPerSecond& into);
void read(Map& map, std::string_view key, FlopsPerSecond& into);
template <class T>
void read(Map& map, std::string_view key, std::optional<T>& into) {
  const std::size_t before = map.problems().size();
  T value{};
  read(map, key, value);
  if (map.find(key) != nullptr && map.problems().size() == before) into = std::move(value);
}

// One of some enumerators, which are the row's names.
template <class Enum, class List>
void read_one_of(Map& map, std::string_view key, Enum& into, const List& all) {
  const Value* value = map.take(key);
  const auto one = value == nullptr
                       ? std::nullopt
                       : read_enum(*value, map.row(key).type.what, all, map.problems());
  if (one) into = *one;
}

}  // namespace rehearse::yaml
