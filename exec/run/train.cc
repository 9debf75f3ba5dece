#include "exec/run/train.h"

#include <algorithm>
#include <limits>
#include <map>
#include <utility>

#include "exec/run/carried_state.h"
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

// Two lines, then the hashes.
std::string print_measurement(const RankMeasurement& m) {
  return fmt::format("{} {} {} {} {} {} {} {}\n{}", m.traffic.sent.bytes(),
                     m.traffic.received.bytes(), print_bytes(m.traffic.sent_by_kind),
                     print_bytes(m.traffic.sent_by_group), m.arena_extent.bytes(),
                     m.arena_live.bytes(), m.workspace.bytes(), m.carried.bytes(), m.class_hashes);
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
  m.carried = amount(7);
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

bool is_due(std::int64_t step, std::int64_t every) {
  return every > 0 && step % every == 0;
}

// A training under way on one rank.
class Training {
 public:
  Training(PlanSource& plans, const Net& net, Backend& backend, Transport& transport,
           BatchSource& batches, EvaluationSource* evaluation, const TrainOptions& options)
      : plans_(plans),
        net_(net),
        backend_(backend),
        transport_(transport),
        batches_(batches),
        evaluation_(evaluation),
        options_(options) {}

  TrainingRun run() {
    for (std::int64_t step = 0; step < options_.steps; ++step) {
      turn_to(step);
      const bool keeps = options_.keep_first_step && step == 0;
      if (keeps) run_.first_step = FirstStep{whole_weights(), {}};
      take_step(step);
      if (keeps)
        run_.first_step->gradients =
            assemble_gradients(*plan_, net_, executor_->parameters(), backend_, transport_);
      // Looking at the weights is no part of a step: the clock stands still meanwhile.
      if (!is_looked_at(step + 1)) continue;
      const std::int64_t begin = begin_pause();
      look(step + 1);
      executor_->skip_ns(pause_since(begin));
    }
    finish();
    return std::move(run_);
  }

 private:
  // ---- plans ------------------------------------------------------------------------------------

  void turn_to(std::int64_t step) {
    if (executor_ && !plans_.changes_at(step)) return;
    const std::int64_t begin = begin_pause();
    std::shared_ptr<const Plan> next = plans_.plan_at(step);
    if (!executor_) {
      executor_ = std::make_unique<Executor>(*next, net_, backend_, transport_, batches_,
                                             options_.executor, common_origin(transport_));
    } else {
      end_stretch();
      if (plans_.redraws_at(step)) ++run_.transitions.count;
      change_to(*next, plans_.moments_at(step));
      executor_->skip_ns(pause_since(begin));
    }
    plan_ = std::move(next);
    run_.stretches.push_back({plan_, step, {}});
    spans_.emplace_back();
    if (run_.stretches.size() <= kKeptStretches) return;
    run_.stretches.erase(run_.stretches.begin());
    spans_.erase(spans_.begin());
  }

  void change_to(const Plan& next, Moments moments) {
    if (everybody_keeps_state(next)) {
      if (moments == Moments::reset) executor_->parameters().reset_moments();
      executor_ = std::make_unique<Executor>(next, net_, backend_, transport_, batches_,
                                             options_.executor, std::move(*executor_));
      return;
    }
    const Transition transition = transition_between(*plan_, next, net_, moments);
    const CarriedState carried(executor_->parameters());
    own_.carried = std::max(own_.carried, carried_by(program_of(*plan_, transport_.rank())));
    const std::int64_t origin = executor_->origin_ns();
    // Never two arenas at once.
    executor_.reset();
    ExecutorOptions options = options_.executor;
    options.initializes = false;
    executor_ =
        std::make_unique<Executor>(next, net_, backend_, transport_, batches_, options, origin);
    transport_.barrier();
    const std::int64_t begin = Executor::now_ns();
    carried.hand_over(transition, moments, executor_->parameters(), transport_);
    transport_.barrier();
    run_.transitions.received += transition.total();
    run_.transitions.time += Seconds::seconds(1e-9 * static_cast<double>(pause_since(begin)));
  }

  bool everybody_keeps_state(const Plan& next) const {
    for (std::size_t r = 0; r < next.ranks.size(); ++r) {
      if (!keeps_state(*plan_, next, RankId(r))) return false;
    }
    return true;
  }

  // What the executor has measured with the plan that ends here.
  void end_stretch() {
    spans_.back() = executor_->spans();
    for (Span& span : spans_.back())
      span.step -= run_.stretches.back().first_step;
    run_.stretches.back().timeline.steps =
        static_cast<std::int64_t>(losses_.size()) - run_.stretches.back().first_step;
    count(executor_->traffic());
    own_.arena_extent = std::max(own_.arena_extent, executor_->arena().extent_used());
    own_.arena_live = std::max(own_.arena_live, executor_->arena().live_peak());
  }

  void count(const Traffic& traffic) {
    own_.traffic.sent += traffic.sent;
    own_.traffic.received += traffic.received;
    for (std::size_t kind = 0; kind < traffic.sent_by_kind.size(); ++kind)
      own_.traffic.sent_by_kind[kind] += traffic.sent_by_kind[kind];
    own_.traffic.sent_by_group = traffic.sent_by_group;
  }

  // ---- steps ------------------------------------------------------------------------------------

  void take_step(std::int64_t step) {
    losses_.push_back(executor_->run_step(step));
    if (executor_->gradient_norm()) run_.gradient_norms.push_back(*executor_->gradient_norm());
    // Later, others' kernels may have taken more.
    if (step == 0) own_.workspace = backend_.workspace();
    if (!options_.progress || transport_.rank() != first_with_loss(*plan_, net_)) return;
    const auto micro_batches =
        static_cast<double>(program_of(*plan_, transport_.rank()).micro_batches);
    options_.progress(step + 1, losses_.back() / micro_batches);
  }

  // When everybody has ended the step: or else a rank that ends it early would not have waited for
  // the others in the pause that rank 0 measures.
  std::int64_t begin_pause() {
    transport_.barrier();
    return Executor::now_ns();
  }
  // Rank 0's number, for all.
  std::int64_t pause_since(std::int64_t begin) {
    const std::int64_t pause = Executor::now_ns() - begin;
    return *parse_integer(transport_.broadcast(std::to_string(pause), RankId(0)));
  }

  // ---- weights between steps --------------------------------------------------------------------

  // Which one rank can run by itself.
  const Net& unsliced_net() {
    if (plan_->mesh.tensor == 1) return net_;
    if (!unsliced_) unsliced_ = *rehearse::unsliced_net(*plan_);
    return *unsliced_;
  }

  Weights whole_weights() {
    return assemble(*plan_, net_, executor_->parameters(), backend_, transport_);
  }

  bool is_tested(std::int64_t steps) const {
    return evaluation_ != nullptr &&
           (is_due(steps, options_.evaluate_every) || options_.evaluate_at.count(steps) > 0);
  }
  bool is_looked_at(std::int64_t steps) const {
    return options_.hash_weights || is_tested(steps) || is_due(steps, options_.align_every);
  }

  // Notes what was asked for after so many steps.
  void look(std::int64_t steps) {
    if (options_.hash_weights)
      run_.weight_hashes.push_back(weight_hash(*plan_, net_, executor_->parameters(), transport_));
    const bool tests = is_tested(steps), aligns = is_due(steps, options_.align_every);
    if (!tests && !aligns) return;
    const Weights weights = whole_weights();
    if (tests) test(steps, weights);
    if (aligns) align(steps, weights);
  }

  void test(std::int64_t steps, const Weights& weights) {
    const Net& unsliced = unsliced_net();
    const Net whole =
        scale_branches(without_dropout(unsliced), branch_scales_at_test(*plan_, unsliced));
    run_.evaluations.push_back(
        {steps, evaluate(whole, weights, backend_, transport_, *evaluation_)});
  }

  void align(std::int64_t steps, const Weights& weights) {
    auto found =
        align_gradients(*plan_, unsliced_net(), weights, steps, backend_, transport_, batches_);
    if (found) run_.alignments.push_back(std::move(*found));
  }

  // ---- the end ----------------------------------------------------------------------------------

  void finish() {
    end_stretch();
    std::optional<Time> begin;
    for (std::size_t k = 0; k < run_.stretches.size(); ++k) {
      Stretch& stretch = run_.stretches[k];
      const std::int64_t steps = stretch.timeline.steps;
      stretch.timeline = gather_spans(*stretch.plan, spans_[k], steps, transport_);
      stretch.timeline.begin = begin;
      for (const Span& span : stretch.timeline.spans)
        begin = std::max(begin.value_or(span.end), span.end);
    }
    run_.losses = mean_losses(*plan_, net_, losses_, transport_);
    own_.class_hashes = class_hashes(*plan_, net_, transport_.rank(), executor_->parameters());
    for (const std::string& part : transport_.gather(print_measurement(own_)))
      run_.ranks.push_back(parse_measurement(part));
    if (options_.keep_weights) run_.weights = whole_weights();
  }

  PlanSource& plans_;
  const Net& net_;
  Backend& backend_;
  Transport& transport_;
  BatchSource& batches_;
  EvaluationSource* evaluation_;
  const TrainOptions& options_;
  std::optional<Net> unsliced_;
  std::shared_ptr<const Plan> plan_;
  std::unique_ptr<Executor> executor_;
  std::vector<std::vector<Span>> spans_;  // own ones, by stretch
  std::vector<double> losses_;
  RankMeasurement own_;
  TrainingRun run_;
};

}  // namespace

TrainingRun train(PlanSource& plans, const Net& net, Backend& backend, Transport& transport,
                  BatchSource& batches, EvaluationSource* evaluation, const TrainOptions& options) {
  return Training(plans, net, backend, transport, batches, evaluation, options).run();
}

TrainingRun train(const Plan& plan, const Net& net, Backend& backend, Transport& transport,
                  BatchSource& batches, EvaluationSource* evaluation, const TrainOptions& options) {
  SinglePlan plans(plan);
  return train(plans, net, backend, transport, batches, evaluation, options);
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
