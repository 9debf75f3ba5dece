#include "exec/run/train.h"

#include <limits>
#include <map>

#include "exec/run/gather_spans.h"
#include "exec/run/weight_hash.h"
#include "model/base/check.h"
#include "model/base/text.h"

namespace rehearse::exec {
namespace {

// Ranks of one node share the monotonic clock; rank 0 says when it all begins.
std::int64_t common_origin(Transport& transport) {
  transport.barrier();
  return *parse_integer(transport.broadcast(std::to_string(Executor::now_ns()), RankId(0)));
}

std::string print_bytes(const std::vector<Bytes>& amounts) {
  std::vector<std::string> parts;
  for (const Bytes amount : amounts)
    parts.push_back(std::to_string(amount.bytes()));
  return join(parts, ",");
}

std::vector<Bytes> parse_byte_list(std::string_view text) {
  std::vector<Bytes> amounts;
  for (const std::string_view part : split(text, ','))
    amounts.push_back(Bytes::bytes(parse_integer(part).value()));
  return amounts;
}

RankMeasurement measure(const Executor& executor, RankId rank, const Plan& plan, Bytes workspace) {
  return {executor.traffic(), executor.arena().extent_used(), executor.arena().live_peak(),
          workspace, class_hashes(plan, rank, executor.parameters())};
}

// Two lines, then the hashes.
std::string print_measurement(const RankMeasurement& m) {
  return fmt::format("{} {} {} {} {} {} {}\n{}", m.traffic.sent.bytes(), m.traffic.received.bytes(),
                     print_bytes(m.traffic.sent_by_kind), print_bytes(m.traffic.sent_by_group),
                     m.arena_extent.bytes(), m.arena_live.bytes(), m.workspace.bytes(),
                     m.class_hashes);
}

RankMeasurement parse_measurement(const std::string& text) {
  const std::size_t end = text.find('\n');
  const auto words = split(std::string_view(text).substr(0, end), ' ');
  const auto amount = [&](std::size_t k) { return Bytes::bytes(parse_integer(words[k]).value()); };
  RankMeasurement m;
  m.traffic = {amount(0), amount(1), parse_byte_list(words[2]), parse_byte_list(words[3])};
  m.arena_extent = amount(4);
  m.arena_live = amount(5);
  m.workspace = amount(6);
  m.class_hashes = text.substr(end + 1);
  return m;
}

// Every rank's losses by step, which are sums over its micro-batches; the global batch's is the
// mean over all of them, added up in their order.
std::vector<double> mean_losses(const Plan& plan, const Net& net, const std::vector<double>& own,
                                Transport& transport) {
  std::vector<std::string> parts;
  for (const double loss : own)
    parts.push_back(exact(loss));
  const std::vector<std::string> all = transport.gather(join(parts, " "));
  // By first micro-batch: the losses of one rank that has them.
  std::map<std::int64_t, std::vector<std::string_view>> known;
  double micro_batches = 0;
  for (std::size_t r = 0; r < all.size(); ++r) {
    const RankProgram& program = program_of(plan, RankId(r));
    if (program.stages.back().end != end_segment(net)) continue;
    if (known.try_emplace(plan.ranks[r].first_micro_batch, split(all[r], ' ')).second)
      micro_batches += static_cast<double>(program.micro_batches);
  }
  std::vector<double> means;
  for (std::size_t step = 0; step < own.size() && !all.empty(); ++step) {
    std::vector<double> sums;
    for (const auto& [first, words] : known)
      sums.push_back(parse_number(words[step]).value_or(std::numeric_limits<double>::quiet_NaN()));
    fold_tree(sums.size(), [&](std::size_t left, std::size_t right) { sums[left] += sums[right]; });
    means.push_back(sums.front() / micro_batches);
  }
  return means;
}

// The first rank with the network's end: in a pipeline rank 0 never sees the loss.
RankId first_with_loss(const Plan& plan, const Net& net) {
  std::size_t rank = 0;
  while (program_of(plan, RankId(rank)).stages.back().end != end_segment(net))
    ++rank;
  return RankId(rank);
}

// Rank 0's number, for all.
std::int64_t agreed(std::int64_t number, Transport& transport) {
  return *parse_integer(transport.broadcast(std::to_string(number), RankId(0)));
}

bool is_due(std::int64_t step, std::int64_t every) {
  return every > 0 && step % every == 0;
}

// Looks at the weights between steps, and notes in `run` what was asked for.
struct Inspector {
  const Plan& plan;
  const Net& net;
  Backend& backend;
  Transport& transport;
  BatchSource& batches;
  EvaluationSource* evaluation;
  const TrainOptions& options;
  TrainingRun& run;

  // Whether there was anything to see after so many steps.
  bool look(std::int64_t steps, const Parameters& parameters) {
    const bool tests = evaluation != nullptr && is_due(steps, options.evaluate_every);
    const bool aligns = is_due(steps, options.align_every);
    if (options.hash_weights)
      run.weight_hashes.push_back(weight_hash(plan, net, parameters, transport));
    if (!tests && !aligns) return options.hash_weights;
    const Weights weights = assemble(plan, net, parameters, backend, transport);
    if (tests) test(steps, weights);
    if (aligns) align(steps, weights);
    return true;
  }

  void test(std::int64_t steps, const Weights& weights) {
    const Net whole = scale_branches(without_dropout(net), plan.branch_scale_at_test);
    run.evaluations.push_back({steps, evaluate(whole, weights, backend, transport, *evaluation)});
  }
  void align(std::int64_t steps, const Weights& weights) {
    auto found = align_gradients(plan, net, weights, steps, backend, transport, batches);
    if (found) run.alignments.push_back(std::move(*found));
  }
};

}  // namespace

TrainingRun train(const Plan& plan, const Net& net, Backend& backend, Transport& transport,
                  BatchSource& batches, EvaluationSource* evaluation, const TrainOptions& options) {
  Executor executor(plan, net, backend, transport, batches, options.executor,
                    common_origin(transport));
  const auto own_micro_batches =
      static_cast<double>(program_of(plan, transport.rank()).micro_batches);
  TrainingRun run;
  Inspector inspector{plan, net, backend, transport, batches, evaluation, options, run};
  std::vector<double> losses;
  Bytes workspace;
  for (std::int64_t step = 0; step < options.steps; ++step) {
    const bool keeps = options.keep_first_step && step == 0;
    if (keeps) {
      run.first_step.emplace();
      run.first_step->weights = assemble(plan, net, executor.parameters(), backend, transport);
    }
    losses.push_back(executor.run_step(step));
    if (executor.gradient_norm()) run.gradient_norms.push_back(*executor.gradient_norm());
    if (keeps) {
      run.first_step->gradients =
          assemble_gradients(plan, net, executor.parameters(), backend, transport);
    }
    if (options.progress && transport.rank() == first_with_loss(plan, net))
      options.progress(step + 1, losses.back() / own_micro_batches);
    // Later, others' kernels may have taken more.
    if (step == 0) workspace = backend.workspace();
    // Looking at the weights is no part of a step: the clock stands still meanwhile.
    const std::int64_t begin = Executor::now_ns();
    if (inspector.look(step + 1, executor.parameters()))
      executor.skip_ns(agreed(Executor::now_ns() - begin, transport));
  }
  run.timeline = gather_spans(plan, executor.spans(), options.steps, transport);
  run.losses = mean_losses(plan, net, losses, transport);
  for (const std::string& part :
       transport.gather(print_measurement(measure(executor, transport.rank(), plan, workspace)))) {
    run.ranks.push_back(parse_measurement(part));
  }
  if (options.keep_weights)
    run.weights = assemble(plan, net, executor.parameters(), backend, transport);
  return run;
}

std::string differing_copies(const std::vector<RankMeasurement>& ranks) {
  std::map<std::string, std::pair<std::size_t, std::string>>
      known;  // class -> first holder, its hash
  for (std::size_t r = 0; r < ranks.size(); ++r) {
    for (const std::string_view line : split(ranks[r].class_hashes, '\n')) {
      if (line.empty()) continue;
      const auto words = split(line, ' ');
      const auto [holder, is_new] =
          known.try_emplace(std::string(words[0]), r, std::string(words[1]));
      if (is_new || holder->second.second == words[1]) continue;
      return fmt::format("the copies of the parameters from {} on differ between ranks {} and {}",
                         words[0], holder->second.first, r);
    }
  }
  return "";
}

}  // namespace rehearse::exec
