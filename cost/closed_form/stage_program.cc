#include "cost/closed_form/stage_program.h"

#include <algorithm>
#include <set>

#include "cost/cost_model.h"

namespace rehearse {
namespace {

constexpr std::int64_t kMicroBatches = 1;  // whose gradients are reduced, on a lane of its own
constexpr std::size_t kHolders = 2;        // any number: their chunks are not counted

// All that a rank program is made from.
class Frame {
 public:
  Frame(const Net& net, std::size_t begin, std::size_t end, const std::vector<SegmentId>& complete,
        const ProgramSettings& settings)
      : net_(net),
        begin_(begin_of(net, BlockId(begin))),
        end_(end_of(net, BlockId(end - 1))),
        is_first_(begin == 0),
        is_last_(end == net.blocks.size()) {
    frame_.micro_batches = kMicroBatches;
    frame_.recomputation = settings.recomputation;
    frame_.collective_costs = &no_costs_;
    if (settings.tensor > 1) frame_.tensor_group = 1;
    frame_.overlaps_tensor = settings.overlaps_tensor;
    frame_.scatters = settings.scatters;
    frame_.tensor_layout = {static_cast<std::size_t>(settings.tensor), std::nullopt};
    place();
    list_actions(settings.splits_backward);
    hold(complete);
  }

  ActionProgram program(const Training& training) const {
    return action_program(net_, frame_, training, {own_}, buckets_, {0});
  }
  std::vector<StageAction> actions() const { return actions_; }
  const std::vector<Bucket>& buckets() const { return buckets_; }

 private:
  void place() {
    if (!is_first_) frame_.starts.emplace_back(0);
    stage_ = StageId(frame_.starts.size());
    frame_.starts.push_back(begin_);
    frame_.starts.push_back(end_);
    if (!is_last_) frame_.starts.push_back(end_segment(net_));
    frame_.stages = {{stage_, begin_, end_}};
    frame_.peers.assign(frame_.starts.size() - 1, 0);
    frame_.peers[stage_.index()] = std::nullopt;
    if (!is_last_) frame_.peers.back() = is_first_ ? 0 : 1;
  }

  void list_actions(bool splits) {
    for (std::int64_t m = 0; m < kMicroBatches; ++m) {
      const auto add = [&](StageAction kind, ActionKind action, bool is_there) {
        if (!is_there) return;
        actions_.push_back(kind);
        frame_.actions.push_back({action, stage_, MicroBatchId(m)});
      };
      add(StageAction::receive_forward, ActionKind::receive_forward, !is_first_);
      add(StageAction::forward, ActionKind::forward, true);
      add(StageAction::send_forward, ActionKind::send_forward, !is_last_);
      add(StageAction::receive_backward, ActionKind::receive_backward, !is_last_);
      add(StageAction::backward, splits ? ActionKind::backward_input : ActionKind::backward, true);
      add(StageAction::send_backward, ActionKind::send_backward, !is_first_);
      add(StageAction::weight, ActionKind::backward_weight, splits);
    }
  }

  // One class and, from each completion to the next, one bucket.
  void hold(const std::vector<SegmentId>& complete) {
    class_.workers = {true};
    class_.pipeline = {true};
    class_.parameters = parameters_of(net_, begin_, end_);
    std::reverse(class_.parameters.begin(), class_.parameters.end());
    own_.holder_class = &class_;
    if (!complete.empty()) own_.group = 0, own_.members = kHolders;
    const std::map<ParameterId, SegmentId> first = first_uses();
    const std::set<ParameterId> trained = trained_parameters();
    auto from = complete.rbegin();
    for (const ParameterId parameter : class_.parameters) {
      while (from != complete.rend() && first.at(parameter) < *from)
        ++from;
      if (from != complete.rend() && (buckets_.empty() || buckets_.back().first_use != *from))
        buckets_.push_back({0, class_.elements, class_.elements, {}, *from});
      class_.elements += net_.parameters[parameter.index()].shape.elements();
      if (from == complete.rend() || trained.count(parameter) == 0) continue;
      buckets_.back().parameters.push_back(parameter);
      buckets_.back().end = class_.elements;
    }
  }

  // Others are read only: nobody waits for their gradients.
  std::set<ParameterId> trained_parameters() const {
    std::set<ParameterId> trained;
    for (SegmentId s = begin_; s < end_; s = SegmentId(s.value() + 1)) {
      for (const LayerId id : net_.segments[s.index()].layers) {
        const Layer& layer = net_.layers[id.index()];
        if (trains(layer)) trained.insert(layer.parameters.begin(), layer.parameters.end());
      }
    }
    return trained;
  }

  std::map<ParameterId, SegmentId> first_uses() const {
    std::map<ParameterId, SegmentId> first;
    for (SegmentId s = begin_; s < end_; s = SegmentId(s.value() + 1)) {
      for (const LayerId layer : net_.segments[s.index()].layers) {
        for (const ParameterId parameter : net_.layers[layer.index()].parameters)
          first.try_emplace(parameter, s);
      }
    }
    return first;
  }

  const Net& net_;
  const SegmentId begin_, end_;
  const bool is_first_, is_last_;
  const CollectiveCosts no_costs_;
  StageId stage_;
  RankFrame frame_;
  HolderClass class_;
  OwnClass own_;
  std::vector<Bucket> buckets_;
  std::vector<StageAction> actions_;
};

}  // namespace

// ---- networks ----------------------------------------------------------------------------------

namespace {

Net with_repeats(const Net& net, const BlockRun& run, std::size_t repeats) {
  if (run.size() <= repeats) return net;
  return without_blocks(net, run.begin + 1, run.end - repeats + 1);
}

}  // namespace

NetVariants::NetVariants(Net net)
    : whole(std::move(net)),
      run(longest_run(alike_blocks(whole))),
      few(with_repeats(whole, run, kFewRepeats)),
      one_more(with_repeats(whole, run, kFewRepeats + 1)),
      midst(with_repeats(whole, run, kMidst)) {}

bool are_alike(const Net& a, const Net& b) {
  const auto same_facts = [](const LayerFacts& x, const LayerFacts& y) {
    return x.saves_input == y.saves_input && x.saves_output == y.saves_output &&
           x.auxiliaries.size() == y.auxiliaries.size() &&
           x.forward_in_place == y.forward_in_place && x.backward_in_place == y.backward_in_place &&
           x.splits_backward == y.splits_backward;
  };
  const auto same_layer = [&](const Layer& x, const Layer& y) {
    return x.spec.index() == y.spec.index() && x.segment == y.segment && x.inputs == y.inputs &&
           x.output == y.output && x.parameters == y.parameters && x.bypass == y.bypass &&
           x.frozen == y.frozen && x.in_place == y.in_place && same_facts(x.facts, y.facts);
  };
  const auto same_segment = [](const Segment& x, const Segment& y) {
    return x.block == y.block && x.layers == y.layers;
  };
  const auto same_value = [](const Value& x, const Value& y) {
    return x.producer == y.producer && x.needs_gradient == y.needs_gradient &&
           x.exchange == y.exchange;
  };
  const auto same_parameter = [](const Parameter& x, const Parameter& y) {
    return x.segment == y.segment && x.spread == y.spread;
  };
  const auto same = [](const auto& all, const auto& others, auto equal) {
    return std::equal(all.begin(), all.end(), others.begin(), others.end(), equal);
  };
  return a.blocks.size() == b.blocks.size() && same(a.layers, b.layers, same_layer) &&
         same(a.segments, b.segments, same_segment) && same(a.values, b.values, same_value) &&
         same(a.parameters, b.parameters, same_parameter);
}

// ---- parts -------------------------------------------------------------------------------------

PartPass price_part(const Net& net, const PassRange& range, std::int64_t samples,
                    const Training& training, const Device& device) {
  const ElementSizes sizes = element_sizes(training);
  const Lowering lowered = lower(net, range.begin, range.end, range.pass, samples, sizes);
  const OpPrice price = price_pass(net, lowered, samples, sizes, device);
  Seconds kernels;
  for (const Seconds kernel : price.kernels)
    kernels += kernel;
  const double queued = static_cast<double>(price.kernels.size());
  return {{kernels.seconds(), device.launch.seconds() * queued},
          lowered.saved,
          lowered.kept,
          lowered.deferred,
          lowered.scratch};
}

std::size_t PartNumbers::of(const Part& part, std::size_t repeats) {
  // Alike blocks have one number, and those behind them theirs whatever is left of these.
  const auto place = [&](SegmentId segment) {
    const Net& net = nets_.*part.net;
    const BlockRun& run = nets_.run;
    const BlockId block = net.segments[segment.index()].block;
    const std::size_t offset = segment.index() - begin_of(net, block).index();
    std::size_t number = block.index();
    if (number >= run.begin + repeats) {
      number = number + run.size() - repeats;
    } else if (number > run.begin) {
      number = run.begin;
    }
    return std::pair(number, offset);
  };
  const auto [block, offset] = place(part.range.begin);
  const SegmentId last(part.range.end.value() - 1);
  const auto [last_block, last_offset] = place(last);
  const auto [known, is_new] =
      known_.try_emplace({block, offset, last_block,
                          part.range.end.index() - part.range.begin.index(), part.range.pass},
                         parts_.size());
  if (is_new) parts_.push_back(part);
  return known->second;
}

void price_parts(const PartNumbers& numbers, const NetVariants& nets, std::int64_t samples,
                 const Training& training, const Device& device, std::vector<PartPass>& prices) {
  for (std::size_t number = prices.size(); number < numbers.all().size(); ++number) {
    const PartNumbers::Part& part = numbers.all()[number];
    prices.push_back(price_part(nets.*part.net, part.range, samples, training, device));
  }
}

// ---- the program -------------------------------------------------------------------------------

StageProgram::StageProgram(const NetVariants& nets, NetVariant variant, std::size_t repeats,
                           std::size_t begin, std::size_t end,
                           const std::vector<SegmentId>& complete, const ProgramSettings& settings,
                           const Training& training, PartNumbers& numbers)
    : StageProgram(nets.*variant, begin, end, complete, settings, training,
                   [&](const PassRange& part) {
                     return numbers.of({variant, part}, repeats);
                   }) {}

StageProgram::StageProgram(const Net& net, std::size_t begin, std::size_t end,
                           const std::vector<SegmentId>& complete, const ProgramSettings& settings,
                           const Training& training,
                           const std::function<std::size_t(const PassRange&)>& number) {
  const Frame frame(net, begin, end, complete, settings);
  actions_ = frame.actions();
  made_ = frame.program(training);
  for (const Bucket& bucket : frame.buckets()) {
    const BlockId block = net.segments[bucket.first_use.index()].block;
    complete_.push_back(
        {block.index() - begin, bucket.first_use.index() - rehearse::begin_of(net, block).index()});
  }
  const RankProgram& program = made_.program;
  parts_.resize(program.ops.size());
  blocks_.resize(program.ops.size(), 0);
  for (std::size_t id = 0; id < program.ops.size(); ++id) {
    const Op& op = program.ops[id];
    if (!is_pass(op.kind)) continue;
    const Compute& compute = compute_of(op);
    parts_[id] = number({compute.begin, compute.end, pass_of(program, op)});
    blocks_[id] = net.segments[compute.begin.index()].block.index() - begin;
  }
}

void StageProgram::resize(const ProgramSizes& given, const Training& training) {
  const ElementSizes sizes = element_sizes(training);
  RankProgram& program = made_.program;
  for (Buffer& buffer : program.buffers) {
    if (buffer.value) buffer.size = size_of(given.net, *buffer.value, given.samples, sizes);
  }
  for (std::size_t id = 0; id < program.ops.size(); ++id) {
    Op& op = program.ops[id];
    if (program.lanes[op.lane.index()].kind == LaneKind::tensor) {
      // All of a value, of which other operands are shares.
      auto& exchange = std::get<Collective>(op.detail);
      std::int64_t whole = 0;
      for (const Operand& operand : op.operands) {
        const Buffer& buffer = program.buffers[operand.buffer.index()];
        if (buffer.kind != BufferKind::communication) whole = std::max(whole, buffer.size.bytes());
      }
      exchange.end = whole / exchange.element_bytes;
      for (const Operand& operand : op.operands) {
        Buffer& buffer = program.buffers[operand.buffer.index()];
        if (buffer.kind != BufferKind::communication) continue;
        const auto ranks = static_cast<std::size_t>(given.tensor);
        buffer.size =
            Bytes::bytes(exchange.element_bytes * room_for(shape_of(op, ranks), exchange.end));
      }
    }
    if (!parts_[id]) continue;
    const PartPass& part = given.parts[*parts_[id]];
    for (const Operand& operand : op.operands) {
      Buffer& buffer = program.buffers[operand.buffer.index()];
      if (buffer.kind == BufferKind::saved) buffer.size = part.saved;
      if (buffer.kind == BufferKind::kept) buffer.size = part.kept;
      if (buffer.kind == BufferKind::deferred) buffer.size = part.deferred;
      if (buffer.kind == BufferKind::scratch) buffer.size = part.scratch;
    }
  }
}

}  // namespace rehearse
