#include "model/scenario/hugging_face/config.h"

#include <algorithm>
#include <cmath>

#include "model/base/text.h"

namespace rehearse::hugging_face {
namespace {

constexpr yaml::Range kSizes{1, 1 << 20};  // as fields of models

bool is_null(const yaml::Value& value) {
  return value.kind == yaml::Kind::empty;
}

struct ActivationName {
  std::string_view name;
  Activation activation;
};

constexpr ActivationName kActivations[] = {
    {"gelu", Activation::gelu_erf},
    {"gelu_fast", Activation::gelu_tanh},
    {"gelu_new", Activation::gelu_tanh},
    {"gelu_python", Activation::gelu_erf},
    {"gelu_pytorch_tanh", Activation::gelu_tanh},
    {"quick_gelu", Activation::gelu_sigmoid},
    {"relu", Activation::relu},
};

}  // namespace

const yaml::Value* Config::find(std::string_view key) {
  const yaml::Value* value = map_.find(key);
  (value == nullptr ? missing_ : known_).emplace_back(key);
  return value;
}

void Config::set(const std::string& field, std::vector<std::int64_t> value, std::string_view key) {
  const auto row = std::find_if(kind_.fields.begin(), kind_.fields.end(),
                                [&](const ModelField& it) { return it.name == field; });
  REHEARSE_CHECK(row != kind_.fields.end(), "there is no field {} of {}", field, kind_.kind);
  const std::int64_t largest = *std::max_element(value.begin(), value.end());
  if (!key.empty() && largest > row->most)
    refuse(key, fmt::format("'{}' is at most {}, got {}", key, row->most, largest));
  fields_.insert_or_assign(field, std::move(value));
}

std::int64_t Config::set_count(const std::string& field, std::string_view key,
                               std::int64_t preset) {
  set(field, {count(key, preset)}, key);
  return at(field);
}

void Config::set_window(std::optional<std::int64_t> tokens, std::string_view key) {
  if (!tokens) return;
  window_ = {*tokens, map_.where(key)};
  set("sequence", {std::min(at("sequence"), *tokens)});
}

std::int64_t Config::count(std::string_view key, std::int64_t preset) {
  const yaml::Value* value = find(key);
  if (value == nullptr) return preset;
  return yaml::read_count(*value, map_.problems(), kSizes).value_or(preset);
}

std::optional<std::int64_t> Config::count_or_null(std::string_view key,
                                                  std::optional<std::int64_t> preset) {
  const yaml::Value* value = find(key);
  if (value == nullptr) return preset;
  if (is_null(*value)) return std::nullopt;
  return yaml::read_count(*value, map_.problems(), kSizes);
}

bool Config::yes_no(std::string_view key, bool preset) {
  const yaml::Value* value = find(key);
  if (value == nullptr) return preset;
  if (is_null(*value)) return false;  // as Python takes it
  return yaml::read_yes_no(*value, map_.problems()).value_or(preset);
}

double Config::number(std::string_view key, double preset) {
  const yaml::Value* value = find(key);
  if (value == nullptr) return preset;
  return yaml::read_number(*value, map_.problems(), {}).value_or(preset);
}

Activation Config::activation(std::string_view key, Activation preset) {
  const yaml::Value* value = find(key);
  if (value == nullptr) return preset;
  const auto text = yaml::read_text(*value, map_.problems());
  if (!text) return preset;
  std::vector<std::string> names;
  for (const auto& [name, activation] : kActivations) {
    if (name == *text) return activation;
    names.emplace_back(name);
  }
  map_.problems().add(value->where, fmt::format("activation '{}' is not supported; there are {}",
                                                yaml::printable(*text), join(names, ", ")));
  return preset;
}

void Config::expect(std::string_view key, bool wanted, std::string_view otherwise) {
  if (yes_no(key, wanted) != wanted)
    refuse(key, fmt::format("'{}: {}' is not supported: {}", key, !wanted, otherwise));
}

void Config::refuse(std::string_view key, std::string message) {
  const yaml::Value* value = find(key);
  map_.problems().add(value != nullptr && !is_null(*value) ? value->where : map_.where(key),
                      std::move(message));
}

std::string_view Config::first_of(std::initializer_list<std::string_view> keys) {
  const auto there =
      std::find_if(keys.begin(), keys.end(), [&](auto key) { return map_.find(key) != nullptr; });
  return there == keys.end() ? *keys.begin() : *there;
}

void Config::expect_to_divide(std::string_view whole, std::int64_t count, std::string_view into,
                              std::int64_t parts) {
  if (count % parts != 0)
    refuse(first_of({into, whole}),
           fmt::format("'{}' of {} does not divide into '{}' of {}", whole, count, into, parts));
}

void Config::expect_pairs(std::int64_t channels, std::initializer_list<std::string_view> keys) {
  if (channels % 2 != 0)
    refuse(first_of(keys),
           fmt::format("channels are rotated in pairs, not {} of a head", channels));
}

void Config::pass_over(std::initializer_list<std::string_view> keys) {
  known_.insert(known_.end(), keys.begin(), keys.end());
}

void Config::note_misspelt(const yaml::Value& root) {
  for (const yaml::Entry& entry : root.entries) {
    if (std::find(known_.begin(), known_.end(), entry.key) != known_.end()) continue;
    if (const auto guess = nearest(entry.key, missing_))
      map_.problems().add(entry.key_where, fmt::format("unknown key '{}'; did you mean '{}'?",
                                                       yaml::printable(entry.key), *guess));
  }
}

// Fields of models are whole numbers, and so are the bases that there are.
std::optional<std::int64_t> Config::base_of(const yaml::Value& value) {
  const auto number = yaml::read_number(value, map_.problems(), {1});
  if (!number) return std::nullopt;
  constexpr double kMost = 1e12;
  if (*number == std::floor(*number) && *number <= kMost) return static_cast<std::int64_t>(*number);
  yaml::expected("a whole number up to 1e12", value, map_.problems());
  return std::nullopt;
}

void Config::rope_parameters(std::string_view key, Rotary& rotary) {
  const yaml::Value* value = find(key);
  if (value == nullptr || is_null(*value)) return;
  yaml::Map rope(*value, std::string(key), map_.where(key), map_.problems());
  for (const std::string_view type : {"rope_type", "type"}) {
    const yaml::Value* kind = rope.find(type);
    if (kind == nullptr || kind->text == "default" || scaling_ == RopeScaling::left_out) continue;
    map_.problems().add(
        kind->where,
        fmt::format(
            "positions that are scaled ('{}') are not supported: left out by "
            "'rope_scaling: none' beside 'hf_config', or '--rope-scaling none' of 'rehearse "
            "model', it is a network of the same shapes, parameters and FLOPs",
            yaml::printable(kind->text)));
  }
  if (const yaml::Value* theta = rope.find("rope_theta"))
    rotary.base = base_of(*theta).value_or(rotary.base);
  if (const yaml::Value* share = rope.find("partial_rotary_factor"))
    rotary.share = yaml::read_number(*share, map_.problems(), {}).value_or(rotary.share);
}

Config::Rotary Config::rotary(std::string_view base_key, std::string_view share_key, double share) {
  constexpr std::int64_t kBase = 10'000;
  Rotary rotary{kBase, number(share_key, share)};
  // Null where rope_parameters say it.
  const yaml::Value* base = find(base_key);
  const bool is_elsewhere = base != nullptr && is_null(*base) && find("rope_parameters") != nullptr;
  if (base != nullptr && !is_elsewhere) rotary.base = base_of(*base).value_or(kBase);
  rope_parameters("rope_scaling", rotary);
  rope_parameters("rope_parameters", rotary);
  return rotary;
}

}  // namespace rehearse::hugging_face
