#include <fmt/format.h>

#include <iostream>

#include "model/base/text.h"
#include "model/scenario/import_config.h"
#include "tools/cli/terminal.h"
#include "tools/predict/predict.h"
#include "tools/rehearse/commands.h"
#include "tools/summary/model.h"

namespace rehearse::cli {
namespace {

constexpr std::string_view kFile = "SCENARIO|CONFIG";

Syntax syntax() {
  return {{std::string(kFile)},
          {{"sequence", "N", "of a config: tokens of a sample, instead of its own"},
           {"rope-scaling", "none", "of a config: positions as if it scaled none", {"none"}},
           {"samples", "N", "of a micro-batch, whose saved bytes are shown (1)"},
           {"dtype", "TYPE", "of activations (the scenario's; of a config bf16)",
            names_of(data_types())},
           {"json", "", "print JSON, with every block, layer and unit, instead of tables"}}};
}

struct Subject {
  ModelSpec spec;  // resolved
  Training training;
};

Result<Subject> of_config(const std::string& path, RopeScaling scaling,
                          std::optional<std::int64_t> sequence) {
  const Result<ImportedModel> imported = import_config(path, scaling);
  if (!imported) return imported.errors();
  Subject subject{imported->spec, {}};
  subject.training.dtype = DataType::bf16;
  if (!sequence) return subject;
  if (subject.spec.fields.count("sequence") == 0)
    return error(fmt::format("{}: a model of kind '{}' has no sequence", path, subject.spec.kind));
  subject.spec.fields["sequence"] = {*sequence};
  const Status seen = check_window(*imported, subject.spec);
  if (!seen) return seen.errors();
  const Result<Net> net = build_net(subject.spec);
  if (!net) return net.errors();
  return subject;
}

Result<Subject> of_scenario(const std::string& path) {
  const Result<Scenario> scenario = read_scenario(path, profile_path(path));
  if (!scenario) return scenario.errors();
  if (scenario->prices) return error(fmt::format("{} states its prices: it has no model", path));
  return Subject{scenario->model, scenario->training};
}

// What the options ask for; errors are of the command line.
struct Asked {
  std::optional<std::int64_t> sequence;
  RopeScaling scaling = RopeScaling::refused;
  std::int64_t samples = 1;
  std::optional<DataType> dtype;
};

Result<Asked> read_options(const Arguments& arguments, bool is_config) {
  Asked asked;
  const Result<std::int64_t> samples = arguments.count("samples", 1, 1);
  if (!samples) return samples.errors();
  constexpr std::int64_t kMostSamples = 1 << 16;
  if (*samples > kMostSamples)
    return error(fmt::format("--samples is at most {}, got {}", kMostSamples, *samples));
  asked.samples = *samples;
  if (arguments.has("sequence")) {
    const Result<std::int64_t> sequence = arguments.count("sequence", 1, 1);
    if (!sequence) return sequence.errors();
    if (!is_config) return error("--sequence is for a config.json: a scenario says its own");
    asked.sequence = *sequence;
  }
  if (arguments.has("rope-scaling")) {
    if (!is_config) return error("--rope-scaling is for a config.json: a scenario says its own");
    asked.scaling = RopeScaling::left_out;
  }
  if (const auto name = arguments.get("dtype")) asked.dtype = parse_data_type(*name);
  return asked;
}

int run(const Arguments& arguments) {
  const std::string& path = arguments.at(kFile);
  const bool is_config = path.ends_with(".json");
  const Result<Asked> asked = read_options(arguments, is_config);
  if (!asked) return fail(asked.errors()), kWrongCommandLine;
  Result<Subject> subject =
      is_config ? of_config(path, asked->scaling, asked->sequence) : of_scenario(path);
  if (!subject) return fail(subject.errors());
  Training& training = subject->training;
  training.dtype = asked->dtype.value_or(training.dtype);
  const ModelSummary summary = summarize_model(
      subject->spec,
      {asked->samples, std::string(to_string(training.dtype)), element_sizes(training)});
  print(arguments.has("json") ? StyledText(print_json(summary)) : print_table(summary));
  return kDone;
}

}  // namespace

Command model_command() {
  return {"model", "print a network: its blocks, what they compute and keep, what is maskable",
          syntax, run};
}

}  // namespace rehearse::cli
