#include "tests/exec/cpu/net_runner.h"

#include <algorithm>
#include <cmath>
#include <map>

#include "exec/bind.h"
#include "model/base/check.h"
#include "model/base/random.h"
#include "model/net/model_spec.h"
#include "model/net/width.h"
#include "tests/exec/cpu/layer_runner.h"

namespace rehearse::exec {
namespace {

struct Range {
  SegmentId begin, end;
  Tensor saved = {}, kept = {}, deferred = {};
};

class Runner {
 public:
  Runner(Backend& backend, const Net& net, const NetData& data, std::int64_t samples)
      : backend_(backend), net_(net), samples_(samples), touched_(net.parameters.size(), false) {
    values_[net.input] = type_of(net.input) == ValueType::index
                             ? Tensor::of_indices(backend, data.input)
                             : Tensor(backend, data.input);
    values_[net.labels] = Tensor::of_indices(backend, data.labels);
    for (const auto& values : data.parameters) {
      parameters_.emplace_back(backend, values);
      gradients_of_parameters_.push_back(
          Tensor::poisoned(backend, static_cast<std::int64_t>(values.size())));
    }
  }

  NetOutcome run(Cuts cuts, Pass until) {
    std::vector<Range> ranges = cut(cuts);
    const bool splits = until == Pass::backward_weight;
    for (Range& range : ranges)
      run(range, splits ? Pass::split_forward : Pass::forward);
    NetOutcome outcome;
    outcome.losses = values_.at(net_.loss).load(backend_);
    outcome.pairs = pairs_;
    if (until == Pass::forward) return outcome;
    for (auto range = ranges.rbegin(); range != ranges.rend(); ++range) {
      run(*range, splits ? Pass::backward_input : Pass::backward);
    }
    for (Range& range : ranges) {
      if (splits) run(range, Pass::backward_weight);
    }
    for (std::size_t p = 0; p < parameters_.size(); ++p) {
      outcome.gradients.push_back(touched_[p] ? gradients_of_parameters_[p].load(backend_)
                                              : std::vector<double>{});
    }
    outcome.pairs = pairs_;
    return outcome;
  }

 private:
  ValueType type_of(ValueId value) const { return net_.values[value.index()].type; }

  std::vector<Range> cut(Cuts cuts) const {
    const SegmentId end = end_segment(net_);
    if (cuts == Cuts::none) {
      return {{SegmentId(0), end}};
    }
    std::vector<Range> ranges;
    for (std::size_t s = 0; s < end.index(); ++s) {
      ranges.push_back({SegmentId(s), SegmentId(s + 1)});
    }
    return ranges;
  }

  void run(Range& range, Pass pass) {
    const Lowering lowering = lower(net_, range.begin, range.end, pass, samples_, backend_.sizes());
    if (pass == Pass::forward || pass == Pass::split_forward) {
      range.saved = Tensor::poisoned(backend_, lowering.saved);
      range.kept = Tensor::poisoned(backend_, lowering.kept);
    }
    if (pass == Pass::backward_input)
      range.deferred = Tensor::poisoned(backend_, lowering.deferred);
    // The weight pass finds nothing of what only the input pass may read.
    if (pass == Pass::backward_weight) range.saved = Tensor::poisoned(backend_, lowering.saved);
    scratch_ = Tensor::poisoned(backend_, lowering.scratch);
    for (const ValueId value : lowering.writes_values) {
      values_[value] = value == net_.loss ? Tensor::poisoned_statistics(backend_, elements(value))
                                          : Tensor::poisoned(backend_, elements(value));
    }
    for (const ValueId value : lowering.writes_gradients) {
      if (gradients_.count(value) == 0) {
        gradients_[value] = Tensor::poisoned(backend_, elements(value));
      }
    }
    for (auto step = lowering.steps.begin(); step != lowering.steps.end(); ++step) {
      const auto next = std::next(step);
      if (next != lowering.steps.end() && run_pair(*step, *next, range)) {
        ++step;
      } else {
        run(*step, range);
      }
    }
  }

  std::int64_t elements(ValueId value) const {
    return samples_ * net_.values[value.index()].shape.elements();
  }

  std::byte* address(const Place& place, const Range& range) const {
    switch (place.space) {
      case Space::value:
        return values_.at(place.value).data();
      case Space::gradient:
        return gradients_.at(place.value).data();
      case Space::saved:
        return range.saved.data() + place.offset.bytes();
      case Space::kept:
        return range.kept.data() + place.offset.bytes();
      case Space::deferred:
        return range.deferred.data() + place.offset.bytes();
      case Space::scratch:
        return scratch_.data() + place.offset.bytes();
    }
    REHEARSE_UNREACHABLE("space");
  }

  void run(const KernelStep& step, const Range& range) {
    const KernelArguments a = arguments(step, range);
    backend_.prepare(request_for(net_, step, samples_))->run(a);
  }

  bool run_pair(const KernelStep& first, const KernelStep& second, const Range& range) {
    if (!feeds(first, second)) return false;
    const auto pair = backend_.prepare_pair(request_for(net_, first, samples_),
                                            request_for(net_, second, samples_));
    if (!pair) return false;
    pair->run(arguments(first, range), arguments(second, range));
    ++pairs_;
    return true;
  }

  KernelArguments arguments(const KernelStep& step, const Range& range) {
    KernelArguments a = bind(step, [&](const Place& place) { return address(place, range); });
    a.loss_scale = 1.0 / static_cast<double>(samples_ * labels_per_sample(net_));
    for (const ParameterId p : net_.layers[step.layer.index()].parameters) {
      a.parameters.push_back(parameters_[p.index()].data());
      a.parameter_gradients.push_back(gradients_of_parameters_[p.index()].data());
    }
    if (step.kind == KernelKind::backward || step.kind == KernelKind::backward_weight) {
      a.adds_to_parameter_gradients = touch(step.layer);
    }
    return a;
  }

  // Whether the layer's parameters have a gradient already; they do from now on.
  bool touch(LayerId layer) {
    bool touched = false;
    for (const ParameterId p : net_.layers[layer.index()].parameters) {
      touched = touched_[p.index()];
      touched_[p.index()] = true;
    }
    return touched;
  }

  Backend& backend_;
  const Net& net_;
  std::int64_t samples_;
  std::map<ValueId, Tensor> values_, gradients_;
  std::vector<Tensor> parameters_, gradients_of_parameters_;
  std::vector<bool> touched_;
  Tensor scratch_;
  std::size_t pairs_ = 0;
};

using Fields = std::map<std::string, std::vector<std::int64_t>>;

Net build(const std::string& kind, Fields fields) {
  return build_net({kind, std::move(fields)}).value();
}

// With dropout of 0.2.
Net build_dropping(const std::string& kind, Fields fields) {
  fields["dropout"] = {200'000};
  return build(kind, std::move(fields));
}

// Every second unit dropped, the branches that are left scaled.
Net halve(const Net& net) {
  Subnetwork half = full_subnetwork(net);
  for (std::size_t u = 0; u < half.holds.size(); u += 2)
    half.holds[u] = false;
  return scale_branches(restrict(net, half), 0.5);
}

}  // namespace

NetData draw(const Net& net, std::int64_t samples, std::uint64_t seed) {
  Random random(seed);
  const auto fill = [](std::int64_t n, auto next) {
    std::vector<double> values(static_cast<std::size_t>(n));
    std::generate(values.begin(), values.end(), next);
    return values;
  };
  const auto below = [&](std::uint64_t limit) {
    return [&random, limit] { return static_cast<double>(random.below(limit)); };
  };
  const auto classes = static_cast<std::uint64_t>(
      net.values[net.layers[net.values[net.loss.index()].producer->index()].inputs[0].index()]
          .shape.dims.back());
  const auto normal = [&] { return random.normal(); };
  const Value& input = net.values[net.input.index()];
  const std::int64_t n = samples * input.shape.elements();
  NetData data;
  // What a language model reads and predicts are both tokens.
  data.input = input.type == ValueType::index ? fill(n, below(classes)) : fill(n, normal);
  data.labels = fill(samples * labels_per_sample(net), below(classes));
  for (const Parameter& p : net.parameters) {
    const double centre = p.init == Init::ones ? 1.0 : 0.0;
    const double deviation = 1 / std::sqrt(static_cast<double>(p.fan_in));
    data.parameters.push_back(
        fill(p.shape.elements(), [&] { return centre + deviation * random.normal(); }));
  }
  return data;
}

NetOutcome run_net(Backend& backend, const Net& net, const NetData& data, std::int64_t samples,
                   Cuts cuts, Pass until) {
  return Runner(backend, net, data, samples).run(cuts, until);
}

std::vector<NetCase> net_cases() {
  const Fields mlp{{"image", {3, 3, 2}}, {"hidden", {7, 5}}, {"classes", {4}}};
  const Net resnet20 = build("resnet20", {{"image", {6, 5, 2}}, {"classes", {3}}});
  const Fields gpt{{"layers", {2}},   {"width", {8}},     {"heads", {2}},
                   {"sequence", {5}}, {"positions", {6}}, {"vocabulary", {11}}};
  const Fields llama{{"layers", {2}},   {"width", {8}},    {"hidden", {12}},    {"heads", {4}},
                     {"kv_heads", {2}}, {"sequence", {5}}, {"vocabulary", {11}}};
  const Fields vit{{"image", {6, 4, 2}}, {"patch", {2}}, {"layers", {2}},
                   {"width", {8}},       {"heads", {2}}, {"classes", {3}}};
  std::vector<NetCase> cases{{"resnet20", resnet20, 2}, {"resnet20_half", halve(resnet20), 2}};
  const Net channels = *cut_units(resnet20, {3, {}, {}});
  cases.push_back({"resnet20_widths", channels, 2});
  cases.push_back({"resnet20_widths_half", halve(channels), 2});
  cases.push_back({"resnet20_widths_doubled", halve(scale_branches(channels, 2.0)), 2});
  for (const auto& [kind, fields] :
       {std::pair("mlp", mlp), {"gpt", gpt}, {"llama", llama}, {"vit", vit}}) {
    const std::string name(kind);
    const Net net = build(kind, fields), dropping = build_dropping(kind, fields);
    cases.push_back({name, net, 2});
    const Net widths = *cut_units(net, {2, {}, {}});
    cases.push_back({name + "_widths", widths, 2});
    cases.push_back({name + "_widths_half", halve(widths), 2});
    cases.push_back({name + "_dropout", dropping, 2});
    if (net.units.empty()) continue;
    cases.push_back({name + "_half", halve(net), 2});
    cases.push_back({name + "_dropout_half", halve(dropping), 2});
  }
  const auto with = [](Fields fields, const Fields& others) {
    for (const auto& [name, value] : others)
      fields[name] = value;
    return fields;
  };
  const auto number = [](Activation activation) {
    return std::vector{static_cast<std::int64_t>(activation)};
  };
  const std::pair<std::string, Net> relatives[] = {
      {"gpt_neox", build("gpt", with(gpt, {{"rotary", {2}},
                                           {"rotary_base", {30}},
                                           {"parallel", {1}},
                                           {"tied", {0}},
                                           {"hidden", {10}},
                                           {"activation", number(Activation::gelu_erf)}}))},
      {"qwen2", build("llama", with(llama, {{"qkv_bias", {1}}, {"tied", {1}}}))},
      {"llama_biased", build("llama", with(llama, {{"qkv_bias", {1}},
                                                   {"projection_bias", {1}},
                                                   {"hidden_bias", {1}},
                                                   {"head_size", {6}}}))},
      {"vit_unbiased", build("vit", with(vit, {{"qkv_bias", {0}},
                                               {"hidden", {12}},
                                               {"activation", number(Activation::gelu_sigmoid)}}))},
  };
  // Whole: with fewer units a ReLU that bf16's rounding switches is more than rounding.
  cases.push_back({"opt", build("gpt", with(gpt, {{"activation", number(Activation::relu)}})), 2});
  for (const auto& [name, net] : relatives) {
    cases.push_back({name, net, 2});
    cases.push_back({name + "_half", halve(net), 2});
    cases.push_back({name + "_widths_half", halve(*cut_units(net, {2, {}, {}})), 2});
  }
  return cases;
}

}  // namespace rehearse::exec
