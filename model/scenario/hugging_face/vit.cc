// ViTForImageClassification.
//
// | key                 | missing    | becomes                                    |
// |---------------------|------------|--------------------------------------------|
// | image_size          | 224        | image; a number, or [height, width]        |
// | num_channels        | 3          | image                                      |
// | patch_size          | 16         | patch                                      |
// | hidden_size         | 768        | width                                      |
// | num_hidden_layers   | 12         | layers                                     |
// | num_attention_heads | 12         | heads                                      |
// | intermediate_size   | 3072       | hidden                                     |
// | hidden_act          | gelu       | activation                                 |
// | qkv_bias            | true       | qkv_bias                                   |
// | id2label            | num_labels | classes: as many as it has                 |
// | num_labels          | 2          | classes                                    |
#include "model/scenario/hugging_face/config.h"

namespace rehearse::hugging_face {
namespace {

std::int64_t count_classes(Config& config) {
  constexpr std::int64_t kLabels = 2;
  const std::int64_t labels = config.count("num_labels", kLabels);
  const yaml::Value* names = config.value_of("id2label");
  if (names == nullptr || names->kind == yaml::Kind::empty) return labels;
  if (names->kind == yaml::Kind::map && !names->entries.empty())
    return static_cast<std::int64_t>(names->entries.size());
  yaml::expected("a map of labels", *names, config.problems());
  return labels;
}

// Height and width.
std::pair<std::int64_t, std::int64_t> read_image(Config& config) {
  constexpr std::int64_t kSize = 224;
  const yaml::Value* value = config.value_of("image_size");
  const bool is_pair =
      value != nullptr && value->kind == yaml::Kind::list && value->items.size() == 2;
  if (!is_pair) {
    const std::int64_t size = config.count("image_size", kSize);
    return {size, size};
  }
  const auto side = [&](const yaml::Value& item) {
    return yaml::read_count(item, config.problems(), yaml::Range{}).value_or(kSize);
  };
  return {side(value->items[0]), side(value->items[1])};
}

ImportedModel read(Config& config) {
  const auto [height, width] = read_image(config);
  const Activation activation = config.activation("hidden_act", Activation::gelu_erf);
  Fields fields{{"image", {height, width, config.count("num_channels", 3)}},
                {"patch", {config.count("patch_size", 16)}},
                {"classes", {count_classes(config)}},
                {"width", {config.count("hidden_size", 768)}},
                {"layers", {config.count("num_hidden_layers", 12)}},
                {"heads", {config.count("num_attention_heads", 12)}},
                {"hidden", {config.count("intermediate_size", 3072)}},
                {"activation", {static_cast<std::int64_t>(activation)}},
                {"qkv_bias", {config.yes_no("qkv_bias", true)}}};
  config.pass_over({"label2id", "encoder_stride", "pooler_act", "pooler_output_size"});
  return {{"vit", std::move(fields)}, std::nullopt};
}

}  // namespace

Architecture vit() {
  return {"ViTForImageClassification", "vit", read};
}

}  // namespace rehearse::hugging_face
