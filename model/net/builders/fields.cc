#include <fmt/format.h>

#include "model/base/check.h"
#include "model/net/builders/builders.h"

namespace rehearse::builders {

ModelField tacit(ModelField field) {
  field.is_tacit = true;
  return field;
}

ModelField dropout_field() {
  return tacit({"dropout", FieldKind::share, {0}, "share of elements that dropout zeroes"});
}

ModelField kernels_field() {
  return tacit({"kernels", FieldKind::kernels, {0}, "whose kernels run it: own, or megatron"});
}

ModelField activation_field(Activation preset) {
  return tacit({"activation",
                FieldKind::activation,
                {static_cast<std::int64_t>(preset)},
                "of the feed-forward part"});
}

ModelField hidden_field() {
  return tacit({"hidden",
                FieldKind::count_or_none,
                {0},
                "width of the feed-forward part; 0: four times the width"});
}

std::int64_t hidden_width(const ModelSpec& resolved) {
  const std::int64_t hidden = resolved.at("hidden");
  return hidden == 0 ? 4 * resolved.at("width") : hidden;
}

ModelField rotary_base_field() {
  constexpr std::int64_t kMost = 1'000'000'000'000;  // no size: nothing is multiplied by it
  return tacit(
      {"rotary_base", FieldKind::count, {10'000}, "of the geometric series of turns", kMost});
}

Status check_rotary(std::int64_t rotated, std::int64_t head_size) {
  if (rotated > head_size)
    return error(fmt::format("{} channels of a head of {} are rotated", rotated, head_size));
  if (rotated % 2 == 0) return success();
  return error(fmt::format("channels are rotated in pairs, not {} of a head", rotated));
}

LayerSpec activation_layer(Activation activation) {
  switch (activation) {
    case Activation::gelu_tanh:
      return Gelu{GeluForm::tanh};
    case Activation::gelu_erf:
      return Gelu{GeluForm::erf};
    case Activation::gelu_sigmoid:
      return Gelu{GeluForm::sigmoid};
    case Activation::relu:
      return Relu{};
  }
  REHEARSE_UNREACHABLE("activation");
}

ModelField loss_field() {
  return tacit({"loss", FieldKind::loss, {0}, "cross-entropy, or squared-error"});
}

LayerSpec loss_layer(const ModelSpec& resolved, std::int64_t classes) {
  switch (static_cast<Loss>(resolved.at("loss"))) {
    case Loss::cross_entropy:
      return CrossEntropy{classes};
    case Loss::squared_error:
      return SquaredError{classes};
  }
  REHEARSE_UNREACHABLE("loss");
}

}  // namespace rehearse::builders
