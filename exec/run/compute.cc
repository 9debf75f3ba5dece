#include "exec/run/compute.h"

#include <set>
#include <tuple>

#include "exec/bind.h"
#include "model/base/check.h"
#include "model/net/tensor.h"

namespace rehearse::exec {
namespace {

// Buffers an op works on, by what they are for.
class Operands {
 public:
  Operands(const RankProgram& program, const Op& op, const Arena& arena) {
    for (const Operand& operand : op.operands) {
      const Buffer& buffer = program.buffers[operand.buffer.index()];
      std::byte* memory = arena.at(operand.buffer).data();
      switch (buffer.kind) {
        case BufferKind::value:
          values_[*buffer.value] = memory;
          break;
        case BufferKind::gradient:
          gradients_[*buffer.value] = memory;
          break;
        case BufferKind::saved:
          saved_ = memory;
          break;
        case BufferKind::kept:
          kept_ = memory;
          break;
        case BufferKind::deferred:
          deferred_ = memory;
          break;
        case BufferKind::scratch:
          scratch_ = memory;
          break;
        case BufferKind::parameters:
        case BufferKind::gathered:
          weights_.push_back({operand.buffer, &buffer, memory});
          break;
        case BufferKind::gradients:
        case BufferKind::unreduced:
          weight_gradients_.push_back({operand.buffer, &buffer, memory});
          break;
        case BufferKind::optimizer_state:
        case BufferKind::outer_state:
        case BufferKind::squares:
        case BufferKind::communication:
          break;
      }
    }
  }

  std::byte* at(const Place& place) const {
    switch (place.space) {
      case Space::value:
        return values_.at(place.value);
      case Space::gradient:
        return gradients_.at(place.value);
      case Space::saved:
        return saved_ + place.offset.bytes();
      case Space::kept:
        return kept_ + place.offset.bytes();
      case Space::deferred:
        return deferred_ + place.offset.bytes();
      case Space::scratch:
        return scratch_ + place.offset.bytes();
    }
    REHEARSE_UNREACHABLE("space");
  }

  // A parameter's place in the class's flat buffer or in one that holds a range of it; null where
  // the op has nothing to do with it.
  struct Where {
    std::byte* memory = nullptr;
    BufferId buffer;
  };
  Where weights(const ParameterPlace& place, std::int64_t element_bytes) const {
    return find(weights_, place, element_bytes);
  }
  Where weight_gradients(const ParameterPlace& place, std::int64_t element_bytes) const {
    return find(weight_gradients_, place, element_bytes);
  }

 private:
  struct Flat {
    BufferId id;
    const Buffer* buffer;
    std::byte* memory;
  };

  static Where find(const std::vector<Flat>& list, const ParameterPlace& place,
                    std::int64_t element_bytes) {
    for (const Flat& flat : list) {
      if (flat.buffer->parameter_class != place.parameter_class) continue;
      if (!holds_range(flat.buffer->kind))
        return {flat.memory + place.offset * element_bytes, flat.id};
      if (flat.buffer->begin <= place.offset && place.offset < flat.buffer->end)
        return {flat.memory + (place.offset - flat.buffer->begin) * element_bytes, flat.id};
    }
    return {};
  }

  std::vector<Flat> weights_, weight_gradients_;
  std::map<ValueId, std::byte*> values_, gradients_;
  std::byte *saved_ = nullptr, *kept_ = nullptr, *deferred_ = nullptr, *scratch_ = nullptr;
};

// A product whose bias has no gradient from this rank.
class WithoutBias : public Kernel {
 public:
  WithoutBias(std::unique_ptr<Kernel> product, KernelDevice& device, std::int64_t bias_bytes)
      : product_(std::move(product)),
        device_(device),
        bias_bytes_(static_cast<std::size_t>(bias_bytes)) {}

  void run(const KernelArguments& arguments) override {
    product_->run(arguments);
    void* const gradient = arguments.parameter_gradients[1];
    if (gradient == nullptr || arguments.adds_to_parameter_gradients) return;
    device_.fill(gradient, std::byte{}, bias_bytes_);
  }

 private:
  std::unique_ptr<Kernel> product_;
  KernelDevice& device_;
  std::size_t bias_bytes_;
};

}  // namespace

// What all ops of a program share while they are bound.
class ComputeProgram::Binder {
 public:
  Binder(const Plan& plan, RankId rank, const Net& net, Backend& backend, const Arena& arena,
         const Parameters& parameters, ComputeProgram& result)
      : plan_(plan),
        rank_(rank),
        program_(program_of(plan, rank)),
        net_(net),
        samples_(plan.micro_batch_samples),
        labels_(static_cast<double>(samples_of_loss(plan, rank) * labels_per_sample(net))),
        state_(state_sizes(plan.training)),
        backend_(backend),
        arena_(arena),
        places_(parameters.places()),
        result_(result) {}

  void run() {
    for (std::size_t id = 0; id < program_.ops.size(); ++id) {
      const Op& op = program_.ops[id];
      find_losses(id, op);
      if (!is_pass(op.kind)) continue;
      const Operands operands(program_, op, arena_);
      const std::vector<KernelStep>& steps = lowering(op).steps;
      for (std::size_t s = 0; s < steps.size(); ++s) {
        result_.launches_[id].push_back(launch(steps[s], op, operands));
        if (s + 1 == steps.size() || !joins(result_.launches_[id].back(), steps[s], steps[s + 1]))
          continue;
        ++s;
        result_.launches_[id].back().second->arguments = arguments(steps[s], op, operands);
      }
    }
  }

 private:
  // A forward pass makes them; if they are terms of a sum, the op that adds these up.
  void find_losses(std::size_t id, const Op& op) {
    const bool makes = op.kind == OpKind::forward, sums = op.kind == OpKind::all_reduce;
    if (!makes && !sums) return;
    for (const Operand& operand : op.operands) {
      const Buffer& buffer = program_.buffers[operand.buffer.index()];
      if (buffer.kind != BufferKind::value || buffer.value != net_.loss) continue;
      if (makes) batch_of_losses_[operand.buffer] = compute_of(op).micro_batch;
      const Value& loss = net_.values[net_.loss.index()];
      if (makes == (loss.exchange == Exchange::sum)) continue;
      result_.losses_[id] = {arena_.at(operand.buffer).data(), batch_of_losses_.at(operand.buffer),
                             loss.shape.elements() / labels_per_sample(net_)};
    }
  }

  const Lowering& lowering(const Op& op) {
    const Compute& compute = compute_of(op);
    const Pass pass = pass_of(program_, op);
    const auto [entry, is_new] = lowerings_.try_emplace({compute.begin, compute.end, pass});
    if (is_new) {
      entry->second = lower(net_, compute.begin, compute.end, pass, samples_, backend_.sizes());
    }
    return entry->second;
  }

  Launch launch(const KernelStep& step, const Op& op, const Operands& operands) {
    const KernelRequest request = request_for(net_, step, samples_);
    Kernel*& kernel = known_[{step.layer, step.kind, request.wants_input_gradient}];
    if (kernel == nullptr) {
      result_.kernels_.push_back(prepare(request, step));
      kernel = result_.kernels_.back().get();
    }
    return {step.layer, kernel, arguments(step, op, operands), draws(step)};
  }

  // The bias of a product whose terms tensor-parallel ranks sum is the first rank's to add; its
  // gradient all know, unless that is a sum over them, too.
  std::unique_ptr<Kernel> prepare(KernelRequest request, const KernelStep& step) {
    const bool is_first = plan_.ranks[rank_.index()].slice == 0;
    if (is_first || !works_on_a_layer(step.kind)) return backend_.prepare(request);
    const Layer& layer = net_.layers[step.layer.index()];
    if (!is_bias_of_sum(net_, layer)) return backend_.prepare(request);
    const Parameter& bias = net_.parameters[layer.parameters[1].index()];
    const bool gives = writes_parameter_gradients(step.kind);
    if (gives && bias.spread == Spread::replicated) return backend_.prepare(request);
    std::get<Linear>(request.layer).bias = false;
    auto kernel = backend_.prepare(request);
    if (!gives) return kernel;
    const std::int64_t bytes = bias.shape.elements() * state_.gradient;
    return std::make_unique<WithoutBias>(std::move(kernel), backend_.device(), bytes);
  }

  // Makes the launch one of both steps, where the backend has a kernel for that.
  bool joins(Launch& launch, const KernelStep& first, const KernelStep& second) {
    if (!feeds(first, second)) return false;
    const auto [entry, is_new] = known_pairs_.try_emplace({first.layer, first.kind, second.layer});
    if (is_new) {
      result_.pairs_.push_back(backend_.prepare_pair(request_for(net_, first, samples_),
                                                     request_for(net_, second, samples_)));
      entry->second = result_.pairs_.back().get();
    }
    if (entry->second == nullptr) return false;
    launch.second = {second.layer, entry->second, {}};
    launch.draws = launch.draws || draws(second);
    return true;
  }

  bool draws(const KernelStep& step) const {
    return works_on_a_layer(step.kind) && draws_at_random(net_.layers[step.layer.index()].spec);
  }

  KernelArguments arguments(const KernelStep& step, const Op& op, const Operands& operands) {
    KernelArguments arguments = bind(step, [&](const Place& place) { return operands.at(place); });
    arguments.loss_scale = 1 / labels_;
    arguments.draws.seed = plan_.training.seed;
    arguments.draws.first_sample =
        global_micro_batch(plan_, rank_, compute_of(op).micro_batch) * samples_;
    if (works_on_a_layer(step.kind)) add_parameters(step, operands, arguments);
    return arguments;
  }

  void add_parameters(const KernelStep& step, const Operands& operands,
                      KernelArguments& arguments) {
    const Layer& layer = net_.layers[step.layer.index()];
    std::size_t known = 0;
    for (const ParameterId id : layer.parameters) {
      const ParameterPlace& place = places_.at(id);
      arguments.parameters.push_back(operands.weights(place, state_.parameter).memory);
      const Operands::Where gradients = operands.weight_gradients(place, state_.gradient);
      arguments.parameter_gradients.push_back(gradients.memory);
      if (writes_parameter_gradients(step.kind))
        known += written_.insert({gradients.buffer, id}).second ? 0 : 1;
    }
    REHEARSE_CHECK(known == 0 || known == layer.parameters.size(),
                   "layer {} shares {} of its {} parameters with other layers: all or none",
                   layer.name, known, layer.parameters.size());
    arguments.adds_to_parameter_gradients = known > 0;
  }

  const Plan& plan_;
  const RankId rank_;
  const RankProgram& program_;
  const Net& net_;
  const std::int64_t samples_;
  const double labels_;
  const StateSizes state_;
  Backend& backend_;
  const Arena& arena_;
  const std::map<ParameterId, ParameterPlace>& places_;
  ComputeProgram& result_;
  std::map<std::tuple<SegmentId, SegmentId, Pass>, Lowering> lowerings_;
  // One kernel serves all ops that run the same step, whatever the addresses.
  std::map<std::tuple<LayerId, KernelKind, std::vector<bool>>, Kernel*> known_;
  std::map<std::tuple<LayerId, KernelKind, LayerId>, KernelPair*> known_pairs_;
  std::map<BufferId, MicroBatchId> batch_of_losses_;
  // Passes stand on one lane: whoever is first in list order to have a gradient in a buffer
  // overwrites it, the others add to it.
  std::set<std::pair<BufferId, ParameterId>> written_;
};

ComputeProgram::ComputeProgram(const Plan& plan, RankId rank, const Net& net, Backend& backend,
                               const Arena& arena, const Parameters& parameters) {
  const std::size_t ops = program_of(plan, rank).ops.size();
  launches_.resize(ops);
  losses_.resize(ops);
  Binder(plan, rank, net, backend, arena, parameters, *this).run();
}

void ComputeProgram::begin_step(std::int64_t step) {
  for (std::vector<Launch>& launches : launches_) {
    for (Launch& launch : launches) {
      launch.arguments.draws.step = step;
      if (launch.second) launch.second->arguments.draws.step = step;
    }
  }
}

}  // namespace rehearse::exec
