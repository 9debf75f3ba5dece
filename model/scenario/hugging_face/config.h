// The keys of a config.json, with what HuggingFace takes where one is missing.
#pragma once

#include <initializer_list>
#include <map>
#include <optional>
#include <string_view>

#include "model/scenario/import_config.h"
#include "model/scenario/reader.h"

namespace rehearse::hugging_face {

class Config {
 public:
  // Of a model of this kind.
  Config(yaml::Map& map, const ModelBuilder& kind, RopeScaling scaling)
      : map_(map), kind_(kind), scaling_(scaling) {}

  // ---- fields of the model ---------------------------------------------------------------------

  // key: where the value is from, and refused if the field is not so large.
  void set(const std::string& field, std::vector<std::int64_t> value, std::string_view key = "");
  // As the key has it; returned, too.
  std::int64_t set_count(const std::string& field, std::string_view key, std::int64_t preset);
  std::int64_t at(const std::string& field) const { return fields_.at(field).at(0); }
  // Sequences beyond the window, if there is one, are refused: they are as long as it is at most.
  void set_window(std::optional<std::int64_t> tokens, std::string_view key);
  ImportedModel take() { return {{std::string(kind_.kind), std::move(fields_)}, window_}; }

  // ---- keys ------------------------------------------------------------------------------------

  // The preset stands for a missing key, and for one that is wrong, which is noted.
  std::int64_t count(std::string_view key, std::int64_t preset);
  // A key that may be null: none.
  std::optional<std::int64_t> count_or_null(std::string_view key,
                                            std::optional<std::int64_t> preset);
  bool yes_no(std::string_view key, bool preset);
  double number(std::string_view key, double preset);
  // By HuggingFace's names: "gelu_new", "relu", ...
  Activation activation(std::string_view key, Activation preset);

  // A problem unless the key has this value, which is its preset unless said otherwise.
  void expect(std::string_view key, bool wanted, std::string_view otherwise);
  void refuse(std::string_view key, std::string message);
  // What one key counts goes into as many parts as another says; a problem where that stands.
  void expect_to_divide(std::string_view whole, std::int64_t count, std::string_view into,
                        std::int64_t parts);
  // Channels are rotated in pairs. keys: those that say how many; the first there is the place.
  void expect_pairs(std::int64_t channels, std::initializer_list<std::string_view> keys);
  // Keys that say nothing about the network, so that they count for no misspelt ones.
  void pass_over(std::initializer_list<std::string_view> keys);
  // Notes keys that look like one that was asked for and is missing; any other is fine.
  void note_misspelt(const yaml::Value& root);

  // Of positions that are rotated: rope_theta, also in rope_parameters.
  struct Rotary {
    std::int64_t base;
    double share;  // of a head's channels
  };
  Rotary rotary(std::string_view base_key, std::string_view share_key, double share);

  // For keys of other forms.
  const yaml::Value* value_of(std::string_view key) { return find(key); }
  yaml::Problems& problems() { return map_.problems(); }

 private:
  // Null if it is missing.
  const yaml::Value* find(std::string_view key);
  void rope_parameters(std::string_view key, Rotary& rotary);
  std::optional<std::int64_t> base_of(const yaml::Value& value);
  // Where the first of the keys that is there stands.
  std::string_view first_of(std::initializer_list<std::string_view> keys);

  yaml::Map& map_;
  const ModelBuilder& kind_;
  RopeScaling scaling_;
  std::map<std::string, std::vector<std::int64_t>> fields_;
  std::optional<ImportedModel::Window> window_;
  std::vector<std::string> missing_, known_;
};

// One row: an architecture, the kind of model that it is, and what its config says of it.
struct Architecture {
  std::string_view name, model_type, kind;
  void (*read)(Config& config);
};

Architecture gpt2();
Architecture gpt_neox();
Architecture llama();
Architecture mistral();
Architecture opt();
Architecture qwen2();
Architecture vit();

}  // namespace rehearse::hugging_face
