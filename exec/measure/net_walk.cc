#include "exec/measure/net_walk.h"

#include <fmt/format.h>

#include <algorithm>

#include "exec/bind.h"
#include "model/base/check.h"
#include "model/base/random.h"
#include "model/plan/op_work.h"

namespace rehearse::exec {
namespace {

Lowering lower_whole(const Net& net, Pass pass, std::int64_t samples, const ElementSizes& sizes) {
  return lower(net, SegmentId(0), end_segment(net), pass, samples, sizes);
}

Bytes scratch_of(const MeasuredNet& measured, const ElementSizes& sizes) {
  const auto of = [&](Pass pass) {
    return lower_whole(measured.net, pass, measured.samples, sizes).scratch;
  };
  return std::max(of(Pass::forward), of(Pass::backward));
}

Bytes saved_of(const MeasuredNet& measured, const ElementSizes& sizes) {
  return lower_whole(measured.net, Pass::forward, measured.samples, sizes).saved;
}

Bytes parameter_bytes(const Net& net, const ElementSizes& sizes) {
  return Bytes::bytes(parameter_count(net) * sizes.activation_bytes);
}

std::vector<double> normal_values(std::int64_t n, double deviation, std::uint64_t stream) {
  Random random(1, stream);
  std::vector<double> values(static_cast<std::size_t>(n));
  for (double& value : values)
    value = deviation * random.normal();
  return values;
}

// One past the largest number this index value may hold: whoever reads it says.
std::int64_t bound_of(const Net& net, ValueId value) {
  for (const Layer& layer : net.layers) {
    if (std::find(layer.inputs.begin(), layer.inputs.end(), value) == layer.inputs.end()) continue;
    if (const auto* table = std::get_if<Embedding>(&layer.spec)) return table->vocabulary;
    if (const auto classes = classes_of_loss(layer.spec)) return *classes;
  }
  return 1;
}

Training of_type(Training training, DataType type) {
  training.dtype = type;
  return training;
}

std::string kind_text(const KernelRequest& request) {
  const std::string kernel(to_string(request.kind));
  if (!works_on_a_layer(request.kind)) return kernel;
  return fmt::format("{} {}", kind_name(request.layer), kernel);
}

// What the shapes leave open and the time depends on.
std::string details(const LayerSpec& spec) {
  if (const auto* c = std::get_if<Conv2d>(&spec))
    return fmt::format(" k{} s{}", c->kernel, c->stride);
  if (const auto* a = std::get_if<Attention>(&spec)) {
    return fmt::format(" h{}{}{}", a->heads, a->causal ? " causal" : "", a->fused ? " fused" : "");
  }
  if (const auto* l = std::get_if<Linear>(&spec)) return l->bias ? " bias" : "";
  return "";
}

}  // namespace

Training usual_training(DataType type) {
  Training training;
  training.dtype = type;
  training.optimizer.rule = Sgd{0.9};
  training.optimizer.lr = 1e-9;
  return training;
}

std::string kernel_text(const KernelRequest& request) {
  if (!works_on_a_layer(request.kind)) {
    return fmt::format("{} {}", to_string(request.kind), request.elements);
  }
  std::string inputs;
  for (const Shape& input : request.inputs)
    inputs += " " + to_string(input);
  return fmt::format("{}{}{} -> {} n{} {}", kind_name(request.layer), details(request.layer),
                     inputs, to_string(request.output), request.samples, to_string(request.kind));
}

Bytes bytes_of_walk(const MeasuredNet& measured, const ElementSizes& sizes,
                    const Training& training) {
  const std::int64_t parameters = parameter_count(measured.net);
  return 2 * parameter_bytes(measured.net, sizes) +
         Bytes::bytes(parameters * state_sizes(training).optimizer) + saved_of(measured, sizes) +
         scratch_of(measured, sizes);
}

std::set<KernelClass> classes_of(const MeasuredNet& measured, const ElementSizes& sizes) {
  std::set<KernelClass> classes;
  for (const Pass pass : {Pass::forward, Pass::backward}) {
    for (const KernelStep& step : lower_whole(measured.net, pass, measured.samples, sizes).steps)
      classes.insert(work_of(measured.net, step, measured.samples, sizes).kernel);
  }
  return classes;
}

NetWalk::NetWalk(const MeasuredNet& measured, Backend& backend, const Training& training)
    : net_(measured.net),
      samples_(measured.samples),
      backend_(backend),
      training_(of_type(training, backend.type())),
      offsets_(net_.parameters.size()),
      weights_(backend.device(), parameter_bytes(net_, backend.sizes())),
      weight_gradients_(backend.device(), parameter_bytes(net_, backend.sizes())),
      saved_(backend.device(), saved_of(measured, backend.sizes())),
      scratch_(backend.device(), scratch_of(measured, backend.sizes())) {
  const StateSizes state = state_sizes(training_);
  const Bytes statistics = Bytes::bytes(parameter_count(net_) * state.moment);
  const std::int64_t moments = moments_of(training_.optimizer);
  for (std::int64_t m = 0; m < moments; ++m)
    moments_.emplace_back(backend.device(), statistics);
  if (state.optimizer > moments * state.moment) master_.emplace_back(backend.device(), statistics);
  std::int64_t end = 0;
  for (std::size_t p = net_.parameters.size(); p-- > 0;) {
    const std::int64_t n = net_.parameters[p].shape.elements();
    offsets_[p] = end;
    end += n;
    const std::vector<double> values = normal_values(n, 0.05, p);
    backend.store(in(weights_, ParameterId(p)), values);
    if (void* master = state_at(ParameterId(p)).master; master != nullptr)
      backend.store_statistics(master, values);
  }
  for (const ValueId value : {net_.input, net_.labels, net_.loss}) {
    values_.try_emplace(value, backend.device(), size_of(net_, value, samples_, backend.sizes()));
  }
  fill_loaded_values();
  add_pass(Pass::forward);
  add_pass(Pass::backward);
}

std::byte* NetWalk::in(const Slab& flat, ParameterId parameter) const {
  return flat.data() + offsets_[parameter.index()] * backend_.sizes().activation_bytes;
}

OptimizerState NetWalk::state_at(ParameterId parameter) const {
  const std::int64_t offset = offsets_[parameter.index()] * state_sizes(training_).moment;
  OptimizerState state;
  for (std::size_t m = 0; m < moments_.size(); ++m)
    state.moments[m] = moments_[m].data() + offset;
  if (!master_.empty()) state.master = master_.front().data() + offset;
  return state;
}

void NetWalk::update() const {
  // Neighbours that decay alike are one call.
  for (std::size_t last = net_.parameters.size(); last > 0;) {
    std::size_t first = last - 1;
    const bool decays = net_.parameters[first].decays;
    std::int64_t n = net_.parameters[first].shape.elements();
    while (first > 0 && net_.parameters[first - 1].decays == decays) {
      n += net_.parameters[--first].shape.elements();
    }
    const ParameterId begin(last - 1);
    backend_.step({training_.optimizer, training_.optimizer.lr, 0, decays}, in(weights_, begin),
                  in(weight_gradients_, begin), state_at(begin), n);
    last = first;
  }
}

StepWork NetWalk::update_work() const {
  return optimizer_work(training_, parameter_count(net_));
}

void NetWalk::fill_loaded_values() {
  for (const ValueId id : {net_.input, net_.labels}) {
    const Value& value = net_.values[id.index()];
    const std::int64_t n = value.shape.elements() * samples_;
    std::byte* memory = values_.at(id).data();
    if (value.type == ValueType::real) {
      backend_.store(memory, normal_values(n, 1, net_.parameters.size()));
      continue;
    }
    Random random(1, id.value());
    const auto bound = static_cast<std::uint64_t>(bound_of(net_, id));
    std::vector<std::int32_t> numbers(static_cast<std::size_t>(n));
    for (std::int32_t& number : numbers)
      number = static_cast<std::int32_t>(random.below(bound));
    copy_in_turn(backend_.device(), memory, numbers.data(), numbers.size() * sizeof numbers[0]);
  }
}

void NetWalk::add_pass(Pass pass) {
  for (const KernelStep& step : lower_whole(net_, pass, samples_, backend_.sizes()).steps) {
    steps_.push_back(prepare(step));
  }
}

NetWalk::Step NetWalk::prepare(const KernelStep& step) {
  const KernelRequest request = request_for(net_, step, samples_);
  Step result{kind_text(request),
              kernel_text(request),
              work_of(net_, step, samples_, backend_.sizes()),
              nullptr,
              {}};
  auto& kernel = kernels_[{result.what, request.wants_input_gradient}];
  if (!kernel) kernel = backend_.prepare(request);
  result.kernel = kernel.get();
  result.arguments = bind(step, [this](const Place& place) { return address(place); });
  if (!works_on_a_layer(step.kind)) return result;
  const bool gives = writes_parameter_gradients(step.kind);
  for (const ParameterId parameter : net_.layers[step.layer.index()].parameters) {
    // Whoever is first overwrites, the others add.
    if (gives && !has_gradient_.insert(parameter).second)
      result.arguments.adds_to_parameter_gradients = true;
    result.arguments.parameters.push_back(in(weights_, parameter));
    result.arguments.parameter_gradients.push_back(in(weight_gradients_, parameter));
  }
  result.arguments.loss_scale = 1 / static_cast<double>(samples_ * labels_per_sample(net_));
  return result;
}

std::byte* NetWalk::address(const Place& place) const {
  switch (place.space) {
    case Space::value:
      return values_.at(place.value).data();
    case Space::saved:
      return saved_.data() + place.offset.bytes();
    case Space::scratch:
      return scratch_.data() + place.offset.bytes();
    case Space::gradient:  // only at cuts, and a whole network has none
    case Space::kept:      // only where backward is split
    case Space::deferred:
      break;
  }
  REHEARSE_UNREACHABLE("a place that a whole network with a whole backward has not");
}

}  // namespace rehearse::exec
