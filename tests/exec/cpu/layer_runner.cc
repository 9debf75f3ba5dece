#include "tests/exec/cpu/layer_runner.h"

#include <algorithm>
#include <memory>

#include "model/base/bfloat16.h"
#include "model/base/random.h"

namespace rehearse::exec {
namespace {

class Runner {
 public:
  Runner(Backend& backend, const LayerCase& layer, const LayerData& data,
         const LayerOptions& options)
      : backend_(backend), layer_(layer), options_(options), facts_(facts_of(layer)) {
    if (options.frozen) facts_ = without_weight_gradients(std::move(facts_));
    for (std::size_t i = 0; i < data.inputs.size(); ++i) {
      inputs_.push_back(is_index(layer.layer, i) ? Tensor::of_indices(backend, data.inputs[i])
                                                 : Tensor(backend, data.inputs[i]));
    }
    for (const auto& values : data.parameters)
      parameters_.emplace_back(backend, values);
    output_gradient_ = has_losses() ? Tensor::of_statistics(backend, data.output_gradient)
                                    : Tensor(backend, data.output_gradient);
    for (const Auxiliary& a : facts_.auxiliaries) {
      auxiliaries_.push_back(Tensor::poisoned_statistics(
          backend, a.elements_per_sample * layer.samples + a.elements_per_call));
    }
  }

  LayerOutcome run() {
    forward();
    LayerOutcome outcome;
    outcome.output = output().load(backend_);
    for (const Tensor& a : auxiliaries_)
      outcome.auxiliaries.push_back(a.load(backend_));
    backward();
    for (const Tensor* g : input_gradients_) {
      outcome.input_gradients.push_back(g == nullptr ? std::vector<double>{} : g->load(backend_));
    }
    for (const Tensor& g : parameter_gradients_) {
      outcome.parameter_gradients.push_back(g.load(backend_));
    }
    return outcome;
  }

 private:
  bool has_losses() const { return classes_of_loss(layer_.layer).has_value(); }
  bool forward_in_place() const { return options_.in_place && facts_.forward_in_place; }
  Tensor& output() { return forward_in_place() ? inputs_[0] : output_; }

  KernelRequest request(KernelKind kind) const {
    return {.kind = kind,
            .layer = layer_.layer,
            .inputs = layer_.inputs,
            .output = facts_.output,
            .samples = layer_.samples,
            .elements = 0,
            .wants_input_gradient =
                std::vector<bool>(layer_.inputs.size(), options_.wants_input_gradients)};
  }

  KernelArguments arguments() const {
    KernelArguments a;
    a.draws = options_.draws;
    for (const Tensor& t : parameters_)
      a.parameters.push_back(t.data());
    for (const Tensor& t : auxiliaries_)
      a.auxiliaries.push_back(t.data());
    return a;
  }

  void forward() {
    if (!forward_in_place()) {
      const std::int64_t n = layer_.samples * facts_.output.elements();
      output_ =
          has_losses() ? Tensor::poisoned_statistics(backend_, n) : Tensor::poisoned(backend_, n);
    }
    KernelArguments a = arguments();
    for (const Tensor& t : inputs_)
      a.inputs.push_back(t.data());
    a.output = output().data();
    backend_.prepare(request(KernelKind::forward))->run(a);
  }

  void backward() {
    KernelArguments a = arguments();
    for (std::size_t i = 0; i < inputs_.size(); ++i) {
      a.inputs.push_back(facts_.saves_input[i] ? inputs_[i].data() : nullptr);
    }
    a.output = facts_.saves_output ? output().data() : nullptr;
    a.output_gradient = output_gradient_.data();
    place_input_gradients(a);
    place_parameter_gradients(a);
    if (!facts_.splits_backward) return backend_.prepare(request(KernelKind::backward))->run(a);
    if (!facts_.parameters.empty() && !options_.frozen) {
      backend_.prepare(request(KernelKind::backward_weight))->run(a);
    }
    if (input_gradients_[0] == nullptr) return;
    // This kernel reads neither inputs nor output.
    std::fill(a.inputs.begin(), a.inputs.end(), nullptr);
    a.output = nullptr;
    backend_.prepare(request(KernelKind::backward_input))->run(a);
  }

  void place_input_gradients(KernelArguments& a) {
    own_gradients_.resize(inputs_.size());
    for (std::size_t i = 0; i < inputs_.size(); ++i) {
      const bool wanted = options_.wants_input_gradients && !is_index(layer_.layer, i);
      const bool in_place = i == 0 && options_.in_place && facts_.backward_in_place;
      if (wanted && !in_place) {
        own_gradients_[i] =
            Tensor::poisoned(backend_, layer_.samples * layer_.inputs[i].elements());
      }
      input_gradients_.push_back(!wanted    ? nullptr
                                 : in_place ? &output_gradient_
                                            : &own_gradients_[i]);
      a.input_gradients.push_back(wanted ? input_gradients_[i]->data() : nullptr);
    }
  }

  void place_parameter_gradients(KernelArguments& a) {
    a.adds_to_parameter_gradients = !options_.gradients.empty();
    if (options_.frozen) {
      a.parameter_gradients.resize(facts_.parameters.size(), nullptr);
      return;
    }
    for (std::size_t p = 0; p < facts_.parameters.size(); ++p) {
      parameter_gradients_.push_back(
          a.adds_to_parameter_gradients
              ? Tensor(backend_, options_.gradients[p])
              : Tensor::poisoned(backend_, facts_.parameters[p].shape.elements()));
      a.parameter_gradients.push_back(parameter_gradients_[p].data());
    }
  }

  Backend& backend_;
  const LayerCase& layer_;
  const LayerOptions& options_;
  LayerFacts facts_;
  std::vector<Tensor> inputs_, parameters_, auxiliaries_, parameter_gradients_, own_gradients_;
  std::vector<const Tensor*> input_gradients_;
  Tensor output_, output_gradient_;
};

}  // namespace

Tensor::Tensor(Backend& backend, Bytes size)
    : memory_(backend.device().allocate(static_cast<std::size_t>(size.bytes()) + 1)) {
  backend.device().fill(memory_->data(), std::byte{0xff}, memory_->size());
  backend.device().wait();
}

Tensor::Tensor(Backend& backend, const std::vector<double>& values)
    : Tensor(poisoned(backend, static_cast<std::int64_t>(values.size()))) {
  backend.store(data(), values);
}

Tensor Tensor::of_statistics(Backend& backend, const std::vector<double>& values) {
  Tensor tensor = poisoned_statistics(backend, static_cast<std::int64_t>(values.size()));
  backend.store_statistics(tensor.data(), values);
  return tensor;
}

Tensor Tensor::of_indices(Backend& backend, const std::vector<double>& values) {
  std::vector<std::int32_t> indices;
  for (const double value : values)
    indices.push_back(static_cast<std::int32_t>(value));
  const auto bytes = static_cast<std::int64_t>(indices.size() * sizeof(std::int32_t));
  const Tensor tensor(backend, Bytes::bytes(bytes));
  copy_now(backend.device(), tensor.data(), indices.data(), indices.size() * sizeof(std::int32_t));
  return tensor;
}

Tensor Tensor::poisoned(Backend& backend, std::int64_t n) {
  Tensor tensor = poisoned(backend, Bytes::bytes(n * backend.sizes().activation_bytes));
  tensor.size_ = n;
  return tensor;
}

Tensor Tensor::poisoned_statistics(Backend& backend, std::int64_t n) {
  Tensor tensor = poisoned(backend, Bytes::bytes(n * backend.sizes().statistic_bytes));
  tensor.size_ = n;
  tensor.has_statistics_ = true;
  return tensor;
}

Tensor Tensor::poisoned(Backend& backend, Bytes size) {
  return {backend, size};
}

std::byte* Tensor::data() const {
  return memory_ ? memory_->data() : nullptr;
}

std::vector<double> Tensor::load(Backend& backend) const {
  return has_statistics_ ? backend.load_statistics(data(), size_) : backend.load(data(), size_);
}

void round_to_bf16(std::vector<double>& values) {
  for (double& value : values)
    value = double{BFloat16(value)};
}

LayerData rounded(LayerData data) {
  for (auto* lists : {&data.inputs, &data.parameters})
    std::for_each(lists->begin(), lists->end(), round_to_bf16);
  round_to_bf16(data.output_gradient);
  return data;
}

LayerFacts facts_of(const LayerCase& layer) {
  return describe(layer.layer, layer.inputs);
}

bool is_index(const LayerSpec& layer, std::size_t input) {
  return std::holds_alternative<Embedding>(layer) || (classes_of_loss(layer) && input == 1);
}

LayerData draw(const LayerCase& layer, std::uint64_t seed) {
  Random random(seed);
  const auto below = [&] {
    const auto* embedding = std::get_if<Embedding>(&layer.layer);
    const std::int64_t limit =
        embedding ? embedding->vocabulary * embedding->part.ways : *classes_of_loss(layer.layer);
    return static_cast<double>(random.below(static_cast<std::uint64_t>(limit)));
  };
  // At least 0.1 away from zero, where ReLU has no derivative.
  const auto real = [&] {
    const double magnitude = 0.1 + random.uniform();
    return random.below(2) == 0 ? magnitude : -magnitude;
  };
  const auto fill = [](std::int64_t n, auto next) {
    std::vector<double> values(static_cast<std::size_t>(n));
    std::generate(values.begin(), values.end(), next);
    return values;
  };
  const LayerFacts facts = facts_of(layer);
  LayerData data;
  for (std::size_t i = 0; i < layer.inputs.size(); ++i) {
    const std::int64_t n = layer.samples * layer.inputs[i].elements();
    data.inputs.push_back(is_index(layer.layer, i) ? fill(n, below) : fill(n, real));
  }
  for (const ParameterFacts& p : facts.parameters) {
    data.parameters.push_back(fill(p.shape.elements(), real));
  }
  data.output_gradient = fill(layer.samples * facts.output.elements(), real);
  return data;
}

LayerOutcome run_layer(Backend& backend, const LayerCase& layer, const LayerData& data,
                       const LayerOptions& options) {
  return Runner(backend, layer, data, options).run();
}

const std::vector<LayerCase>& layer_cases() {
  static const std::vector<LayerCase> cases{
      {"conv2d_3x3", Conv2d{3, 4, 3, 1, 1}, {{{5, 6, 3}}}, 2},
      {"conv2d_stride2", Conv2d{2, 3, 3, 2, 1}, {{{7, 4, 2}}}, 3},
      {"conv2d_projection", Conv2d{4, 8, 1, 2, 0}, {{{5, 5, 4}}}, 2},
      {"conv2d_no_padding", Conv2d{1, 2, 5, 3, 0}, {{{9, 8, 1}}}, 1},
      {"conv2d_wide_padding", Conv2d{1, 5, 3, 1, 2}, {{{3, 3, 1}}}, 2},
      {"conv2d_blocked", Conv2d{16, 16, 3, 1, 1}, {{{4, 4, 16}}}, 2},
      {"linear", Linear{5, 7, false}, {{{5}}}, 4},
      {"linear_bias", Linear{3, 2, true}, {{{3}}}, 1},
      {"linear_sequence", Linear{4, 6, true}, {{{3, 4}}}, 2},
      {"linear_blocked", Linear{32, 48, true}, {{{32}}}, 3},
      {"batch_norm_image", BatchNorm{3}, {{{4, 5, 3}}}, 3},
      {"batch_norm_vector", BatchNorm{5}, {{{5}}}, 6},
      {"batch_norm_blocked", BatchNorm{16}, {{{3, 3, 16}}}, 2},
      {"layer_norm", LayerNorm{6}, {{{3, 6}}}, 2},
      {"rms_norm", RmsNorm{7}, {{{2, 7}}}, 3},
      {"relu", Relu{}, {{{3, 3, 5}}}, 2},
      {"gelu", Gelu{}, {{{4, 9}}}, 2},
      {"gelu_erf", Gelu{GeluForm::erf}, {{{4, 9}}}, 2},
      {"gelu_sigmoid", Gelu{GeluForm::sigmoid}, {{{4, 9}}}, 2},
      {"swiglu", SwiGlu{}, {{{3, 5}}, {{3, 5}}}, 2},
      {"add", Add{1.0}, {{{4, 3}}, {{4, 3}}}, 2},
      {"add_scaled", Add{0.5}, {{{7}}, {{7}}}, 3},
      {"sum", Sum{1.0}, {{{4, 3}}, {{4, 3}}, {{4, 3}}}, 2},
      {"sum_scaled", Sum{0.5}, {{{7}}, {{7}}}, 3},
      {"sum_of_one", Sum{2.0}, {{{2, 3, 5}}}, 1},
      {"bias", Bias{5}, {{{3, 5}}}, 2},
      {"bias_image", Bias{3}, {{{4, 2, 3}}}, 3},
      {"dropout", Dropout{0.3}, {{{5, 9}}}, 3},
      {"dropout_of_most", Dropout{0.9}, {{{150}}}, 2},
      {"global_average_pool", GlobalAveragePool{}, {{{3, 4, 5}}}, 2},
      {"max_pool", MaxPool{3, 2, 1}, {{{7, 6, 3}}}, 2},
      {"max_pool_apart", MaxPool{2, 2, 0}, {{{4, 6, 2}}}, 3},
      {"max_pool_together", MaxPool{3, 1, 1}, {{{4, 3, 2}}}, 1},
      {"patches", Patches{2}, {{{4, 6, 3}}}, 2},
      {"class_token", ClassToken{4}, {{{3, 4}}}, 3},
      {"first_row", FirstRow{}, {{{3, 5}}}, 2},
      {"embedding", Embedding{6, 4}, {{{5}}}, 3},
      {"embedding_part", Embedding{6, 4, {3, 1}}, {{{8}}}, 3},
      {"position_embedding", PositionEmbedding{7, 3}, {{{5, 3}}}, 2},
      {"position_embedding_part", PositionEmbedding{17, 3, {3, 2}}, {{{5, 3}}}, 2},
      {"position_embedding_middle_part", PositionEmbedding{16, 3, {3, 1}}, {{{5, 3}}}, 4},
      {"rotary", Rotary{4, 2, 6, 6}, {{{5, 48}}}, 2},
      {"rotary_in_part", Rotary{2, 2, 6, 4, 50}, {{{5, 36}}}, 2},
      {"attention", Attention{2, 2, 3, false, false}, {{{4, 18}}}, 2},
      {"attention_fused", Attention{2, 2, 3, false, true}, {{{4, 18}}}, 2},
      {"attention_causal_grouped", Attention{4, 2, 3, true, false}, {{{5, 24}}}, 2},
      {"attention_fused_causal_grouped", Attention{4, 1, 2, true, true}, {{{5, 12}}}, 2},
      {"cross_entropy", CrossEntropy{5}, {{{5}}, {{1}}}, 4},
      {"cross_entropy_sequence", CrossEntropy{4}, {{{3, 4}}, {{3}}}, 2},
      {"squared_error", SquaredError{5}, {{{5}}, {{1}}}, 4},
      {"squared_error_sequence", SquaredError{4}, {{{3, 4}}, {{3}}}, 2},
  };
  return cases;
}

std::vector<LayerCase> training_cases() {
  std::vector<LayerCase> list = layer_cases();
  const std::vector<LayerCase> real{
      {"resnet20_stem", Conv2d{1, 16, 3, 1, 1}, {{{28, 28, 1}}}, 2},
      {"resnet20_stage1", Conv2d{16, 16, 3, 1, 1}, {{{28, 28, 16}}}, 2},
      {"resnet20_stage2_first", Conv2d{16, 32, 3, 2, 1}, {{{28, 28, 16}}}, 2},
      {"resnet20_stage2_shortcut", Conv2d{16, 32, 1, 2, 0}, {{{28, 28, 16}}}, 2},
      {"resnet20_stage3", Conv2d{64, 64, 3, 1, 1}, {{{7, 7, 64}}}, 2},
      {"resnet20_norm", BatchNorm{32}, {{{14, 14, 32}}}, 4},
      {"resnet20_head", Linear{64, 10, true}, {{{64}}}, 16},
      {"mlp_hidden", Linear{784, 256, true}, {{{784}}}, 8},
      {"gpt_up", Linear{64, 256, true}, {{{16, 64}}}, 2},
      {"gpt_head", Linear{64, 257, false}, {{{16, 64}}}, 2},
      {"gpt_wide", Linear{96, 1000, true}, {{{20, 96}}}, 2},  // a part for each of three threads
      {"gpt_positions", PositionEmbedding{90, 64}, {{{70, 64}}}, 3},
      {"gpt_norm", LayerNorm{200}, {{{37, 200}}}, 3},
      {"llama_norm", RmsNorm{200}, {{{37, 200}}}, 3},
      {"gpt_loss", CrossEntropy{1500}, {{{9, 1500}}, {{9}}}, 2},
      // The last with padding, or with nothing else.
      {"gpt_loss_part", CrossEntropy{500, {3, 1}, 1400}, {{{9, 500}}, {{9}}}, 2},
      {"gpt_loss_last_part", CrossEntropy{500, {3, 2}, 1400}, {{{9, 500}}, {{9}}}, 2},
      {"gpt_loss_no_part", CrossEntropy{5, {4, 3}, 12}, {{{9, 5}}, {{9}}}, 2},
      // Several blocks of queries, the last not full.
      {"gpt_attention", Attention{3, 3, 16, true, true}, {{{150, 144}}}, 2},
      {"gpt_attention_unfused", Attention{3, 3, 16, true, false}, {{{150, 144}}}, 2},
      {"vit_attention", Attention{2, 2, 16, false, true}, {{{100, 96}}}, 2},
      {"llama_attention", Attention{4, 2, 8, true, true}, {{{130, 64}}}, 2},
      // More elements than one thread takes.
      {"llama_gate", SwiGlu{}, {{{50, 120}}, {{50, 120}}}, 3},
      {"gpt_dropout", Dropout{0.1}, {{{50, 119}}}, 3},
      {"resnet_relu", Relu{}, {{{28, 28, 16}}}, 2},
      {"resnet_add", Add{0.5}, {{{28, 28, 16}}, {{28, 28, 16}}}, 2},
      {"width_sum", Sum{1.0}, {4, {{37, 200}}}, 2},
      {"width_sum_scaled", Sum{0.25}, {5, {{37, 200}}}, 2},
      {"width_bias", Bias{200}, {{{37, 200}}}, 3},
  };
  list.insert(list.end(), real.begin(), real.end());
  return list;
}

}  // namespace rehearse::exec
