// A value of a JSON document that programs write, read as what it has to be.
#pragma once

#include <fmt/format.h>

#include <limits>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "model/base/units.h"

namespace rehearse {

using Json = nlohmann::ordered_json;

// Thrown by JsonNode, caught by parse_summary() only. One is enough: these files are written by
// programs, so the first thing that is wrong says that this is another kind of file or a damaged
// one.
struct WrongJson {
  std::string pointer, message;
};

// A value and where it stands, as a JSON pointer.
class JsonNode {
 public:
  JsonNode(const Json& json, std::string pointer) : json_(&json), pointer_(std::move(pointer)) {}

  // Whether there is an optional key.
  bool has(const std::string& key) const { return json_->is_object() && json_->contains(key); }
  JsonNode at(const std::string& key) const {
    if (!json_->is_object()) expected("an object");
    const auto found = json_->find(key);
    if (found == json_->end()) throw WrongJson{pointer_ + "/" + key, "is missing"};
    return {*found, pointer_ + "/" + key};
  }
  JsonNode at(std::size_t index) const {
    if (!json_->is_array() || index >= json_->size())
      expected(fmt::format("a list of more than {} items", index));
    return {(*json_)[index], fmt::format("{}/{}", pointer_, index)};
  }

  std::size_t size() const {
    if (!json_->is_array()) expected("a list");
    return json_->size();
  }
  std::string text() const {
    if (!json_->is_string()) expected("a text");
    return json_->get<std::string>();
  }
  std::int64_t count() const {
    if (!json_->is_number_integer() || json_->get<std::int64_t>() < 0)
      expected("a whole number from 0");
    return json_->get<std::int64_t>();
  }
  double number() const {
    if (!json_->is_number()) expected("a number");
    return json_->get<double>();
  }
  bool yes_or_no() const {
    if (!json_->is_boolean()) expected("true or false");
    return json_->get<bool>();
  }
  bool is_null() const { return json_->is_null(); }
  std::optional<double> maybe_number() const {
    return json_->is_null() ? std::nullopt : std::optional(number());
  }
  std::optional<bool> maybe() const {
    return json_->is_null() ? std::nullopt : std::optional(yes_or_no());
  }
  // JSON has no NaN: the loss of a run that diverged is null.
  double number_or_nan() const {
    return maybe_number().value_or(std::numeric_limits<double>::quiet_NaN());
  }
  Bytes bytes() const { return Bytes::bytes(count()); }
  Seconds seconds() const { return Seconds::seconds(number()); }

  // The enumerator with this name, among all of them.
  template <class Enum>
  Enum named(Enum last) const {
    const std::string name = text();
    for (int k = 0; k <= static_cast<int>(last); ++k) {
      if (to_string(static_cast<Enum>(k)) == name) return static_cast<Enum>(k);
    }
    throw WrongJson{pointer_, fmt::format("unknown name '{}'", name)};
  }

  template <class T>
  std::vector<T> list(T (*read)(const JsonNode&)) const {
    if (!json_->is_array()) expected("a list");
    std::vector<T> items;
    for (std::size_t i = 0; i < json_->size(); ++i)
      items.push_back(read(at(i)));
    return items;
  }
  // The pairs of an object, in the file's order.
  std::vector<std::pair<std::string, JsonNode>> pairs() const {
    if (!json_->is_object()) expected("an object");
    std::vector<std::pair<std::string, JsonNode>> result;
    for (const auto& [key, value] : json_->items())
      result.emplace_back(key, JsonNode(value, pointer_ + "/" + key));
    return result;
  }

  [[noreturn]] void expected(const std::string& what) const {
    constexpr std::size_t kQuoted = 40;
    std::string got = json_->dump();
    if (got.size() > kQuoted) got = got.substr(0, kQuoted) + "...";
    throw WrongJson{pointer_.empty() ? "/" : pointer_,
                    fmt::format("expected {}, got {}", what, got)};
  }

 private:
  const Json* json_;
  std::string pointer_;
};

}  // namespace rehearse
