#include "exec/measure/measure.h"

#include <fmt/format.h>

#include <iostream>
#include <set>

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

Result<exec::MeasureOptions> options_of(const Arguments& arguments) {
  const Result<std::int64_t> budget = arguments.count("budget", 15, 1);
  if (!budget) return budget.errors();
  exec::MeasureOptions options;
  options.budget = Seconds::seconds(static_cast<double>(*budget));
  options.progress = [](const std::string& text) { std::cerr << text << std::endl; };
  options.networks = exec::default_networks();
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
  const Result<exec::MeasureOptions> options = options_of(arguments);
  if (!options) return fail_once(transport, options.errors());
  const std::string out = arguments.get("out").value_or("samples.json");
  // Only rank 0 writes, so only it can tell whether it could.
  const auto writable = [&]() -> Result<std::string> {
    const Status can = check_writable(out);
    return can ? Result<std::string>(std::string()) : can.errors();
  };
  if (!from_rank_0(transport, writable)) return kWrongInput;
  if (choice->name == "cuda")
    return fail_once(transport, error("GPUs are not measured yet: kernels of the cpu are"));
  const auto backend = make_backend(*choice, DataType::fp32, Reduction::fast, transport.rank());
  const Samples samples = exec::measure(transport, *backend, *options);
  if (transport.rank() != RankId(0)) return kDone;
  const Status written = write_file(out, print(samples));
  if (!written) return fail(written.errors());
  std::cout << fmt::format(
      "{} kernels, {} message sizes and {} ranks at once measured on '{}', written to {}\n",
      samples.kernels.size(), samples.messages.size(), samples.host.ranks, samples.host.processor,
      out);
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
