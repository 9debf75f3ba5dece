#include "tests/schedule/random_strategy.h"

#include <fmt/format.h>

#include <algorithm>

#include "model/net/model_spec.h"
#include "model/schedule/pipeline.h"

namespace rehearse::testing {
namespace {

class Draw {
 public:
  explicit Draw(Random& random) : random_(random) {}

  std::int64_t between(std::int64_t low, std::int64_t high) {
    return low +
           static_cast<std::int64_t>(random_.below(static_cast<std::uint64_t>(high - low + 1)));
  }
  bool one_in(std::uint64_t n) { return random_.below(n) == 0; }
  template <class T>
  T one_of(const std::vector<T>& items) {
    return items[random_.below(items.size())];
  }
  AxisOrder order() {
    AxisOrder order = kAxisOrder;
    random_.shuffle(std::span<Axis>(order));
    return order;
  }
  double cost() { return 0.1 + random_.uniform(); }

 private:
  Random& random_;
};

ModelSpec random_transformer(Draw& draw, const std::string& kind) {
  const std::int64_t heads = draw.one_of<std::int64_t>({2, 4});
  const std::int64_t sequence = draw.one_of<std::int64_t>({4, 6, 8});
  ModelSpec model{kind,
                  {{"layers", {draw.between(1, 6)}},
                   {"width", {heads * draw.one_of<std::int64_t>({2, 4})}},
                   {"heads", {heads}},
                   {"sequence", {sequence}},
                   {"vocabulary", {draw.between(7, 40)}},
                   {"fused", {draw.between(0, 1)}}}};
  if (kind == "gpt") {
    model.fields["positions"] = {sequence};
    model.fields["tied"] = {draw.between(0, 1)};
  } else {
    model.fields["hidden"] = {4 * draw.between(1, 6)};
    model.fields["kv_heads"] = {draw.one_of<std::int64_t>({1, 2, heads})};
  }
  return model;
}

ModelSpec random_model(Draw& draw) {
  const auto kind =
      draw.one_of<std::string>({"mlp", "resnet20", "vit", "gpt", "gpt", "llama", "llama"});
  if (kind == "resnet20") {
    const std::int64_t side = draw.one_of<std::int64_t>({8, 12});
    return {kind,
            {{"image", {side, side, draw.between(1, 3)}}, {"classes", {draw.between(2, 10)}}}};
  }
  if (kind == "vit") {
    return {kind,
            {{"image", {8, 4, draw.between(1, 3)}},
             {"patch", {draw.one_of<std::int64_t>({2, 4})}},
             {"layers", {draw.between(1, 5)}},
             {"width", {12}},
             {"heads", {draw.one_of<std::int64_t>({1, 2, 3})}},
             {"classes", {draw.between(2, 10)}}}};
  }
  if (kind != "mlp") return random_transformer(draw, kind);
  std::vector<std::int64_t> hidden;
  for (std::int64_t layers = draw.between(1, 6); layers > 0; --layers)
    hidden.push_back(draw.between(1, 20));
  return {kind, {{"image", {4, draw.between(1, 4), 1}}, {"hidden", hidden}, {"classes", {5}}}};
}

PipelineSpec random_pipeline(Draw& draw) {
  PipelineSpec pipeline;
  const PipelineSchedule& schedule = draw.one_of(pipeline_schedules());
  pipeline.schedule = schedule.name;
  pipeline.stages = draw.between(1, 4);
  pipeline.micro_batches = draw.between(1, 8);
  // Interleaving wants multiples of the ranks, DualPipe-V at least two per rank.
  if (!draw.one_in(3)) pipeline.micro_batches = *pipeline.stages * draw.between(1, 3);
  if (draw.one_in(2)) {
    pipeline.chunks =
        draw.between(schedule.fewest_chunks, std::min<std::int64_t>(schedule.most_chunks, 3));
  }
  if (schedule.takes_live_limit && draw.one_in(2)) {
    pipeline.live = draw.cost() + static_cast<double>(draw.between(0, 8));
    pipeline.kept_after_input = draw.one_in(2) ? 1 : 0.5;
  }
  if (draw.one_in(4)) pipeline.exchange = draw.one_of(stage_exchanges());
  if (!draw.one_in(8)) return pipeline;
  // The same passes, but from a table.
  PipelineShape shape{*pipeline.stages, 2, pipeline.micro_batches, Placement::loop};
  const PipelineSchedule& gpipe = *find_pipeline_schedule("gpipe");
  shape.chunks = 1;
  pipeline.schedule = gpipe.name;
  pipeline.chunks.reset();
  ScheduleTable table{add_messages(shape, gpipe.order({shape, {}, 0, 1})), draw.one_in(2), {}};
  if (!table.has_messages) table = without_messages(table);
  if (table.has_messages) pipeline.exchange = StageExchange::overlapped;  // where they stand in it
  pipeline.table = table;
  return pipeline;
}

SubnetworkSpec random_subnetwork(Draw& draw) {
  SubnetworkSpec subnetwork;
  const std::int64_t workers = draw.between(1, 4);
  subnetwork.workers = workers;
  subnetwork.coverage = {draw.between(1, workers), workers};
  if (draw.one_in(4)) subnetwork.coverage = {1, 3};
  if (draw.one_in(4)) subnetwork.construction = Construction::width;
  if (draw.one_in(3)) subnetwork.masking = Masking::backward;
  if (draw.one_in(4)) subnetwork.averaging = Averaging::all;
  if (draw.one_in(4))
    subnetwork.axes = {draw.one_of<WidthAxis>({WidthAxis::hidden, WidthAxis::heads})};
  if (draw.one_in(6)) {
    for (std::int64_t w = 0; w < workers; ++w)
      subnetwork.coverages.push_back({w % 2 == 0 ? 3 : 1, 4});
  }
  if (draw.one_in(4)) subnetwork.holders = draw.between(1, workers);
  if (draw.one_in(3)) {
    subnetwork.assignment = draw.one_of<AssignmentKind>(
        {AssignmentKind::nested, AssignmentKind::random, AssignmentKind::rolling});
    subnetwork.coverages.clear();
    for (std::int64_t w = 0; w < workers; ++w)
      subnetwork.coverages.push_back({draw.between(1, 4), 4});
    if (draw.one_in(2)) subnetwork.width_units = draw.between(2, 6);
    if (draw.one_in(2)) subnetwork.redraw = 100;
    subnetwork.draw = draw.between(0, 4);
  }
  subnetwork.scaling =
      draw.one_of<Scaling>({Scaling::at_test, Scaling::in_training, Scaling::none});
  subnetwork.balance = draw.one_of<Balance>({Balance::flops, Balance::parameters, Balance::saved});
  return subnetwork;
}

StrategySpec random_strategy(Draw& draw) {
  StrategySpec strategy;
  strategy.name = "random";
  strategy.data = draw.between(1, 3);
  strategy.sharding = draw.one_of<Sharding>(
      {Sharding::none, Sharding::optimizer_state, Sharding::gradients, Sharding::parameters});
  strategy.prefetch = draw.between(0, 2);
  if (draw.one_in(2)) strategy.pipeline = random_pipeline(draw);
  if (draw.one_in(3))
    strategy.tensor = TensorSpec{draw.one_of<std::int64_t>({1, 2, 4}), draw.one_in(2)};
  const bool has_shares = strategy.pipeline && *strategy.pipeline->stages > 1 && strategy.tensor &&
                          *strategy.tensor->ranks > 1 && !strategy.tensor->sequence_parallel;
  if (has_shares) strategy.pipeline->scatter_gather = draw.one_in(2);
  if (draw.one_in(3)) strategy.subnetwork = random_subnetwork(draw);
  strategy.micro_batches = draw.between(1, 4);
  strategy.bucket = Bytes::bytes(draw.one_of<std::int64_t>({1, 200, 2'000, 50'000, 25 << 20}));
  strategy.overlap = draw.one_in(2);
  strategy.recomputation = draw.one_of<Recomputation>(
      {Recomputation::none, Recomputation::selective, Recomputation::full});
  strategy.order = draw.order();
  return strategy;
}

std::int64_t ranks_of(const StrategySpec& strategy) {
  return *strategy.data * (strategy.pipeline ? *strategy.pipeline->stages : 1) *
         (strategy.tensor ? *strategy.tensor->ranks : 1) *
         (strategy.subnetwork ? *strategy.subnetwork->workers : 1);
}

StageCosts random_costs(Draw& draw, std::size_t blocks) {
  StageCosts costs;
  for (auto* pass : {&costs.forward, &costs.backward_input, &costs.backward_weight}) {
    for (std::size_t b = 0; b < blocks; ++b)
      pass->push_back(draw.cost());
  }
  costs.transfer = draw.one_in(2) ? draw.cost() : 0;
  return costs;
}

// Mostly without what would have to be exchanged in every step.
void make_local(RandomCase& c, Draw& draw) {
  c.strategy.local_steps = draw.between(2, 5);
  c.strategy.synchronises = !draw.one_in(3);
  if (!draw.one_in(4)) c.strategy.outer = OuterOptimizer{0.7, draw.one_of<double>({0, 0.9})};
  if (draw.one_in(8)) return;
  c.strategy.sharding = Sharding::none;
  if (c.strategy.tensor) c.strategy.tensor->sequence_parallel = false;
  if (c.strategy.subnetwork) {
    c.strategy.subnetwork->masking = Masking::forward;
    c.strategy.subnetwork->averaging = Averaging::holders;
  }
}

}  // namespace

RandomCase random_case(Random& random) {
  Draw draw(random);
  RandomCase c;
  c.strategy = random_strategy(draw);
  c.model = random_model(draw);
  // Tensor parallelism is of transformers.
  if (c.strategy.tensor && *c.strategy.tensor->ranks > 1 && !draw.one_in(8))
    c.model = random_transformer(draw, draw.one_in(2) ? "gpt" : "llama");
  c.devices = ranks_of(c.strategy);
  const std::int64_t parts = *c.strategy.data * micro_batches_of(c.strategy) *
                             (c.strategy.subnetwork ? *c.strategy.subnetwork->workers : 1);
  c.training.data = "synthetic";
  c.training.batch = parts * draw.between(1, 2) + (draw.one_in(16) ? 1 : 0);
  c.training.dtype = draw.one_of<DataType>({DataType::fp32, DataType::bf16});
  c.training.optimizer.rule = draw.one_of<std::variant<Sgd, Adam>>({Sgd{}, Sgd{0.9}, Adam{}});
  c.training.seed = static_cast<std::uint64_t>(draw.between(1, 100));
  if (draw.one_in(16)) ++c.devices;
  if (draw.one_in(2)) c.strategy.data.reset();
  if (c.model.kind != "resnet20" && draw.one_in(4))
    c.model.fields["dropout"] = {draw.between(1, kMillionths - 1)};
  const Result<Net> net = build_net(c.model);
  c.costs = random_costs(draw, net ? net->blocks.size() : 0);
  if (draw.one_in(4)) make_local(c, draw);
  return c;
}

std::string describe(const RandomCase& c) {
  const StrategySpec& s = c.strategy;
  std::string text =
      fmt::format("{} on {} devices, batch {} of {}, {} moments:", c.model.kind, c.devices,
                  c.training.batch, to_string(c.training.dtype), moments_of(c.training.optimizer));
  for (const auto& [field, numbers] : c.model.fields)
    text += fmt::format(" {}={}", field, fmt::join(numbers, ","));
  text += fmt::format(
      "; data={} sharding={} prefetch={} micro_batches={} bucket={} overlap={} "
      "recomputation={} order=",
      s.data.value_or(0), to_string(s.sharding), s.prefetch, s.micro_batches, s.bucket.bytes(),
      s.overlap, to_string(s.recomputation));
  if (s.local_steps > 1) {
    text += fmt::format("local_steps={} synchronises={} outer={} order=", s.local_steps,
                        s.synchronises, s.outer ? s.outer->momentum : -1);
  }
  for (const Axis axis : s.order)
    text += fmt::format("{} ", to_string(axis));
  if (s.pipeline) {
    text += fmt::format(
        "; {} stages={} micro_batches={} chunks={} live={} kept={} table={}", s.pipeline->schedule,
        s.pipeline->stages.value_or(0), s.pipeline->micro_batches, s.pipeline->chunks.value_or(0),
        s.pipeline->live.value_or(0), s.pipeline->kept_after_input, s.pipeline->table.has_value());
  }
  if (s.tensor)
    text += fmt::format("; tensor={} sequence_parallel={}", *s.tensor->ranks,
                        s.tensor->sequence_parallel);
  if (s.subnetwork) {
    std::vector<std::string> coverages;
    for (const Fraction& coverage : s.subnetwork->coverages)
      coverages.push_back(to_string(coverage));
    text += fmt::format(
        "; workers={} {} {} {} coverage={},{} holders={} units={} redraw={} draw={} {} {}",
        *s.subnetwork->workers, to_string(s.subnetwork->construction),
        to_string(s.subnetwork->masking), to_string(s.subnetwork->assignment),
        to_string(s.subnetwork->coverage), fmt::join(coverages, ","),
        s.subnetwork->holders.value_or(0), s.subnetwork->width_units.value_or(0),
        s.subnetwork->redraw.value_or(0), s.subnetwork->draw, to_string(s.subnetwork->scaling),
        to_string(s.subnetwork->balance));
  }
  return text;
}

}  // namespace rehearse::testing
