#include "model/scenario/reader.h"

#include <algorithm>
#include <cctype>
#include <limits>
#include <tuple>

#include "model/base/check.h"
#include "model/base/text.h"

namespace rehearse::yaml {
namespace {

constexpr std::size_t kMostErrors = 20;

Note units_note() {
  return {std::nullopt, "units are required in every quantity; see README, \"Scenario files\""};
}

std::string got(const Value& value) {
  if (value.kind != Kind::scalar) return std::string(describe(value.kind));
  return fmt::format("{}'{}'", value.quoted ? "the quoted text " : "", printable(value.text));
}

const Value* scalar(const Value& value, std::string_view what, Problems& problems) {
  if (value.kind == Kind::scalar) return &value;
  expected(what, value, problems);
  return nullptr;
}

// YAML 1.1 reads 010 as 8, people as 10.
bool has_leading_zero(std::string_view text) {
  if (text.starts_with('-')) text.remove_prefix(1);
  return text.size() > 1 && text[0] == '0' &&
         std::isdigit(static_cast<unsigned char>(text[1])) != 0;
}

// Whether a text that is no integer of 64 bits is a larger one.
bool is_beyond_64_bits(std::string_view text) {
  constexpr std::size_t kDigits = std::numeric_limits<std::int64_t>::digits10;
  return text.size() > kDigits && text.front() != '0' &&
         text.find_first_not_of("0123456789") == std::string_view::npos;
}

template <class T>
std::optional<T> quantity(const Value& value, std::optional<T> (*parse)(std::string_view),
                          std::string_view what, Problems& problems) {
  if (scalar(value, what, problems) == nullptr) return std::nullopt;
  const auto parsed = has_leading_zero(value.text) ? std::nullopt : parse(value.text);
  const bool finite = parsed && *parsed - *parsed == T{};  // infinity less itself is not a number
  if (finite && *parsed >= T{}) return parsed;
  const bool bare = parse_number(value.text).has_value();
  problems.add(value.where,
               finite ? fmt::format("'{}' is below 0", printable(value.text))
                      : fmt::format("expected {}, got {}", what, got(value)),
               bare ? std::vector<Note>{units_note()} : std::vector<Note>{});
  return std::nullopt;
}

template <class T>
std::optional<T> rate(const Value& value, std::optional<T> (*parse)(std::string_view),
                      std::string_view what, Problems& problems) {
  const auto parsed = quantity(value, parse, what, problems);
  if (!parsed || *parsed > T{}) return parsed;
  problems.add(value.where, fmt::format("a rate is above 0, got '{}'", value.text));
  return std::nullopt;
}

}  // namespace

Diagnostics Problems::take() {
  std::stable_sort(list_.begin(), list_.end(), [](const Diagnostic& a, const Diagnostic& b) {
    const auto place = [](const Diagnostic& d) {
      return d.where ? std::tuple<std::string_view, int, int>(d.where->source->name(),
                                                              d.where->line, d.where->column)
                     : std::tuple<std::string_view, int, int>();
    };
    return place(a) < place(b);
  });
  if (list_.size() > kMostErrors) list_.resize(kMostErrors);
  return std::move(list_);
}

Map::Map(const Value& value, std::string name, SourceSpan where, Problems& problems)
    : name_(std::move(name)), where_(std::move(where)), problems_(problems) {
  if (value.kind == Kind::map) {
    map_ = &value;
    return;
  }
  broken_ = true;
  problems_.add(value.kind == Kind::empty ? where_ : value.where,
                fmt::format("'{}' expects a map, got {}", name_, describe(value.kind)));
}

Map::Map(const Value& value, const Section& section, SourceSpan where, Problems& problems,
         std::string name)
    : Map(value, name.empty() ? std::string(section.name) : std::move(name), std::move(where),
          problems) {
  section_ = &section;
}

const Key& Map::row(std::string_view key) const {
  REHEARSE_CHECK(section_ != nullptr, "'{}' has a section", name_);
  const Key* row = find_key(*section_, key);
  REHEARSE_CHECK(row != nullptr, "section '{}' has the key '{}'", section_->name, key);
  return *row;
}

const Entry* Map::entry(std::string_view key) const {
  if (map_ == nullptr) return nullptr;
  const auto found = std::find_if(map_->entries.begin(), map_->entries.end(),
                                  [&](const Entry& e) { return e.key == key; });
  return found == map_->entries.end() ? nullptr : &*found;
}

const Value* Map::take(std::string_view key) {
  return row(key).is_needed ? need(key) : find(key);
}

const Value* Map::find(std::string_view key) {
  if (section_ != nullptr && !section_->is_open) row(key);
  asked_.emplace_back(key);
  const Entry* found = entry(key);
  return found == nullptr ? nullptr : &found->value;
}

const Value* Map::need(std::string_view key) {
  const Value* value = find(key);
  if (value == nullptr && !broken_)
    problems_.add(where_, fmt::format("'{}' needs the key '{}'", name_, key));
  return value;
}

SourceSpan Map::where(std::string_view key) const {
  const Entry* found = entry(key);
  return found == nullptr ? where_ : found->key_where;
}

void Map::finish(Unused unused) {
  if (map_ == nullptr) return;
  std::sort(asked_.begin(), asked_.end());
  asked_.erase(std::unique(asked_.begin(), asked_.end()), asked_.end());
  for (const Entry& e : map_->entries) {
    if (std::binary_search(asked_.begin(), asked_.end(), e.key)) continue;
    const auto guess = nearest(e.key, asked_);
    if (unused == Unused::fine_unless_misspelt && !guess) continue;
    problems_.add(e.key_where, fmt::format("unknown key '{}' in '{}'; {}", printable(e.key), name_,
                                           guess ? fmt::format("did you mean '{}'?", *guess)
                                                 : "it takes " + join(asked_, ", ")));
  }
}

void expected(std::string_view what, const Value& value, Problems& problems) {
  problems.add(value.where, fmt::format("expected {}, got {}", what, got(value)));
}

void unknown_name(std::string_view what, const Value& value, const std::vector<std::string>& names,
                  Problems& problems) {
  const auto guess = nearest(value.text, names);
  problems.add(value.where, fmt::format("there is no {} '{}'; {}", what, printable(value.text),
                                        guess ? fmt::format("did you mean '{}'?", *guess)
                                              : "there are " + join(names, ", ")));
}

std::optional<std::string> read_text(const Value& value, Problems& problems) {
  if (scalar(value, "a text", problems) == nullptr) return std::nullopt;
  if (!value.text.empty()) return value.text;
  expected("a text", value, problems);
  return std::nullopt;
}

std::optional<std::string> read_name(const Value& value, Problems& problems) {
  const auto text = read_text(value, problems);
  if (!text) return std::nullopt;
  const bool word = std::all_of(text->begin(), text->end(), [](char c) {
    return std::isalnum(static_cast<unsigned char>(c)) != 0 || c == '-' || c == '_' || c == '.';
  });
  if (word) return text;
  expected("a name of letters, digits, '-', '_' and '.'", value, problems);
  return std::nullopt;
}

std::optional<std::int64_t> read_count(const Value& value, Problems& problems, Range range) {
  const std::string what = fmt::format("a whole number of at least {}", range.least);
  if (scalar(value, what, problems) == nullptr) return std::nullopt;
  const auto number = value.quoted ? std::nullopt : parse_integer(value.text);
  if (number && *number >= range.least && *number <= range.most) return number;
  const bool is_above =
      number ? *number > range.most : !value.quoted && is_beyond_64_bits(value.text);
  expected(is_above ? fmt::format("a whole number of at most {}", range.most) : what, value,
           problems);
  return std::nullopt;
}

std::optional<double> read_number(const Value& value, Problems& problems, Bounds bounds) {
  const std::string what = describe(bounds);
  if (scalar(value, what, problems) == nullptr) return std::nullopt;
  const auto number =
      value.quoted || has_leading_zero(value.text) ? std::nullopt : parse_number(value.text);
  if (number && bounds.has(*number)) return number;
  expected(what, value, problems);
  return std::nullopt;
}

std::optional<bool> read_yes_no(const Value& value, Problems& problems) {
  if (scalar(value, "true or false", problems) == nullptr) return std::nullopt;
  if (!value.quoted && value.text == "true") return true;
  if (!value.quoted && value.text == "false") return false;
  expected("true or false", value, problems);
  return std::nullopt;
}

std::optional<Bytes> read_bytes(const Value& value, Problems& problems) {
  return quantity(value, parse_bytes, "an amount of bytes such as '256 KiB'", problems);
}

std::optional<Seconds> read_seconds(const Value& value, Problems& problems) {
  return quantity(value, parse_seconds, "a time such as '5 us'", problems);
}

std::optional<BytesPerSecond> read_bandwidth(const Value& value, Problems& problems) {
  return rate(value, parse_bandwidth, "a bandwidth such as '400 Gb/s' or '50 GB/s'", problems);
}

std::optional<FlopsPerSecond> read_flop_rate(const Value& value, Problems& problems) {
  return rate(value, parse_flop_rate, "a rate such as '312 TFLOP/s'", problems);
}

namespace {

// The key's value, whose row has to say that it is of the form that is read.
const Value* take(Map& map, std::string_view key, Form form) {
  const Form said = map.row(key).type.form;
  REHEARSE_CHECK(said == form, "'{}' in '{}' is of form {}, but is read as {}", key, map.name(),
                 static_cast<int>(said), static_cast<int>(form));
  return map.take(key);
}

template <class T, class Read>
void read_form(Map& map, std::string_view key, Form form, T& into, Read read_value) {
  const Value* value = take(map, key, form);
  if (value == nullptr) return;
  if (auto result = read_value(*value, map.problems())) into = std::move(*result);
}

}  // namespace

void read(Map& map, std::string_view key, std::string& into) {
  const bool is_name = map.row(key).type.form == Form::name;
  read_form(map, key, is_name ? Form::name : Form::text, into, is_name ? read_name : read_text);
}

void read(Map& map, std::string_view key, bool& into) {
  read_form(map, key, Form::yes_no, into, read_yes_no);
}

void read(Map& map, std::string_view key, std::int64_t& into) {
  const Value* value = take(map, key, Form::count);
  if (value == nullptr) return;
  if (const auto number = read_count(*value, map.problems(), map.row(key).type.range))
    into = *number;
}

void read(Map& map, std::string_view key, std::uint64_t& into) {
  auto number = static_cast<std::int64_t>(into);
  read(map, key, number);
  into = static_cast<std::uint64_t>(number);
}

void read(Map& map, std::string_view key, double& into) {
  const Value* value = take(map, key, Form::number);
  if (value == nullptr) return;
  if (const auto number = read_number(*value, map.problems(), map.row(key).type.bounds))
    into = *number;
}

void read(Map& map, std::string_view key, Bytes& into) {
  read_form(map, key, Form::bytes, into, read_bytes);
}

void read(Map& map, std::string_view key, Seconds& into) {
  read_form(map, key, Form::seconds, into, read_seconds);
}

void read(Map& map, std::string_view key, BytesPerSecond& into) {
  read_form(map, key, Form::bandwidth, into, read_bandwidth);
}
void read(Map& map, std::string_view key, FlopsPerSecond& into) {
  read_form(map, key, Form::flop_rate, into, read_flop_rate);
}

}  // namespace rehearse::yaml
