#include "model/scenario/import_config.h"

#include <algorithm>
#include <array>
#include <cctype>

#include "model/base/text.h"
#include "model/scenario/hugging_face/config.h"
#include "model/scenario/json.h"
#include "model/scenario/scenario.h"

namespace rehearse {
namespace {

using hugging_face::Architecture;
using hugging_face::Config;

// Sorted by name.
const std::array<Architecture, 7>& architectures() {
  static const std::array<Architecture, 7> table = {
      hugging_face::gpt2(),    hugging_face::gpt_neox(), hugging_face::llama(),
      hugging_face::mistral(), hugging_face::opt(),      hugging_face::qwen2(),
      hugging_face::vit(),
  };
  return table;
}

const Architecture* find(std::string_view name, std::string_view Architecture::*column) {
  const auto& table = architectures();
  const auto row = std::find_if(table.begin(), table.end(),
                                [&](const Architecture& it) { return it.*column == name; });
  return row == table.end() ? nullptr : &*row;
}

constexpr std::string_view kNoExperts =
    "this is a mixture of experts, of which no model here has any";

bool names_experts(std::string_view name) {
  return name.find("Moe") != std::string_view::npos || name.find("MoE") != std::string_view::npos ||
         name.find("Mixtral") != std::string_view::npos ||
         name.find("mixtral") != std::string_view::npos || name.ends_with("_moe");
}

// One expert is none, and so is a key that is null.
bool has_experts(const yaml::Value& value) {
  if (value.kind == yaml::Kind::empty) return false;
  const auto count = value.quoted ? std::nullopt : parse_integer(value.text);
  return !count || *count > 1;
}

// Whether the weights are of a kind that there are no layers for.
bool refuses_weights(yaml::Map& map) {
  const std::size_t before = map.problems().size();
  for (const std::string_view key : {"num_local_experts", "num_experts", "n_routed_experts"}) {
    const yaml::Value* value = map.find(key);
    if (value != nullptr && has_experts(*value))
      map.problems().add(map.where(key), std::string(kNoExperts));
  }
  if (const yaml::Value* quantised = map.find("quantization_config");
      quantised != nullptr && quantised->kind != yaml::Kind::empty)
    map.problems().add(map.where("quantization_config"),
                       "quantised weights are not trained: import the config of the model that "
                       "they were made of");
  return map.problems().size() > before;
}

// The family that an architecture's name begins with, however it is spelt: "LLaMAForCausalLM" and
// "LlamaForTokenClassification" are of "llama". One letter more is another family.
std::string family_of(std::string_view name) {
  std::string family;
  for (const char c : name.substr(0, std::min(name.find("For"), name.find("LMHead")))) {
    if (std::isalnum(static_cast<unsigned char>(c)) != 0)
      family += static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
  }
  return family;
}

// By a name in one of the table's columns; what is not there is noted.
const Architecture* architecture_named(const yaml::Value& value, std::string_view what,
                                       std::string_view Architecture::*column,
                                       yaml::Problems& problems) {
  const auto name = yaml::read_text(value, problems);
  if (!name) return nullptr;
  if (const Architecture* row = find(*name, column)) return row;
  if (names_experts(*name)) return problems.add(value.where, std::string(kNoExperts)), nullptr;
  std::vector<std::string> names;
  std::string guess;
  for (const Architecture& row : architectures()) {
    names.emplace_back(row.*column);
    if (family_of(*name) == family_of(row.*column))
      guess = fmt::format(": did you mean '{}'?", row.*column);
  }
  problems.add(value.where, fmt::format("{} '{}' is not supported{}; there are {}", what,
                                        yaml::printable(*name), guess, join(names, ", ")));
  return nullptr;
}

// Named by 'architectures', and by no other 'model_type'.
const Architecture* architecture_of_both(const yaml::Value& name, const yaml::Value* type,
                                         yaml::Problems& problems) {
  const Architecture* row = architecture_named(name, "architecture", &Architecture::name, problems);
  const bool is_other = row != nullptr && type != nullptr && type->kind != yaml::Kind::empty &&
                        type->text != row->model_type;
  if (!is_other) return row;
  problems.add(type->where, fmt::format("{} is of model type '{}', not '{}'", row->name,
                                        row->model_type, yaml::printable(type->text)));
  return nullptr;
}

const Architecture* architecture_of(yaml::Map& map) {
  const yaml::Value* list = map.find("architectures");
  const yaml::Value* type = map.find("model_type");
  const bool is_list = list != nullptr && list->kind == yaml::Kind::list;
  if (is_list && list->items.size() == 1)
    return architecture_of_both(list->items.front(), type, map.problems());
  if (is_list && list->items.size() > 1) {
    map.problems().add(
        list->items[1].where,
        "a network has one architecture, and this is a second: leave the one that is "
        "trained");
    return nullptr;
  }
  if (list != nullptr && !is_list && list->kind != yaml::Kind::empty)
    return yaml::expected("a list of architectures", *list, map.problems()), nullptr;
  if (type != nullptr)
    return architecture_named(*type, "model type", &Architecture::model_type, map.problems());
  map.problems().add(map.where(),
                     fmt::format("'{}' needs the key 'architectures' or 'model_type'", map.name()));
  return nullptr;
}

// What every config has that says nothing about the network.
void pass_over_common(Config& config) {
  config.pass_over({"architectures", "model_type", "_name_or_path", "bos_token_id", "eos_token_id",
                    "pad_token_id", "torch_dtype", "dtype", "use_cache", "transformers_version",
                    "initializer_range", "init_std", "rms_norm_eps", "layer_norm_eps",
                    "layer_norm_epsilon", "is_decoder"});
  config.pass_over({"dropout", "attention_dropout", "activation_dropout", "hidden_dropout",
                    "classifier_dropout", "hidden_dropout_prob", "attention_probs_dropout_prob",
                    "resid_pdrop", "embd_pdrop", "attn_pdrop", "layerdrop"});
}

}  // namespace

Result<ImportedModel> parse_config(const std::string& text, const std::string& path,
                                   RopeScaling scaling) {
  const auto source = std::make_shared<SourceText>(path, text);
  Result<yaml::Document> document = yaml::parse_json(source);
  if (!document) return document.errors();
  yaml::Problems problems;
  problems.add(std::move(document->duplicates));
  yaml::Map map(document->root, "config", {source, 1, 1, 0}, problems);
  if (!problems.empty() || refuses_weights(map)) return problems.take();
  const Architecture* architecture = architecture_of(map);
  if (architecture == nullptr) return problems.take();
  const ModelBuilder* kind = find_model_builder(architecture->kind);
  REHEARSE_CHECK(kind != nullptr, "there is no model kind {}", architecture->kind);
  Config config(map, *kind, scaling);
  architecture->read(config);
  pass_over_common(config);
  config.note_misspelt(document->root);
  if (!problems.empty()) return problems.take();
  ImportedModel model = config.take();
  Result<ModelSpec> resolved = resolve(model.spec);
  if (!resolved) return error_at({source, 1, 1, 0}, resolved.errors().front().message);
  model.spec = *std::move(resolved);
  const Result<Net> net = build_net(model.spec);
  if (!net) return error_at({source, 1, 1, 0}, net.errors().front().message);
  return model;
}

Result<ImportedModel> import_config(const std::string& path, RopeScaling scaling) {
  const Result<std::string> text = read_text_file(path);
  if (!text) return text.errors();
  return parse_config(*text, path, scaling);
}

Status check_window(const ImportedModel& imported, const ModelSpec& spec) {
  if (!imported.window || spec.at("sequence") <= imported.window->tokens) return success();
  return error(fmt::format("attention that sees {} tokens of a sequence of {} is not supported: "
                           "'sequence' is at most {}",
                           imported.window->tokens, spec.at("sequence"), imported.window->tokens),
               {{imported.window->where, "the window is here"}});
}

std::vector<std::string> supported_architectures() {
  std::vector<std::string> names;
  for (const Architecture& row : architectures())
    names.emplace_back(row.name);
  return names;
}

}  // namespace rehearse
