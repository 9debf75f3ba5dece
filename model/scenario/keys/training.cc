// Keys of the network and of its training.
#include <algorithm>

#include "model/net/model_spec.h"
#include "model/scenario/keys/keys.h"
#include "model/scenario/names.h"

namespace rehearse::yaml {
namespace {

// ---- model: a row for each field of each kind, from the table of kinds --------------------------

Type type_of(const ModelField& field) {
  const Range range{1, field.most};
  switch (field.kind) {
    case FieldKind::count:
      return count(range);
    case FieldKind::count_or_none:
      return count({0, field.most});
    case FieldKind::image:
      return written(describe(field.kind), "[0-9]+x[0-9]+x[0-9]+");
    case FieldKind::yes_no:
      return basic(Form::yes_no);
    case FieldKind::counts:
      return either({written(describe(field.kind), "[0-9]+(x[0-9]+)*"), count(range),
                     list_of(count(range), 1)});
    case FieldKind::share:
      return number({0, 1, false, true});
    case FieldKind::loss:
      return one_of("loss", names_of(losses()));
    case FieldKind::activation:
      return one_of("activation", names_of(activations()));
    case FieldKind::kernels:
      return one_of("kernels", names_of(kernels_there_are()));
  }
  return {};
}

Key key_of(const ModelField& field, const ModelBuilder& kind) {
  const bool is_needed = field.preset.empty();
  const std::string preset = is_needed ? "" : print_field(field.kind, field.preset);
  Key key{field.name, type_of(field), preset, field.help, preset, is_needed};
  if (is_needed) key.example = field.kind == FieldKind::image ? "32x32x3" : "10";
  key.only = {"kind", {std::string(kind.kind)}};
  return key;
}

Section model() {
  std::vector<std::string> kinds;
  for (const ModelBuilder& kind : model_builders())
    kinds.emplace_back(kind.kind);
  Section section{
      "model",
      "The network: of a kind, or as a HuggingFace config.json describes it; in that case any key "
      "of "
      "the kind replaces what the config says.",
      {optional("kind", one_of("model kind", kinds), "", "the family of networks", "gpt"),
       optional("hf_config", basic(Form::text), "",
                "path of a config.json, relative to the scenario", "models/llama-3-8b.json"),
       optional("rope_scaling", one_of("scaling of positions", {"none"}), "",
                "none: what of it the config has is left out", "none")},
      {{"kind"}, {"hf_config"}},
  };
  for (const ModelBuilder& kind : model_builders()) {
    for (const ModelField& field : kind.fields)
      section.keys.push_back(key_of(field, kind));
  }
  return section;
}

// ---- training ----------------------------------------------------------------------------------

Section training() {
  return {
      "training",
      "What is trained on, and how: the same for every strategy.",
      {
          needed("data", basic(Form::name),
                 "fashion-mnist, cifar-10, cifar-100, bible, text, text-bpe, or synthetic",
                 "synthetic"),
          optional("augment", list_of(one_of("augmentation", {"crop", "flip"})), "[]",
                   "random changes of training images", "[crop, flip]"),
          needed("batch", count(), "samples of a step, over all ranks", "256"),
          needed("optimizer", map_of("optimizer"), "how the weights follow their gradients",
                 "{kind: adamw, lr: 0.001}"),
          optional("dtype", one_of("data type", names_of(data_types())), "fp32",
                   "type of weights, activations and gradients", "bf16"),
          optional("gradients", one_of("data type", names_of(data_types())), "",
                   "type in which gradients are added up and exchanged; by default the training's",
                   "fp32"),
          optional("steps", count(), "1", "steps of the run", "1000"),
          optional("seed", count({0, std::numeric_limits<std::int64_t>::max()}), "1",
                   "of weights, batches and masks", "7"),
          optional("reduction", one_of("reduction", names_of(reductions())), "fast",
                   "exact: sums in one order, whoever computes them", "exact"),
      },
  };
}

Key of_rule(Key key, std::vector<std::string> kinds) {
  key.only = {"kind", std::move(kinds)};
  return key;
}

Section optimizer() {
  const Type share = number({0, 1, false, true});
  return {
      "optimizer",
      "How the weights follow their gradients.",
      {
          needed("kind", one_of("optimizer", {"sgd", "adam", "adamw"}), "the rule", "adamw"),
          needed("lr", number(), "learning rate", "0.001"),
          optional("weight_decay", number(), "0", "of all weights but norms and biases", "0.1"),
          optional("clip", number({0, Bounds{}.most, true}), "",
                   "the norm that the gradients of the whole model may have", "1.0"),
          of_rule(optional("momentum", share, "0", "of the velocity", "0.9"), {"sgd"}),
          of_rule(
              optional("betas", list_of(share, 2, 2), "[0.9, 0.999]",
                       "decay of the running means of gradients and their squares", "[0.9, 0.95]"),
              {"adam", "adamw"}),
          of_rule(optional("epsilon", number(), "1.0e-8", "added to the root of the mean square",
                           "1.0e-6"),
                  {"adam", "adamw"}),
          optional("schedule", map_of("schedule"), "", "the learning rate over time",
                   "{warmup: 100, decay: cosine}"),
      },
  };
}

Section schedule() {
  const auto with = [](Key key, std::vector<std::string> decays) {
    key.only = {"decay", std::move(decays)};
    return key;
  };
  return {
      "schedule",
      "The learning rate over time, as a multiple of `lr`.",
      {
          optional("warmup", count({0}), "0", "steps in which it rises", "100"),
          optional("decay", one_of("decay", names_of(rate_decays())), "none",
                   "how it falls after that", "cosine"),
          with(optional("last", number(), "0", "what is left at the end", "0.1"),
               {"linear", "cosine"}),
          with(needed("every", count(), "steps between two falls", "30"), {"step"}),
          with(optional("factor", number(), "0.1", "what each fall multiplies it by", "0.1"),
               {"step"}),
      },
  };
}

}  // namespace

std::vector<Section> training_sections() {
  return {model(), training(), optimizer(), schedule()};
}

}  // namespace rehearse::yaml
