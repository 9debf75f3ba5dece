// What a scenario file may say, in one table: every key with its type, bounds, default, meaning and
// an example. Readers (reader.h) take bounds and names from here and can ask for no key that is not
// here; `rehearse help` prints it, and editors have it as a JSON Schema (tools/keys).
#pragma once

#include <cstdint>
#include <limits>
#include <string>
#include <string_view>
#include <vector>

namespace rehearse::yaml {

// Of whole numbers; the end is there so that products of a few of them fit 64 bits.
struct Range {
  std::int64_t least = 1, most = 1'000'000'000;
};

// Of numbers.
struct Bounds {
  double least = 0, most = std::numeric_limits<double>::infinity();
  bool is_above_least = false, is_below_most = false;  // whether the end itself is left out

  bool has(double number) const;
};
inline constexpr double kNoLeast = std::numeric_limits<double>::lowest();
// "a number from 0 to 1", "a number above 0".
std::string describe(const Bounds& bounds);

enum class Form : std::uint8_t {
  text,
  name,  // of letters, digits, '-', '_' and '.'
  yes_no,
  count,
  number,
  bytes,  // these with their unit: '256 KiB', '5 us', '400 Gb/s', '312 TFLOP/s'
  seconds,
  bandwidth,
  flop_rate,
  one_of,   // one of some names
  written,  // a text of a form of its own: '28x28x1'
  map,
  list,
  either,  // one of several types
};

struct Type {
  Form form = Form::text;
  Range range = {};                     // of a count
  Bounds bounds = {};                   // of a number
  std::vector<std::string> names = {};  // one_of
  std::string_view what = {};           // one_of, written: in the singular, for people
  std::string_view pattern = {};        // written: regular expression of the whole text
  std::string_view section = {};        // of a map
  std::vector<Type> of = {};            // of a list's items (one), or the types of an either
  std::size_t fewest = 0, most = std::numeric_limits<std::size_t>::max();  // items of a list
};
// For people: "a whole number from 1 to 1000, or auto".
std::string describe(const Type& type);

Type basic(Form form);
Type count(Range range = {});
Type number(Bounds bounds = {});
Type one_of(std::string_view what, std::vector<std::string> names);
Type word(std::string_view text);  // a one_of of a single name
Type written(std::string_view what, std::string_view pattern);
Type map_of(std::string_view section);
Type list_of(Type item, std::size_t fewest = 0,
             std::size_t most = std::numeric_limits<std::size_t>::max());
Type either(std::vector<Type> types);
// [[64 KiB, 0.3], ...]: shares of a link's bandwidth by the size of the message.
Type efficiency_type();

// Values of another key of the same map that a key goes with.
struct Only {
  std::string_view key = {};
  std::vector<std::string> values = {};
  bool applies_always() const { return key.empty(); }
};

struct Key {
  std::string_view name;
  Type type;
  std::string
      preset;  // what a file that leaves it out might have said; empty: nothing in particular
  std::string_view meaning;
  std::string example;  // as a file has it
  bool is_needed = false;
  Only only = {};
};

Key needed(std::string_view name, Type type, std::string_view meaning, std::string example);
Key optional(std::string_view name, Type type, std::string preset, std::string_view meaning,
             std::string example);

// What a map of the file may hold. A name may stand in several rows, for different `only`.
struct Section {
  std::string_view name, meaning;
  std::vector<Key> keys;
  // Beside the keys that are needed: one of these sets of keys, and none of the others.
  std::vector<std::vector<std::string_view>> choices = {};
  bool is_open = false;  // other keys are names of the user's: `sweep`
};

// All, the whole file (`scenario`) first, each before those inside it.
const std::vector<Section>& sections();
// There is one of that name.
const Section& section(std::string_view name);
// The first row of a key, or null.
const Key* find_key(const Section& section, std::string_view name);

// By subject, in the order of sections().
std::vector<Section> whole_file_sections();
std::vector<Section> training_sections();
std::vector<Section> cluster_sections();
std::vector<Section> network_sections();
std::vector<Section> strategy_sections();

}  // namespace rehearse::yaml
