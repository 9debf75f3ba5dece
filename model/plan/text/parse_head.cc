#include <fmt/format.h>

#include <array>
#include <set>

#include "model/base/check.h"
#include "model/base/text.h"
#include "model/net/width.h"
#include "model/plan/text/parse_pieces.h"

namespace rehearse::plan_text {
namespace {

class Head {
 public:
  explicit Head(Lines& lines) : lines_(lines) { places_.source = lines.source(); }

  ParsedPlan run() {
    version(next());
    strategy(next());
    model(next());
    training(next());
    optimizer(next());
    rate(next());
    mesh(next());
    tensor(next());
    recomputation(next());
    Line line = next();
    while (is_unusual(line))
      line = next();
    micro_batch(std::move(line));
    branch_scale(next());
    stage_costs(next());
    return {std::move(plan_), std::move(places_)};
  }

 private:
  Line next() { return lines_.next(); }

  void version(Line line) {
    line.literal("rehearse");
    line.literal("plan");
    const Word version = line.word("a version");
    if (integer(version) != Plan::kVersion) {
      throw Malformed{version.where,
                      fmt::format("this is version {} of the plan's form, expected {}",
                                  version.text, Plan::kVersion)};
    }
    line.finish();
  }

  void strategy(Line line) {
    line.literal("strategy");
    plan_.strategy = line.word("a name").text;
    line.finish();
  }

  void model(Line line) {
    line.literal("model");
    places_.model = lines_.number();
    const Word kind = line.word("a model kind");
    const ModelBuilder* builder = find_model_builder(kind.text);
    if (builder == nullptr)
      throw Malformed{kind.where, fmt::format("there is no model kind '{}'", kind.text)};
    plan_.model.kind = kind.text;
    for (const ModelField& field : builder->fields) {
      if (field.is_tacit && !line.continues_with(field.name)) {
        plan_.model.fields.emplace(field.name, field.preset);
        continue;
      }
      const Word value = line.field(field.name);
      const auto parsed = parse_field(field.kind, value.text);
      if (!parsed) expected(describe(field.kind), value);
      plan_.model.fields.emplace(field.name, *parsed);
    }
    line.finish();
  }

  void training(Line line) {
    line.literal("training");
    places_.training = lines_.number();
    plan_.training.data = line.field("data").text;
    plan_.training.augmentation = augmentation(line.field("augment"));
    plan_.training.batch = integer(line.field("batch"));
    plan_.training.dtype = data_type(line.field("dtype"));
    plan_.training.steps = integer(line.field("steps"));
    plan_.training.seed = static_cast<std::uint64_t>(integer(line.field("seed")));
    plan_.training.reduction = named(line.field("reduction"), "fast or exact", Reduction::exact);
    if (line.continues_with("gradients"))
      plan_.training.gradients = data_type(line.field("gradients"));
    line.finish();
  }

  DataType data_type(const Word& word) {
    const auto type = parse_data_type(word.text);
    if (!type) expected("a data type", word);
    return *type;
  }

  Augmentation augmentation(const Word& word) {
    Augmentation augmentation;
    if (word.text == "-") return augmentation;
    for (const std::string_view change : split(word.text, ',')) {
      bool& does = change == "crop" ? augmentation.crop : augmentation.flip;
      if ((change != "crop" && change != "flip") || does) expected("crop, flip, both or -", word);
      does = true;
    }
    return augmentation;
  }

  void optimizer(Line line) {
    line.literal("optimizer");
    Optimizer& optimizer = plan_.training.optimizer;
    const Word kind = line.word("an optimizer");
    optimizer.lr = real(line.field("lr"));
    optimizer.weight_decay = real(line.field("weight_decay"));
    if (kind.text == "sgd") {
      optimizer.rule = Sgd{real(line.field("momentum"))};
    } else if (kind.text == "adam" || kind.text == "adamw") {
      Adam adam;
      adam.decoupled = kind.text == "adamw";
      adam.beta1 = real(line.field("beta1"));
      adam.beta2 = real(line.field("beta2"));
      adam.epsilon = real(line.field("epsilon"));
      optimizer.rule = adam;
    } else {
      expected("sgd, adam or adamw", kind);
    }
    if (!line.at_end()) optimizer.clip = clip(line.field("clip"));
    line.finish();
  }

  static double clip(const Word& word) {
    const double norm = real(word);
    if (norm <= 0) expected("a number above 0", word);
    return norm;
  }

  void rate(Line line) {
    line.literal("rate");
    RateSchedule& schedule = plan_.training.optimizer.schedule;
    schedule.warmup = integer(line.field("warmup"));
    schedule.decay = named(line.field("decay"), "a decay", RateDecay::step);
    schedule.last = real(line.field("last"));
    const Word every = line.field("every");
    schedule.every = integer(every);
    if (schedule.every < 1) expected("a number of steps", every);
    schedule.factor = real(line.field("factor"));
    line.finish();
  }

  void mesh(Line line) {
    line.literal("mesh");
    places_.mesh = lines_.number();
    std::set<Axis> seen;
    for (Axis& axis : plan_.mesh.order) {
      const Word word = line.word("an axis");
      const std::size_t equals = word.text.find('=');
      if (equals == std::string_view::npos) expected("an axis such as data=4", word);
      axis = named(part(word, 0, equals), "an axis", Axis::tensor);
      if (!seen.insert(axis).second) expected("every axis once", word);
      size_of(axis) = integer(tail(word, equals + 1));
    }
    line.finish();
  }

  void tensor(Line line) {
    line.literal("tensor");
    plan_.sequence_parallel = integer(line.field("sequence_parallel")) != 0;
    line.finish();
  }

  void recomputation(Line line) {
    line.literal("recomputation");
    plan_.recomputation =
        named(line.word("what is recomputed"), "none, selective or full", Recomputation::full);
    line.finish();
  }

  std::int64_t& size_of(Axis axis) {
    switch (axis) {
      case Axis::data:
        return plan_.mesh.data;
      case Axis::subnetwork:
        return plan_.mesh.workers;
      case Axis::pipeline:
        return plan_.mesh.pipeline;
      case Axis::tensor:
        return plan_.mesh.tensor;
    }
    REHEARSE_UNREACHABLE("axis");
  }

  // ---- what is as in most plans unless a line says otherwise
  // -------------------------------------

  struct Unusual {
    std::string_view keyword;
    void (Head::*read)(Line& line);
  };

  bool is_unusual(Line& line) {
    static constexpr std::array<Unusual, 8> kUnusual = {{{"widths", &Head::widths},
                                                         {"always_held", &Head::always_held},
                                                         {"masking", &Head::masking},
                                                         {"averaging", &Head::averaging},
                                                         {"stochastic_depth", &Head::survival},
                                                         {"redraw", &Head::redraw},
                                                         {"local_steps", &Head::local_steps},
                                                         {"outer", &Head::outer}}};
    for (const Unusual& unusual : kUnusual) {
      if (line.keyword() != unusual.keyword) continue;
      line.literal(unusual.keyword);
      (this->*unusual.read)(line);
      line.finish();
      return true;
    }
    return false;
  }

  void widths(Line& line) {
    const Word units = line.field("units");
    if (integer(units) < 2 || integer(units) > kMostWidthUnits)
      expected(fmt::format("2 to {} units", kMostWidthUnits), units);
    plan_.units.of_width = integer(units);
    if (!line.at_end()) {
      for (const Word& axis : items(line.field("axes")))
        plan_.units.axes.push_back(named(axis, "a width axis", WidthAxis::channels));
    }
  }

  void always_held(Line& line) { plan_.units.always_held = ids<BlockId>(line.field("blocks")); }

  void masking(Line& line) {
    plan_.masking = named(line.word("a masking"), "forward or backward", Masking::backward);
  }

  void averaging(Line& line) {
    plan_.averaging = named(line.word("an averaging"), "holders or all", Averaging::all);
  }

  void survival(Line& line) {
    const Word survival = line.field("survival");
    if (!(real(survival) > 0 && real(survival) <= 1)) expected("a probability above 0", survival);
    plan_.survival = real(survival);
  }

  void redraw(Line& line) {
    const Word every = line.field("every");
    if (integer(every) < 1) expected("1 step or more", every);
    plan_.redraw = integer(every);
  }

  void local_steps(Line& line) {
    places_.local_steps = lines_.number();
    const Word steps = line.word("a number of steps");
    if (integer(steps) < 2) expected("2 steps or more", steps);
    plan_.local_steps = integer(steps);
    const Word synchronises = line.field("synchronises");
    if (synchronises.text != "yes" && synchronises.text != "no")
      expected("yes or no", synchronises);
    plan_.synchronises = synchronises.text == "yes";
  }

  void outer(Line& line) {
    if (places_.local_steps == 0) places_.local_steps = lines_.number();
    const double lr = real(line.field("lr"));
    plan_.outer = OuterOptimizer{lr, real(line.field("momentum"))};
  }

  // ---- numbers
  // -----------------------------------------------------------------------------------

  void micro_batch(Line line) {
    line.literal("micro_batch");
    places_.micro_batch = lines_.number();
    plan_.micro_batch_samples = integer(line.field("samples"));
    line.finish();
  }

  void branch_scale(Line line) {
    line.literal("branch_scale");
    plan_.branch_scale_in_training = real(line.field("training"));
    plan_.branch_scale_at_test = real(line.field("test"));
    line.finish();
  }

  void stage_costs(Line line) {
    line.literal("stage_costs");
    const auto list = [&](std::string_view key, std::vector<double>& into) {
      for (const Word& cost : items(line.field(key)))
        into.push_back(real(cost));
    };
    list("forward", plan_.stage_costs.forward);
    list("backward_input", plan_.stage_costs.backward_input);
    list("backward_weight", plan_.stage_costs.backward_weight);
    plan_.stage_costs.transfer = real(line.field("transfer"));
    line.finish();
  }

  Lines& lines_;
  Plan plan_;
  PlanPlaces places_;
};

}  // namespace

ParsedPlan parse_head(Lines& lines) {
  return Head(lines).run();
}

}  // namespace rehearse::plan_text
