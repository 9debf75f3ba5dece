#include <fmt/format.h>

#include <functional>
#include <set>

#include "model/base/check.h"
#include "model/base/text.h"
#include "model/net/width.h"
#include "model/plan/plan_line.h"
#include "model/plan/plan_text.h"

namespace rehearse {
namespace {

using plan_text::expected;
using plan_text::id_number;
using plan_text::integer;
using plan_text::items;
using plan_text::Line;
using plan_text::Malformed;
using plan_text::part;
using plan_text::range;
using plan_text::real;
using plan_text::tail;
using plan_text::Word;

template <class T>
T id(const Word& word) {
  return T(id_number(word));
}

template <class T>
std::vector<T> ids(const Word& word) {
  std::vector<T> result;
  for (const Word& item : items(word))
    result.push_back(id<T>(item));
  return result;
}

// The enumerator with this name; all of them are tried, so that there is no second list of names.
template <class Enum>
Enum named(const Word& word, std::string_view what, Enum last) {
  for (int k = 0; k <= static_cast<int>(last); ++k) {
    if (to_string(static_cast<Enum>(k)) == word.text) return static_cast<Enum>(k);
  }
  expected(what, word);
}

// ---- lines -----------------------------------------------------------------------------------

class Parser {
 public:
  Parser(const std::string& text, const std::string& name)
      : source_(std::make_shared<SourceText>(name, text)) {
    lines_ = static_cast<int>(split(source_->text(), '\n').size());
  }

  ParsedPlan run() {
    places_.source = source_;
    version(next());
    strategy(next());
    model(next());
    training(next());
    optimizer(next());
    rate(next());
    mesh(next());
    scalars();
    while (more())
      statement();
    return {std::move(plan_), std::move(places_)};
  }

 private:
  bool more() {
    while (number_ < lines_ && Line(source_, number_ + 1).empty())
      ++number_;
    return number_ < lines_;
  }

  Line next() {
    if (!more()) throw Malformed{{source_, std::max(lines_, 1), 1, 0}, "the plan ends too early"};
    return Line(source_, ++number_);
  }

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
    places_.model = number_;
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
    places_.training = number_;
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
    places_.mesh = number_;
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
    Line tensor = next();
    tensor.literal("tensor");
    plan_.sequence_parallel = integer(tensor.field("sequence_parallel")) != 0;
    tensor.finish();
    Line recomputation = next();
    recomputation.literal("recomputation");
    plan_.recomputation = named(recomputation.word("what is recomputed"), "none, selective or full",
                                Recomputation::full);
    recomputation.finish();
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

  // Lines that are there where something is not as in most plans.
  bool is_unusual(Line& line) {
    const std::string_view keyword = line.keyword();
    if (keyword == "widths") return read_widths(line), true;
    if (keyword == "always_held") {
      line.literal("always_held");
      plan_.units.always_held = ids<BlockId>(line.field("blocks"));
    } else if (keyword == "masking") {
      line.literal("masking");
      plan_.masking = named(line.word("a masking"), "forward or backward", Masking::backward);
    } else if (keyword == "averaging") {
      line.literal("averaging");
      plan_.averaging = named(line.word("an averaging"), "holders or all", Averaging::all);
    } else if (keyword == "stochastic_depth") {
      line.literal("stochastic_depth");
      const Word survival = line.field("survival");
      if (!(real(survival) > 0 && real(survival) <= 1)) expected("a probability above 0", survival);
      plan_.survival = real(survival);
    } else if (keyword == "redraw") {
      line.literal("redraw");
      const Word every = line.field("every");
      if (integer(every) < 1) expected("1 step or more", every);
      plan_.redraw = integer(every);
    } else if (keyword == "local_steps") {
      read_local_steps(line);
    } else if (keyword == "outer") {
      line.literal("outer");
      if (places_.local_steps == 0) places_.local_steps = number_;
      const double lr = real(line.field("lr"));
      plan_.outer = OuterOptimizer{lr, real(line.field("momentum"))};
    } else {
      return false;
    }
    line.finish();
    return true;
  }

  void read_local_steps(Line& line) {
    line.literal("local_steps");
    places_.local_steps = number_;
    const Word steps = line.word("a number of steps");
    if (integer(steps) < 2) expected("2 steps or more", steps);
    plan_.local_steps = integer(steps);
    const Word synchronises = line.field("synchronises");
    if (synchronises.text != "yes" && synchronises.text != "no")
      expected("yes or no", synchronises);
    plan_.synchronises = synchronises.text == "yes";
  }

  void read_widths(Line& line) {
    line.literal("widths");
    const Word units = line.field("units");
    if (integer(units) < 2 || integer(units) > kMostWidthUnits)
      expected(fmt::format("2 to {} units", kMostWidthUnits), units);
    plan_.units.of_width = integer(units);
    if (!line.at_end()) {
      for (const Word& axis : items(line.field("axes")))
        plan_.units.axes.push_back(named(axis, "a width axis", WidthAxis::channels));
    }
    line.finish();
  }

  void scalars() {
    Line samples = next();
    while (is_unusual(samples))
      samples = next();
    samples.literal("micro_batch");
    places_.micro_batch = number_;
    plan_.micro_batch_samples = integer(samples.field("samples"));
    samples.finish();
    Line scale = next();
    scale.literal("branch_scale");
    plan_.branch_scale_in_training = real(scale.field("training"));
    plan_.branch_scale_at_test = real(scale.field("test"));
    scale.finish();
    Line costs = next();
    costs.literal("stage_costs");
    const auto list = [&](std::string_view key, std::vector<double>& into) {
      for (const Word& cost : items(costs.field(key)))
        into.push_back(real(cost));
    };
    list("forward", plan_.stage_costs.forward);
    list("backward_input", plan_.stage_costs.backward_input);
    list("backward_weight", plan_.stage_costs.backward_weight);
    plan_.stage_costs.transfer = real(costs.field("transfer"));
    costs.finish();
  }

  void statement() {
    Line line = next();
    const std::string keyword(line.keyword());
    const Word word = line.word("a statement");
    if (keyword == "group") return group(std::move(line));
    if (keyword == "program") return program(std::move(line));
    if (keyword == "rank") return rank(std::move(line));
    const bool of_class =
        keyword == "class" || keyword == "read_class" || keyword == "parked_class";
    const bool inside = keyword == "lane" || of_class || keyword == "buffer" || keyword == "op";
    if (!inside)
      expected("group, program, lane, class, read_class, parked_class, buffer, op or rank", word);
    if (plan_.programs.empty()) {
      throw Malformed{word.where, fmt::format("'{}' stands before the first program", keyword)};
    }
    if (keyword == "lane") return lane(std::move(line));
    if (of_class) return parameter_class(std::move(line), keyword);
    if (keyword == "buffer") return buffer(std::move(line));
    op(std::move(line));
  }

  // Things are numbered in order: the number is there for people, and has to be right.
  static void number(Line& line, std::size_t next) {
    const Word got = line.word("a number");
    if (integer(got) != static_cast<std::int64_t>(next)) expected(std::to_string(next), got);
  }

  void group(Line line) {
    number(line, plan_.groups.size());
    places_.groups.push_back(number_);
    plan_.groups.push_back({ids<RankId>(line.field("ranks"))});
    line.finish();
  }

  void program(Line line) {
    number(line, plan_.programs.size());
    RankProgram program;
    program.name = line.field("name").text;
    for (const Word& stage : items(line.field("stages")))
      program.stages.push_back(this->stage(stage));
    program.micro_batches = integer(line.field("micro_batches"));
    const Word holds = line.field("holds");
    if (holds.text != "-") {
      if (holds.text.find_first_not_of("01") != std::string_view::npos)
        expected("zeros and ones", holds);
      for (const char held : holds.text)
        program.subnetwork.holds.push_back(held == '1');
    }
    if (!line.at_end()) program.branch_scale_in_training = real(line.field("branch_scale"));
    line.finish();
    places_.programs.push_back(number_);
    places_.ops.emplace_back();
    plan_.programs.push_back(std::move(program));
  }

  // "3:6..8"
  static Stage stage(const Word& word) {
    const std::size_t colon = word.text.find(':');
    if (colon == std::string_view::npos) expected("a stage such as 3:6..8", word);
    const auto [begin, end] = range(tail(word, colon + 1));
    return {id<StageId>(part(word, 0, colon)), id<SegmentId>(begin), id<SegmentId>(end)};
  }

  void lane(Line line) {
    RankProgram& program = plan_.programs.back();
    number(line, program.lanes.size());
    const LaneKind kind = named(line.word("a lane"), "a lane", LaneKind::tensor);
    program.lanes.push_back({kind, id<StageId>(line.field("stage"))});
    line.finish();
  }

  void parameter_class(Line line, std::string_view keyword) {
    RankProgram& program = plan_.programs.back();
    number(line, program.parameter_classes.size());
    ParameterClass held;
    held.elements = integer(line.field("elements"));
    const Word group = line.field("group");
    if (group.text != "-") held.group = static_cast<std::size_t>(integer(group));
    held.holders = integer(line.field("holders"));
    held.sharding = named(line.field("sharding"), "a sharding", Sharding::parameters);
    for (const Word& end : items(line.field("buckets")))
      held.buckets.push_back(integer(end));
    held.parameters = ids<ParameterId>(line.field("parameters"));
    held.is_held = keyword == "class";
    const bool has_readers = keyword == "read_class" || (held.is_held && !line.at_end());
    if (has_readers) held.readers = static_cast<std::size_t>(integer(line.field("readers")));
    line.finish();
    program.parameter_classes.push_back(std::move(held));
  }

  void buffer(Line line) {
    RankProgram& program = plan_.programs.back();
    number(line, program.buffers.size());
    Buffer buffer;
    buffer.kind = named(line.field("kind"), "a buffer kind", BufferKind::communication);
    buffer.size = Bytes::bytes(integer(line.field("bytes")));
    const bool of_value = buffer.kind == BufferKind::value || buffer.kind == BufferKind::gradient;
    if (of_value) buffer.value = id<ValueId>(line.field("value"));
    if (is_persistent(buffer.kind) || holds_range(buffer.kind))
      buffer.parameter_class = id<ParameterClassId>(line.field("class"));
    if (holds_range(buffer.kind)) {
      const auto [begin, end] = range(line.field("elements"));
      buffer.begin = integer(begin);
      buffer.end = integer(end);
    }
    line.finish();
    program.buffers.push_back(buffer);
  }

  void op(Line line) {
    RankProgram& program = plan_.programs.back();
    number(line, program.ops.size());
    Op op;
    op.kind = named(line.word("an op kind"), "an op kind", kLastOpKind);
    op.lane = id<LaneId>(line.field("lane"));
    op.after = ids<OpId>(line.field("after"));
    op.detail = detail(op.kind, line);
    for (const Word& item : items(line.field("uses")))
      op.operands.push_back(operand(item));
    line.finish();
    places_.ops.back().push_back(number_);
    program.ops.push_back(std::move(op));
  }

  static decltype(Op::detail) detail(OpKind kind, Line& line) {
    switch (kind) {
      case OpKind::load_batch:
        return Compute{{}, {}, id<MicroBatchId>(line.field("micro_batch"))};
      case OpKind::forward:
      case OpKind::backward:
      case OpKind::backward_input:
      case OpKind::backward_weight:
      case OpKind::recompute: {
        const auto [begin, end] = range(line.field("segments"));
        return Compute{id<SegmentId>(begin), id<SegmentId>(end),
                       id<MicroBatchId>(line.field("micro_batch"))};
      }
      case OpKind::send:
      case OpKind::receive: {
        Transfer transfer;
        transfer.peer = static_cast<std::size_t>(integer(line.field("peer")));
        transfer.tag = integer(line.field("tag"));
        transfer.bytes = Bytes::bytes(integer(line.field("bytes")));
        return transfer;
      }
      case OpKind::clear: {
        Clear clear;
        clear.parameter_class = id<ParameterClassId>(line.field("class"));
        const auto [begin, end] = range(line.field("elements"));
        clear.begin = integer(begin), clear.end = integer(end);
        return clear;
      }
      case OpKind::accumulate: {
        Accumulate accumulate;
        accumulate.parameter_class = id<ParameterClassId>(line.field("class"));
        const auto [begin, end] = range(line.field("elements"));
        accumulate.begin = integer(begin);
        accumulate.end = integer(end);
        accumulate.divisor = integer(line.field("divisor"));
        return accumulate;
      }
      case OpKind::all_reduce:
      case OpKind::reduce_scatter:
      case OpKind::all_gather:
      case OpKind::broadcast: {
        Collective collective;
        collective.group = static_cast<std::size_t>(integer(line.field("group")));
        const Word of = line.field("class");
        if (of.text != "-") collective.parameter_class = id<ParameterClassId>(of);
        const auto [begin, end] = range(line.field("elements"));
        collective.begin = integer(begin);
        collective.end = integer(end);
        collective.element_bytes = integer(line.field("width"));
        collective.divisor = integer(line.field("divisor"));
        collective.algorithm =
            named(line.field("algorithm"), "an algorithm", kLastCollectiveAlgorithm);
        if (collective.algorithm == CollectiveAlgorithm::hierarchical)
          collective.node_members = integer(line.field("node_members"));
        if (collective.algorithm == CollectiveAlgorithm::double_tree)
          collective.pieces = integer(line.field("pieces"));
        if (kind == OpKind::broadcast) collective.sources = integer(line.field("sources"));
        return collective;
      }
      case OpKind::sum_squares:
        return SumSquares{};
      case OpKind::optimizer_step:
      case OpKind::outer_gradient:
      case OpKind::outer_step:
        return Optimize{id<ParameterClassId>(line.field("class"))};
    }
    REHEARSE_UNREACHABLE("op kind");
  }

  static Operand operand(const Word& word) {
    std::string_view text = word.text;
    Operand operand;
    if (text.ends_with('-')) operand.frees = true, text.remove_suffix(1);
    if (text.ends_with('+')) operand.allocates = true, text.remove_suffix(1);
    constexpr std::string_view kAccess = "rwu";
    const std::size_t access = text.empty() ? std::string_view::npos : kAccess.find(text[0]);
    if (access == std::string_view::npos) expected("an operand such as r3 or w4+", word);
    operand.access = static_cast<Access>(access);
    operand.buffer = id<BufferId>(part(word, 1, text.size() - 1));
    return operand;
  }

  void rank(Line line) {
    number(line, plan_.ranks.size());
    RankBinding rank;
    rank.program = id<RankClassId>(line.field("program"));
    rank.peers = ids<RankId>(line.field("peers"));
    rank.groups = ids<GroupId>(line.field("groups"));
    rank.first_micro_batch = integer(line.field("first_micro_batch"));
    rank.slice = integer(line.field("slice"));
    line.finish();
    places_.ranks.push_back(number_);
    plan_.ranks.push_back(std::move(rank));
  }

  std::shared_ptr<const SourceText> source_;
  int lines_ = 0;
  int number_ = 0;  // of the line read last
  Plan plan_;
  PlanPlaces places_;
};

}  // namespace

Result<ParsedPlan> parse_plan(const std::string& text, const std::string& name) {
  try {
    return Parser(text, name).run();
  } catch (const Malformed& malformed) {
    return error_at(malformed.where, malformed.message);
  }
}

}  // namespace rehearse
