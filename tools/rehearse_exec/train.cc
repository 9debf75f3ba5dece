#include "exec/run/train.h"

#include <fmt/format.h>

#include <chrono>
#include <iostream>
#include <set>

#include "exec/data/batches.h"
#include "model/base/text.h"
#include "model/plan/plan_text.h"
#include "tools/cli/terminal.h"
#include "tools/rehearse_exec/alignment.h"
#include "tools/rehearse_exec/backends.h"
#include "tools/rehearse_exec/commands.h"
#include "tools/rehearse_exec/first_step.h"
#include "tools/rehearse_exec/measured.h"
#include "tools/rehearse_exec/plans.h"
#include "tools/rehearse_exec/ranks.h"
#include "tools/rehearse_exec/transports.h"

namespace rehearse::cli {
namespace {

Syntax syntax() {
  Syntax syntax{{"SCENARIO|PLAN"}, rank_options()};
  syntax.options.push_back(transport_option());
  for (Option& option : gpu_options())
    syntax.options.push_back(std::move(option));
  syntax.options.push_back({"strategy", "NAME", "which of the scenario's strategies"});
  syntax.options.push_back(
      {"profile", "FILE",
       "device profile instead of the scenario's: stages are cut by its prices"});
  syntax.options.push_back({"steps", "N", "steps to train, 2 or more (default: the scenario's)"});
  syntax.options.push_back({"evaluate-every", "N", "test the assembled model after every N steps"});
  syntax.options.push_back({"evaluate-at", "N,N,...", "test it after these numbers of steps, too"});
  syntax.options.push_back({"alignment", "K",
                            "say after every K steps how well the gradients of subnetworks align "
                            "with the whole network's"});
  syntax.options.push_back({"data-directory", "DIR", "where the data set's files are"});
  syntax.options.push_back({"first-step", "FILE",
                            "write the first step's weights, batch, gradients and loss there, as "
                            "safetensors"});
  syntax.options.push_back(
      {"hash-weights", "",
       "note after every step which weights there are (measured.json), and print the last: equal "
       "hashes, same bits"});
  syntax.options.push_back(
      {"out", "DIR",
       "write plan.txt, measured.json, trace.json and, if asked for, alignment.json there"});
  return syntax;
}

// A line on stderr every few seconds.
class Progress {
 public:
  // Of the rank's own samples: the mean over all is known in the end.
  Progress(std::string what, std::int64_t steps, RankId rank)
      : what_(std::move(what)), steps_(steps), rank_(rank) {}
  void operator()(std::int64_t step, double loss) {
    const auto now = std::chrono::steady_clock::now();
    if (step != 1 && step != steps_ && now - last_ < std::chrono::seconds(5)) return;
    last_ = now;
    std::cerr << fmt::format("{}: step {}/{}, loss on rank {} {:.4g}", what_, step, steps_,
                             rank_.value(), loss)
              << std::endl;
  }

 private:
  std::string what_;
  std::int64_t steps_;
  RankId rank_;
  std::chrono::steady_clock::time_point last_;
};

// A step's time is the difference of two ends.
constexpr std::int64_t kFewestSteps = 2;

struct Settings {
  BackendChoice backend;
  TransportKind transport = TransportKind::host;
  std::optional<std::int64_t> steps = std::nullopt;
  std::int64_t evaluate_every = 0, align_every = 0;
  std::set<std::int64_t> evaluate_at = {};
};

Result<std::set<std::int64_t>> evaluated_steps(const Arguments& arguments) {
  std::set<std::int64_t> steps;
  const auto text = arguments.get("evaluate-at");
  if (!text) return steps;
  for (const std::string_view word : split(*text, ',')) {
    const auto step = parse_integer(trim(word));
    if (!step || *step < 1) {
      return error(
          fmt::format("--evaluate-at expects numbers of steps, such as 100,200, got '{}'", *text));
    }
    steps.insert(*step);
  }
  return steps;
}

Result<Settings> settings_of(const Arguments& arguments) {
  const Result<BackendChoice> device = backend_of(arguments);
  if (!device) return device.errors();
  const Result<BackendChoice> backend = with_gpu_options(arguments, *device);
  if (!backend) return backend.errors();
  const Result<TransportKind> transport = transport_of(arguments, *backend);
  if (!transport) return transport.errors();
  Settings settings{.backend = *backend, .transport = *transport};
  const Result<std::int64_t> steps = arguments.count("steps", 0, kFewestSteps);
  if (!steps) return steps.errors();
  if (arguments.has("steps")) settings.steps = *steps;
  const Result<std::int64_t> every = arguments.count("evaluate-every", 0, 1);
  if (!every) return every.errors();
  settings.evaluate_every = *every;
  const Result<std::set<std::int64_t>> at = evaluated_steps(arguments);
  if (!at) return at.errors();
  settings.evaluate_at = *at;
  const Result<std::int64_t> aligns = arguments.count("alignment", 0, 1);
  if (!aligns) return aligns.errors();
  settings.align_every = *aligns;
  return settings;
}

std::int64_t steps_of(const Settings& settings, const Plan& plan) {
  return settings.steps.value_or(plan.training.steps);
}

Status check_evaluations(const Settings& settings, const Plan& plan) {
  const std::int64_t steps = steps_of(settings, plan);
  if (settings.evaluate_at.empty() || *settings.evaluate_at.rbegin() <= steps) return success();
  return error(fmt::format("--evaluate-at {} comes after the last of {} steps",
                           *settings.evaluate_at.rbegin(), steps));
}

Status check_alignment(const Settings& settings, const Plan& plan) {
  if (settings.align_every == 0) return success();
  if (plan.mesh.workers == 1) {
    return error(fmt::format(
        "--alignment compares the gradients of subnetworks, and '{}' trains none: it is for "
        "strategies with 'subnetwork' and several workers",
        plan.strategy));
  }
  const std::int64_t steps = steps_of(settings, plan);
  if (settings.align_every <= steps) return success();
  return error(
      fmt::format("--alignment {} comes after the last of {} steps", settings.align_every, steps));
}

// A training is not begun that could not end well or whose results could not be kept.
Status check_training(const Arguments& arguments, const Settings& settings, const Plan& plan,
                      const exec::DatasetRequest& request) {
  const std::int64_t steps = steps_of(settings, plan);
  if (steps < kFewestSteps) {
    return error(
        fmt::format("the plan trains for {} step, at least {} are needed for a step time: "
                    "say how many with --steps",
                    steps, kFewestSteps));
  }
  const Status fits = check_runs(plan, settings.backend);
  if (!fits) return fits;
  const Status evaluates = check_evaluations(settings, plan);
  if (!evaluates) return evaluates;
  const Status compares = check_alignment(settings, plan);
  if (!compares) return compares;
  const auto data = exec::open_dataset(request);
  if (!data) return data.errors();
  if (const auto path = arguments.get("first-step")) {
    const Status can = check_writable(*path);
    if (!can) return can;
  }
  const auto out = arguments.get("out");
  return out ? check_writable(*out + "/measured.json") : success();
}

// What was asked for besides the measurements.
void print_findings(const Plan& plan, const Net& net, const exec::TrainingRun& run) {
  for (const exec::EvaluationAt& at : run.evaluations) {
    std::cout << fmt::format("{}: after {} steps test accuracy {:.1f} %, loss {:.3f}\n",
                             plan.strategy, at.step, 100 * at.evaluation.accuracy,
                             at.evaluation.loss);
  }
  print(print_alignments(plan, net, run));
  if (!run.weight_hashes.empty()) {
    std::cout << fmt::format("{}: weights after {} steps {:016x}\n", plan.strategy,
                             run.weight_hashes.size(), run.weight_hashes.back());
  }
  if (!run.gradient_norms.empty()) {
    std::cout << fmt::format(
        "{}: norm of the gradients {:.4g} in the first step, {:.4g} in the last\n", plan.strategy,
        run.gradient_norms.front(), run.gradient_norms.back());
  }
}

int finish(const Arguments& arguments, const Plan& plan, const Net& net,
           const exec::TrainingRun& run, Summary summary) {
  const std::string differing = exec::differing_copies(run.ranks);
  REHEARSE_CHECK(differing.empty(), "{}", differing);
  summary.strategies.push_back(summarize_run(plan, net, run));
  print(print_table(summary));
  if (const auto& moved = summary.strategies.back().transitions) {
    std::cout << fmt::format("{}: masks redrawn {} times: {} to a rank, in {} (means)\n",
                             plan.strategy, moved->count, human(moved->received),
                             human(moved->time));
  }
  print_findings(plan, net, run);
  const auto out = arguments.get("out");
  if (!out) return kDone;
  std::vector<std::pair<std::string, std::string>> files = {{"plan.txt", print(plan)},
                                                            {"measured.json", print_json(summary)},
                                                            {"trace.json", last_steps_trace(run)}};
  if (!run.alignments.empty())
    files.emplace_back("alignment.json", alignments_json(summary.scenario, plan, net, run));
  for (const auto& [name, text] : files) {
    const Status written = write_file(*out + "/" + name, text);
    if (!written) return fail(written.errors());
  }
  return kDone;
}

int run_rank(const Arguments& arguments, exec::Transport& transport) {
  const Result<Settings> given = settings_of(arguments);
  if (!given) return fail_once(transport, given.errors());
  const Settings& settings = *given;
  const auto plans = TrainingPlans::read(arguments, transport);
  if (!plans) return kWrongInput;
  const std::shared_ptr<const Plan> first = plans->plan_at(0);
  const Plan& plan = *first;
  const Net net = *whole_net(plan);
  const exec::DatasetRequest request{plan.training.data, exec::format_of(net), plan.training.seed,
                                     arguments.get("data-directory"), plan.training.augmentation};
  // Rank 0 first: what is wrong with the files is said once.
  if (!from_rank_0(transport, [&]() -> Result<std::string> {
        const Status good = check_training(arguments, settings, plan, request);
        return good ? Result<std::string>(std::string()) : good.errors();
      })) {
    return kWrongInput;
  }
  const Status carries =
      check_transport(settings.transport, arguments, settings.backend, transport);
  if (!carries) return fail_once(transport, carries.errors());
  const auto data = exec::open_dataset(request);
  if (!data) transport.abort(format(data.errors()));
  const auto backend = make_backend(settings.backend, plan.training.dtype, plan.training.reduction,
                                    transport.rank());
  const DeviceTransport carried(settings.transport, transport, backend->device());
  const std::string way = describe_transport(settings.transport, arguments);
  if (transport.rank() == RankId(0)) {
    std::cerr << fmt::format("{}: {} ranks on {}, messages over {}\n", plan.strategy,
                             transport.size(), describe(settings.backend), way);
  }
  exec::DataBatches batches(**data, plan.training.seed,
                            {plan.training.batch, plan.micro_batch_samples}, backend->type(),
                            plan.training.augmentation);
  exec::TrainOptions options;
  options.steps = steps_of(settings, plan);
  options.evaluate_every = settings.evaluate_every;
  options.evaluate_at = settings.evaluate_at;
  options.align_every = settings.align_every;
  options.hash_weights = arguments.has("hash-weights");
  options.keep_first_step = arguments.has("first-step");
  options.executor.records = settings.backend.records;
  options.progress = Progress(plan.strategy, options.steps, transport.rank());
  const exec::TrainingRun run =
      exec::train(*plans, net, *backend, carried.get(), batches, &batches, options);
  if (transport.rank() != RankId(0)) return kDone;
  if (const auto path = arguments.get("first-step")) {
    const Status written =
        write_first_step(*path, plan, *unsliced_net(plan), run, batches, *backend);
    if (!written) return fail(written.errors());
  }
  return finish(arguments, plan, net, run,
                {plans->name(), "measured", settings.backend.name, {}, way});
}

int run(const Arguments& arguments) {
  return run_ranks(arguments,
                   [&](exec::Transport& transport) { return run_rank(arguments, transport); });
}

}  // namespace

Command train_command() {
  return {"train", "train with a plan and measure it", syntax, run};
}

}  // namespace rehearse::cli
