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
  if (names->kind != yaml::Kind::map)
    yaml::expected("a map of labels", *names, config.problems());
  else if (names->entries.empty())
    config.problems().add(names->where, "'id2label' is empty: there is no class");
  else
    return static_cast<std::int64_t>(names->entries.size());
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

void read(Config& config) {
  const auto [height, width] = read_image(config);
  config.set("image", {height, width, config.count("num_channels", 3)}, "image_size");
  const std::int64_t patch = config.set_count("patch", "patch_size", 16);
  config.expect_to_divide("image_size", height, "patch_size", patch);
  if (width != height) config.expect_to_divide("image_size", width, "patch_size", patch);
  config.set("classes", {count_classes(config)});
  const std::int64_t channels = config.set_count("width", "hidden_size", 768);
  config.set_count("layers", "num_hidden_layers", 12);
  config.expect_to_divide("hidden_size", channels, "num_attention_heads",
                          config.set_count("heads", "num_attention_heads", 12));
  config.set_count("hidden", "intermediate_size", 3072);
  const Activation activation = config.activation("hidden_act", Activation::gelu_erf);
  config.set("activation", {static_cast<std::int64_t>(activation)});
  config.set("qkv_bias", {config.yes_no("qkv_bias", true)});
  config.pass_over({"label2id", "encoder_stride", "pooler_act", "pooler_output_size"});
}

}  // namespace

Architecture vit() {
  return {"ViTForImageClassification", "vit", "vit", read};
}

}  // namespace rehearse::hugging_face
