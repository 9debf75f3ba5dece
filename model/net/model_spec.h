// A network as a scenario or a plan names it: a kind and its fields; and the table of kinds.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "model/base/diagnostic.h"
#include "model/net/net.h"

namespace rehearse {

// Shares, such as rates of dropout, are whole numbers of millionths.
inline constexpr std::int64_t kMillionths = 1'000'000;
constexpr double share_of(std::int64_t millionths) {
  return static_cast<double>(millionths) / kMillionths;
}

// {kind: resnet20, image: 28x28x1, classes: 10}. Every value is a list of integers: a count has
// one, a shape several, a yes/no field 0 or 1, a share its millionths, a loss or an activation its
// enumerator. After resolve(), every field of the kind is there.
struct ModelSpec {
  std::string kind;
  std::map<std::string, std::vector<std::int64_t>> fields;
  std::int64_t at(const std::string& field) const { return fields.at(field).at(0); }
  bool is(const std::string& field) const { return at(field) != 0; }
  double share(const std::string& field) const { return share_of(at(field)); }
  friend bool operator==(const ModelSpec&, const ModelSpec&) = default;
};

enum class FieldKind {
  count,
  count_or_none,
  image,
  yes_no,
  counts,
  share,
  loss,
  activation,
  kernels,
};

// What a classifier's logits are compared with its labels by (model/net/layer.h).
enum class Loss { cross_entropy, squared_error };
const std::vector<Loss>& losses();
std::string_view to_string(Loss loss);  // "cross-entropy", "squared-error"

// What stands between the two linear layers of a feed-forward part; the three forms of GELU are
// those of GeluForm.
enum class Activation { gelu_tanh, gelu_erf, gelu_sigmoid, relu };
const std::vector<Activation>& activations();
std::string_view to_string(Activation activation);  // "gelu-tanh", ..., "relu"

struct ModelField {
  std::string_view name;
  FieldKind kind;
  std::vector<std::int64_t> preset;  // empty: the user must give it
  std::string_view help;
  std::int64_t most = 1 << 20;  // of each number, so that sizes and products stay countable
  // Plans leave the field out where it has its preset: plans made before it was there are the same
  // plans.
  bool is_tacit = false;
};
// Errors: the value is not of the field's kind, or too large.
Status check_field(const ModelField& field, const std::vector<std::int64_t>& value);

struct ModelBuilder {
  std::string_view kind;
  std::string_view help;
  std::vector<ModelField> fields;
  // Errors say which fields do not go together; they have no place (the reader adds it).
  Result<Net> (*build)(const ModelSpec& resolved);
};

// All kinds, sorted by name.
const std::vector<ModelBuilder>& model_builders();
const ModelBuilder* find_model_builder(std::string_view kind);

// The spec with every field that is not given filled in from the table; errors name the field.
Result<ModelSpec> resolve(const ModelSpec& spec);
// resolve() and build.
Result<Net> build_net(const ModelSpec& spec);

// "28x28x1", "true", "10", "0.1": as scenario files and plans write it; and back.
std::string print_field(FieldKind kind, const std::vector<std::int64_t>& value);
std::optional<std::vector<std::int64_t>> parse_field(FieldKind kind, std::string_view text);
// "a count", "an image such as 28x28x1": for error messages.
std::string_view describe(FieldKind kind);

}  // namespace rehearse
