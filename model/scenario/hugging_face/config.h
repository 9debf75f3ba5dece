// The keys of a config.json, with what HuggingFace takes where one is missing.
#pragma once

#include <initializer_list>
#include <optional>
#include <string_view>

#include "model/scenario/import_config.h"
#include "model/scenario/reader.h"

namespace rehearse::hugging_face {

class Config {
 public:
  explicit Config(yaml::Map& map) : map_(map) {}

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
  // Keys that say nothing about the network, so that they count for no misspelt ones.
  void pass_over(std::initializer_list<std::string_view> keys);
  // Notes keys that look like one that was asked for and is missing; any other is fine.
  void note_misspelt(const yaml::Value& root);

  // Of positions that are rotated: rope_theta, also in rope_parameters; what scales them is
  // refused.
  struct Rotary {
    std::int64_t base;
    double share;  // of a head's channels
  };
  Rotary rotary(std::string_view base_key, std::string_view share_key, double share);

  // For keys of other forms.
  const yaml::Value* value_of(std::string_view key) { return find(key); }
  yaml::Problems& problems() { return map_.problems(); }
  SourceSpan where(std::string_view key) const { return map_.where(key); }

 private:
  // Null if it is missing.
  const yaml::Value* find(std::string_view key);
  void rope_parameters(std::string_view key, Rotary& rotary);
  std::optional<std::int64_t> base_of(const yaml::Value& value);
  yaml::Map& map_;
  std::vector<std::string> missing_, known_;
};

using Fields = std::map<std::string, std::vector<std::int64_t>>;

// One row: an architecture and what its config says. `spec` of the result need not be resolved.
struct Architecture {
  std::string_view name, model_type;
  ImportedModel (*read)(Config& config);
};

Architecture gpt2();
Architecture gpt_neox();
Architecture llama();
Architecture mistral();
Architecture opt();
Architecture qwen2();
Architecture vit();

}  // namespace rehearse::hugging_face
