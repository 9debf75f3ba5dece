#include "model/net/model_spec.h"

#include <algorithm>
#include <cmath>

#include "model/base/text.h"
#include "model/net/builders/builders.h"

namespace rehearse {
namespace {

bool holds_kind(FieldKind kind, const std::vector<std::int64_t>& value) {
  const bool positive = std::all_of(value.begin(), value.end(), [](auto n) { return n >= 1; });
  switch (kind) {
    case FieldKind::count:
      return value.size() == 1 && positive;
    case FieldKind::count_or_none:
      return value.size() == 1 && value[0] >= 0;
    case FieldKind::image:
      return value.size() == 3 && positive;
    case FieldKind::yes_no:
      return value.size() == 1 && (value[0] == 0 || value[0] == 1);
    case FieldKind::counts:
      return !value.empty() && positive;
    case FieldKind::share:
      return value.size() == 1 && 0 <= value[0] && value[0] < kMillionths;
    case FieldKind::loss:
      return value.size() == 1 && 0 <= value[0] && value[0] < std::ssize(losses());
    case FieldKind::activation:
      return value.size() == 1 && 0 <= value[0] && value[0] < std::ssize(activations());
    case FieldKind::kernels:
      return value.size() == 1 && 0 <= value[0] && value[0] < std::ssize(kernels_there_are());
  }
  REHEARSE_UNREACHABLE("field kind");
}

// Nothing that is no whole number of millionths: rounded, it would not be what was written.
std::optional<std::vector<std::int64_t>> parse_share(std::string_view text) {
  const auto number = parse_number(text);
  if (!number || *number < 0 || *number >= 1) return std::nullopt;
  const std::int64_t millionths = std::llround(*number * kMillionths);
  if (share_of(millionths) != *number) return std::nullopt;
  return std::vector<std::int64_t>{millionths};
}

template <class Enum>
std::optional<std::vector<std::int64_t>> parse_name(std::string_view text,
                                                    const std::vector<Enum>& all) {
  for (const Enum one : all) {
    if (text == to_string(one)) return std::vector{static_cast<std::int64_t>(one)};
  }
  return std::nullopt;
}

}  // namespace

const std::vector<Loss>& losses() {
  static const std::vector<Loss> all = {Loss::cross_entropy, Loss::squared_error};
  return all;
}

std::string_view to_string(Loss loss) {
  switch (loss) {
    case Loss::cross_entropy:
      return "cross-entropy";
    case Loss::squared_error:
      return "squared-error";
  }
  REHEARSE_UNREACHABLE("loss");
}

const std::vector<Activation>& activations() {
  static const std::vector<Activation> all = {Activation::gelu_tanh, Activation::gelu_erf,
                                              Activation::gelu_sigmoid, Activation::relu};
  return all;
}

std::string_view to_string(Activation activation) {
  switch (activation) {
    case Activation::gelu_tanh:
      return "gelu-tanh";
    case Activation::gelu_erf:
      return "gelu";
    case Activation::gelu_sigmoid:
      return "quick-gelu";
    case Activation::relu:
      return "relu";
  }
  REHEARSE_UNREACHABLE("activation");
}

const std::vector<ModelBuilder>& model_builders() {
  static const std::vector<ModelBuilder> table = {
      builders::gpt(),      builders::llama(),    builders::mlp(), builders::resnet18(),
      builders::resnet20(), builders::resnet50(), builders::vit(),
  };
  return table;
}

const ModelBuilder* find_model_builder(std::string_view kind) {
  const auto& table = model_builders();
  const auto row = std::find_if(table.begin(), table.end(),
                                [&](const ModelBuilder& builder) { return builder.kind == kind; });
  return row == table.end() ? nullptr : &*row;
}

Status check_field(const ModelField& field, const std::vector<std::int64_t>& value) {
  if (!holds_kind(field.kind, value)) {
    return error(fmt::format("field '{}' expects {}", field.name, describe(field.kind)));
  }
  const std::int64_t largest = *std::max_element(value.begin(), value.end());
  if (largest <= field.most) return success();
  return error(fmt::format("field '{}' is at most {}, got {}", field.name, field.most, largest));
}

Result<ModelSpec> resolve(const ModelSpec& spec) {
  const ModelBuilder* builder = find_model_builder(spec.kind);
  if (builder == nullptr) return error(fmt::format("there is no model kind '{}'", spec.kind));
  ModelSpec resolved{spec.kind, {}};
  for (const ModelField& field : builder->fields) {
    const auto given = spec.fields.find(std::string(field.name));
    const bool missing = given == spec.fields.end();
    if (missing && field.preset.empty()) {
      return error(
          fmt::format("model kind '{}' needs '{}': {}", spec.kind, field.name, field.help));
    }
    const auto& value = missing ? field.preset : given->second;
    const Status good = check_field(field, value);
    if (!good) return good.errors();
    resolved.fields.emplace(field.name, value);
  }
  for (const auto& [name, value] : spec.fields) {
    if (resolved.fields.count(name) == 0) {
      return error(fmt::format("model kind '{}' has no field '{}'", spec.kind, name));
    }
  }
  return resolved;
}

Result<Net> build_net(const ModelSpec& spec) {
  const Result<ModelSpec> resolved = resolve(spec);
  if (!resolved) return resolved.errors();
  return find_model_builder(spec.kind)->build(*resolved);
}

std::string print_field(FieldKind kind, const std::vector<std::int64_t>& value) {
  if (kind == FieldKind::yes_no) return value.at(0) != 0 ? "true" : "false";
  if (kind == FieldKind::share) return exact(share_of(value.at(0)));
  if (kind == FieldKind::loss)
    return std::string(to_string(losses().at(static_cast<std::size_t>(value.at(0)))));
  if (kind == FieldKind::activation)
    return std::string(to_string(activations().at(static_cast<std::size_t>(value.at(0)))));
  if (kind == FieldKind::kernels)
    return std::string(to_string(kernels_there_are().at(static_cast<std::size_t>(value.at(0)))));
  return to_string(Shape{value});
}

std::optional<std::vector<std::int64_t>> parse_field(FieldKind kind, std::string_view text) {
  std::vector<std::int64_t> value;
  if (kind == FieldKind::yes_no) {
    if (text != "true" && text != "false") return std::nullopt;
    return std::vector<std::int64_t>{text == "true" ? 1 : 0};
  }
  if (kind == FieldKind::share) return parse_share(text);
  if (kind == FieldKind::loss) return parse_name(text, losses());
  if (kind == FieldKind::activation) return parse_name(text, activations());
  if (kind == FieldKind::kernels) return parse_name(text, kernels_there_are());
  for (const std::string_view part : split(text, 'x')) {
    const auto number = parse_integer(part);
    if (!number) return std::nullopt;
    value.push_back(*number);
  }
  if (!holds_kind(kind, value)) return std::nullopt;
  return value;
}

std::string_view describe(FieldKind kind) {
  switch (kind) {
    case FieldKind::count:
      return "a count of at least 1";
    case FieldKind::count_or_none:
      return "a count, or 0";
    case FieldKind::image:
      return "an image as height x width x channels, such as 28x28x1";
    case FieldKind::yes_no:
      return "true or false";
    case FieldKind::counts:
      return "counts such as [256, 128] or 256x128";
    case FieldKind::share:
      return "a share such as 0.1: at least 0, below 1, no more than six decimals";
    case FieldKind::loss:
      return "cross-entropy or squared-error";
    case FieldKind::activation:
      return "gelu-tanh, gelu, quick-gelu or relu";
    case FieldKind::kernels:
      return "own or megatron";
  }
  REHEARSE_UNREACHABLE("field kind");
}

}  // namespace rehearse
