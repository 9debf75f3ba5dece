#include "exec/measure/measure.h"

#include <fmt/format.h>

#include <chrono>
#include <iostream>
#include <set>

#include "model/base/text.h"
#include "tools/predict/predict.h"
#include "tools/rehearse_exec/backends.h"
#include "tools/rehearse_exec/commands.h"
#include "tools/rehearse_exec/ranks.h"

namespace rehearse::cli {
namespace {

Syntax syntax() {
  Syntax syntax{{}, rank_options()};
  syntax.options.push_back({"scenario", "SCENARIO",
                            "measure the kernels of this scenario's model (default: a mixture)"});
  syntax.options.push_back({"dtype", "TYPE", "type to compute in (default: fp32; bf16 on GPUs)"});
  syntax.options.push_back({"budget", "SECONDS", "time to take (default 15)"});
  syntax.options.push_back({"out", "SAMPLES", "file for the samples (default: samples.json)"});
  return syntax;
}

// The scenario's network at every micro-batch size of its strategies.
Result<std::vector<exec::MeasuredNet>> networks_of(const std::string& path) {
  const Result<Scenario> scenario = read_scenario(path, profile_path(path));
  if (!scenario) return scenario.errors();
  std::set<std::int64_t> sizes;
  for (const ScenarioStrategy& strategy : scenario->strategies) {
    sizes.insert(*micro_batch_samples(strategy.spec, strategy.mesh, scenario->training.batch));
  }
  std::vector<exec::MeasuredNet> networks;
  for (const std::int64_t samples : sizes)
    networks.push_back({*build_net(scenario->model), samples});
  return networks;
}

Result<DataType> type_of(const Arguments& arguments, const BackendChoice& choice) {
  const bool is_gpu = choice.name == "cuda";
  const std::string name = arguments.get("dtype").value_or(is_gpu ? "bf16" : "fp32");
  const std::vector<DataType>& types = types_of(choice);
  std::vector<std::string> names;
  for (const DataType type : types) {
    names.emplace_back(to_string(type));
    if (names.back() == name) return type;
  }
  return error(fmt::format("--dtype expects {} with the backend '{}' on this machine, got '{}'",
                           join(names, " or "), choice.name, name));
}

// Of now, in UTC.
std::string today() {
  const auto now = std::chrono::floor<std::chrono::days>(std::chrono::system_clock::now());
  const std::chrono::year_month_day date{now};
  return fmt::format("{:04}-{:02}-{:02}", static_cast<int>(date.year()),
                     static_cast<unsigned>(date.month()), static_cast<unsigned>(date.day()));
}

Result<exec::MeasureOptions> options_of(const Arguments& arguments, const BackendChoice& choice,
                                        RankId rank) {
  const Result<std::int64_t> budget = arguments.count("budget", 15, 1);
  if (!budget) return budget.errors();
  exec::MeasureOptions options;
  options.budget = Seconds::seconds(static_cast<double>(*budget));
  options.progress = [](const std::string& text) { std::cerr << text << std::endl; };
  options.gpu = gpu_of(choice, rank);
  options.networks = options.gpu ? exec::default_gpu_networks() : exec::default_networks();
  if (const auto scenario = arguments.get("scenario")) {
    auto networks = networks_of(*scenario);
    if (!networks) return networks.errors();
    options.others = std::move(options.networks);
    options.networks = std::move(*networks);
  }
  return options;
}

int run_rank(const Arguments& arguments, exec::Transport& transport) {
  const Result<BackendChoice> choice = backend_of(arguments);
  if (!choice) return fail_once(transport, choice.errors());
  const Result<DataType> type = type_of(arguments, *choice);
  if (!type) return fail_once(transport, type.errors());
  const Result<exec::MeasureOptions> options = options_of(arguments, *choice, transport.rank());
  if (!options) return fail_once(transport, options.errors());
  const std::string out = arguments.get("out").value_or("samples.json");
  // Only rank 0 writes, so only it can tell whether it could.
  const auto writable = [&]() -> Result<std::string> {
    const Status can = check_writable(out);
    return can ? Result<std::string>(std::string()) : can.errors();
  };
  if (!from_rank_0(transport, writable)) return kWrongInput;
  const auto backend = make_backend(*choice, *type, Reduction::fast, transport.rank());
  Samples samples = exec::measure(transport, *backend, *options);
  if (transport.rank() != RankId(0)) return kDone;
  samples.date = today();
  const Status written = write_file(out, print(samples));
  if (!written) return fail(written.errors());
  std::cout << fmt::format(
      "{} kernels, {} message sizes and {} ranks at once measured on '{}', written to {}\n",
      samples.kernels.size(), samples.messages.size(), samples.host.ranks,
      samples.gpu ? samples.gpu->name : samples.host.processor, out);
  return kDone;
}

int run(const Arguments& arguments) {
  return run_ranks(arguments,
                   [&](exec::Transport& transport) { return run_rank(arguments, transport); });
}

}  // namespace

Command measure_command() {
  return {"measure", "measure this machine's kernels, memory and messages", syntax, run};
}

}  // namespace rehearse::cli
