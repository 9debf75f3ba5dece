#include "cost/closed_form/played_pipeline.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <map>
#include <tuple>

#include "cost/closed_form/played_plan.h"
#include "cost/memory.h"
#include "cost/memory_curve.h"
#include "model/base/check.h"
#include "model/schedule/build_plan.h"

namespace rehearse {
namespace {

// Steps until the last one is like those to come, if it is like the one before; and where it is
// not.
constexpr std::size_t kSteps = 3, kMoreSteps = 6;
constexpr double kSame = 1e-3;

// ---- plans of few micro-batches ----------------------------------------------------------------

// Micro-batches of a turn, after which a schedule does the same again.
std::int64_t turn_of(const PipelineShape& shape) {
  return shape.chunks > 1 ? shape.ranks : 1;
}

// As many as are read: with what fills the pipeline and what drains it, and turns between them,
// some of which go by until gathers and reductions lie beside one another as they will.
std::int64_t micro_batches_read(const PipelineShape& shape) {
  constexpr std::int64_t kTurns = 3, kSettled = 12;
  constexpr std::int64_t kMostWhole = 1024;  // passes of plans that are no more than two short ones
  const std::int64_t turn = turn_of(shape), fill = (shape.chunks > 1 ? 4 : 2) * shape.ranks;
  const std::int64_t few = fill + std::max(kTurns * turn, (kSettled + turn - 1) / turn * turn);
  const std::int64_t all = shape.micro_batches;
  const bool is_little = all <= 2 * few + turn && shape.stages() * all <= kMostWhole;
  if (all <= few + turn || is_little) return all;
  return few + (all - few) % turn;
}

Plan plan_of(const PlayedPipelineSettings& settings, Training training,
             std::int64_t micro_batches) {
  StrategySpec strategy = settings.strategy;
  strategy.micro_batches = micro_batches;
  if (strategy.pipeline) strategy.pipeline->micro_batches = micro_batches;
  training.batch = settings.samples * micro_batches * settings.mesh.data;
  Result<Plan> plan = build_plan(strategy, settings.whole, training, settings.mesh.ranks(),
                                 even_costs(settings.rank_net.blocks.size()), settings.cut);
  REHEARSE_CHECK(plan, "{}", plan.errors().front().message);
  return *std::move(plan);
}

// ---- times -------------------------------------------------------------------------------------

struct RankTimes {
  double begin = 0, end = 0;       // of its passes and what it loads for them, in the last step
  double passes = 0, updates = 0;  // computing
  double exchanging = 0;           // collectives while nothing computes
  double waited = 0;               // longer than alone, of what it sends, receives and reduces
  static constexpr std::array kAll = {&RankTimes::begin,      &RankTimes::end,
                                      &RankTimes::passes,     &RankTimes::updates,
                                      &RankTimes::exchanging, &RankTimes::waited};
};
struct Times {
  double step = 0;
  std::vector<RankTimes> ranks;
};

Times onward(const Times& few, const Times& more, double further) {
  const auto on = [&](double a, double b) { return b + further * (b - a); };
  Times made;
  made.step = on(few.step, more.step);
  for (std::size_t r = 0; r < more.ranks.size(); ++r) {
    RankTimes& own = made.ranks.emplace_back();
    for (const auto figure : RankTimes::kAll)
      own.*figure = on(few.ranks[r].*figure, more.ranks[r].*figure);
  }
  return made;
}

// How long something of the one is under way and nothing of the other.
double only(std::vector<PlayedStep::Span> these, std::vector<PlayedStep::Span> others) {
  std::vector<std::tuple<double, int, int>> edges;  // when, whose, on or off
  for (const auto& span : these)
    edges.emplace_back(span.begin, 0, 1), edges.emplace_back(span.end, 0, -1);
  for (const auto& span : others)
    edges.emplace_back(span.begin, 1, 1), edges.emplace_back(span.end, 1, -1);
  std::sort(edges.begin(), edges.end());
  double sum = 0, before = 0;
  std::array<int, 2> there{};
  for (const auto& [when, whose, change] : edges) {
    if (there[0] > 0 && there[1] == 0) sum += when - before;
    there[static_cast<std::size_t>(whose)] += change;
    before = when;
  }
  return sum;
}

RankTimes times_of(const RankProgram& program, const PlayedRank& played,
                   const std::vector<PlayedStep::Span>& spans) {
  RankTimes made;
  std::vector<PlayedStep::Span> computing, exchanging;
  bool has_begun = false;
  for (std::size_t id = 0; id < program.ops.size(); ++id) {
    const Op& op = program.ops[id];
    const LaneKind lane = program.lanes[op.lane.index()].kind;
    if (lane != LaneKind::compute)
      made.waited += spans[id].end - spans[id].begin - played.ops[id].seconds;
    if (op.kind == OpKind::send || op.kind == OpKind::receive) continue;
    if (lane != LaneKind::compute) {
      exchanging.push_back(spans[id]);
      continue;
    }
    computing.push_back(spans[id]);
    const bool updates = op.kind == OpKind::optimizer_step || op.kind == OpKind::sum_squares;
    (updates ? made.updates : made.passes) += played.ops[id].seconds;
    if (updates) continue;
    if (!has_begun) made.begin = spans[id].begin;
    has_begun = true;
    made.end = std::max(made.end, spans[id].end);
  }
  made.exchanging = only(std::move(exchanging), std::move(computing));
  return made;
}

std::optional<Times> times_of(const Plan& plan, const PlayingCosts& costs) {
  const auto played = played_plan(plan, costs);
  if (!played) return std::nullopt;
  std::vector<PlayedStep> steps = play(played->ranks, played->meetings, kSteps);
  const auto length = [&](std::size_t step) { return steps[step].end - steps[step - 1].end; };
  Times made;
  made.step = length(kSteps - 1);
  if (std::abs(made.step - length(kSteps - 2)) > kSame * made.step) {
    steps = play(played->ranks, played->meetings, kMoreSteps);
    made.step = length(kMoreSteps - 1);
  }
  for (std::size_t r = 0; r < played->ranks.size(); ++r)
    made.ranks.push_back(times_of(*played->programs[r], played->ranks[r], steps.back().spans[r]));
  return made;
}

// ---- memory ------------------------------------------------------------------------------------

// An op by the last pass before it, and its number among the ops since then.
struct OpPlace {
  std::optional<OpKind> pass;  // none: before all
  SegmentId begin;
  std::int64_t micro_batch = 0;
  std::size_t order = 0;
  friend auto operator<=>(const OpPlace&, const OpPlace&) = default;
};
struct LiveOp {
  OpPlace place;
  std::int64_t live = 0;
};

std::vector<LiveOp> live_ops(const RankProgram& program) {
  const MemoryCurve curve = memory_curve(program);
  std::vector<LiveOp> made;
  OpPlace place;
  for (std::size_t id = 0; id < program.ops.size(); ++id) {
    const Op& op = program.ops[id];
    if (is_pass(op.kind)) {
      const Compute& it = compute_of(op);
      place = {op.kind, it.begin, static_cast<std::int64_t>(it.micro_batch.value()), 0};
    }
    made.push_back({place, curve.live[id].bytes()});
    ++place.order;
  }
  return made;
}

RankPeak peak_of(const RankProgram& program, const std::vector<LiveOp>& ops) {
  RankPeak peak;
  OpPlace at;
  for (const LiveOp& op : ops) {
    if (op.live > peak.live) peak.live = op.live, at = op.place;
  }
  for (const Stage& stage : program.stages) {
    if (stage.begin <= at.begin && at.begin < stage.end) peak.stage = stage.number.value();
  }
  const bool is_forward = !at.pass || *at.pass == OpKind::forward;
  peak.action = is_forward                           ? StageAction::forward
                : at.pass == OpKind::backward_weight ? StageAction::weight
                                                     : StageAction::backward;
  return peak;
}

// Of so many turns more than `more` has, each as the one that it has in its midst above `few`.
std::optional<RankPeak> peak_onward(const RankProgram& few, const RankProgram& more,
                                    std::int64_t turn, std::int64_t further) {
  std::map<OpPlace, std::int64_t> known;
  for (const LiveOp& op : live_ops(few))
    known[op.place] = op.live;
  const std::int64_t middle = few.micro_batches / turn / 2 * turn;
  std::vector<LiveOp> far;
  for (LiveOp op : live_ops(more)) {
    if (middle <= op.place.micro_batch && op.place.micro_batch < middle + turn) continue;
    OpPlace there = op.place;
    if (there.micro_batch >= middle + turn) there.micro_batch -= turn;
    const auto found = known.find(there);
    if (found == known.end()) return std::nullopt;
    op.live += further * (op.live - found->second);
    far.push_back(op);
  }
  return peak_of(more, far);
}

// ---- all of it ---------------------------------------------------------------------------------

class Step {
 public:
  Step(const PlayedPipelineSettings& settings, const Training& training, const Device& device)
      : settings_(settings), training_(training), device_(device) {}

  std::optional<PlayedPipelineStep> run() {
    const std::int64_t few = micro_batches_read(settings_.shape);
    const std::int64_t all = settings_.shape.micro_batches;
    const std::int64_t turn = turn_of(settings_.shape);
    if (few == all) return alone();
    const Plan short_plan = plan_of(settings_, training_, few),
               long_plan = plan_of(settings_, training_, few + turn);
    const std::int64_t further = (all - few) / turn - 1;
    std::vector<RankPeak> peaks;
    for (std::size_t r = 0; r < short_plan.programs.size(); ++r) {
      const auto peak = peak_onward(short_plan.programs[r], long_plan.programs[r], turn, further);
      if (!peak) return alone();
      peaks.push_back(*peak);
    }
    const auto less = times_of(short_plan, costs()), more = times_of(long_plan, costs());
    if (!less || !more) return std::nullopt;
    return made(long_plan, onward(*less, *more, static_cast<double>(further)), std::move(peaks));
  }

 private:
  PlayingCosts costs() const {
    return {settings_.rank_net, settings_.costs, device_, settings_.norm};
  }

  // From its own plan.
  std::optional<PlayedPipelineStep> alone() const {
    const Plan plan = plan_of(settings_, training_, settings_.shape.micro_batches);
    const auto times = times_of(plan, costs());
    if (!times) return std::nullopt;
    std::vector<RankPeak> peaks;
    for (const RankProgram& program : plan.programs)
      peaks.push_back(peak_of(program, live_ops(program)));
    return made(plan, *times, std::move(peaks));
  }

  PlayedPipelineStep made(const Plan& plan, const Times& times, std::vector<RankPeak> peaks) const {
    PlayedPipelineStep made{summary(times), std::move(peaks), {}};
    for (const RankProgram& program : plan.programs)
      made.stand_ins.push_back(
          settings_.has_stand_ins
              ? gradient_stand_ins(settings_.rank_net, program.stages, training_)
              : Bytes{});
    return made;
  }

  StepTimes summary(const Times& times) const {
    StepTimes made;
    made.step_time = times.step;
    double longest = -1, most = -1;
    for (std::size_t r = 0; r < times.ranks.size(); ++r) {
      const RankTimes& own = times.ranks[r];
      const double span = own.end - own.begin;
      if (span > longest) {
        longest = span;
        made.bubble_fraction = span > 0 ? std::max(0.0, 1 - own.passes / span) : 0;
      }
      if (settings_.costs.meets_others()) made.contention = std::max(made.contention, own.waited);
      if (own.passes + own.updates <= most) continue;
      most = made.compute = own.passes + own.updates;
      made.link = own.exchanging;
    }
    return made;
  }

  const PlayedPipelineSettings& settings_;
  const Training& training_;
  const Device& device_;
};

}  // namespace

PipelineShape shape_played(PipelineShape shape) {
  const std::int64_t few = micro_batches_read(shape);
  if (few < shape.micro_batches) shape.micro_batches = few + turn_of(shape);
  return shape;
}

std::optional<PlayedPipelineStep> played_pipeline_step(const PlayedPipelineSettings& settings,
                                                       const Training& training,
                                                       const Device& device) {
  return Step(settings, training, device).run();
}

}  // namespace rehearse
