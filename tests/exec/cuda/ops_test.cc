// The device's kernels, run on the host: every kind of layer, every pass of networks and the flat
// work against the reference, by teams of one thread and of three that wait for one another.
//
// Sums are fp32 and in other orders than the reference's: sum_error() of the largest element is
// allowed (closeness.h), in bf16 a rounding of what is stored besides.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "exec/cuda/queue_backend.h"
#include "model/base/random.h"
#include "tests/exec/cpu/closeness.h"
#include "tests/exec/cpu/layer_runner.h"
#include "tests/exec/cpu/net_runner.h"
#include "tests/exec/cuda/host_queues.h"
#include "tests/exec/cuda/pair_runner.h"

namespace rehearse::exec::cuda {
namespace {

template <class Real>
std::unique_ptr<Backend> on_host(DataType type, int team, bool fuses = false) {
  return std::make_unique<QueueBackend<Real, HostQueues>>(
      "cuda", type, std::make_unique<HostQueues>(team, fuses));
}
template <class Real>
std::unique_ptr<Backend> in_pairs(DataType type) {
  return std::make_unique<QueueBackend<Real, HostQueues>>(
      "cuda", type, std::make_unique<HostQueues>(1), Pairs::all);
}
std::unique_ptr<Backend> single(int team) {
  return on_host<float>(DataType::fp32, team);
}

class DeviceLayer : public testing::TestWithParam<LayerCase> {
 protected:
  std::unique_ptr<Backend> reference = make_reference_backend(DataType::fp32);
  LayerData data = draw(GetParam(), 1);

  void expect_like_reference(const LayerOptions& options) {
    const double error = sum_error(longest_sum(GetParam()));
    const LayerOutcome expected = run_layer(*reference, GetParam(), data, options);
    for (const int team : {1, 3})
      expect_within(error, expected, run_layer(*single(team), GetParam(), data, options));
  }
};

TEST_P(DeviceLayer, AgreesWithTheReference) {
  expect_like_reference({});
  expect_like_reference({.in_place = true});
}

TEST_P(DeviceLayer, AddsToParameterGradients) {
  expect_like_reference({.gradients = data.parameters});
}

TEST_P(DeviceLayer, MayLeaveOutInputGradients) {
  if (!facts_of(GetParam()).parameters.empty())
    expect_like_reference({.wants_input_gradients = false});
}

TEST_P(DeviceLayer, MayBeFrozen) {
  expect_like_reference({.frozen = true});
}

// In double the same text has the roundings of double.
TEST_P(DeviceLayer, IsExactInDouble) {
  const auto exact = make_reference_backend(DataType::fp64);
  expect_within(1e-9, run_layer(*exact, GetParam(), data),
                run_layer(*on_host<double>(DataType::fp64, 3), GetParam(), data));
}

// As the other backends in bf16 (bf16_test.cc), whose roundings these are.
TEST_P(DeviceLayer, RoundsToBf16) {
  data = rounded(std::move(data));
  const auto exact = make_reference_backend(DataType::fp64);
  const bool is_attention = std::holds_alternative<Attention>(GetParam().layer);
  const double error = sum_error(longest_sum(GetParam())) + (is_attention ? 8 : 1) * 0x1p-8;
  for (const bool in_place : {false, true}) {
    const LayerOptions options{.in_place = in_place};
    expect_within(error, run_layer(*exact, GetParam(), data, options),
                  run_layer(*on_host<BFloat16>(DataType::bf16, 3), GetParam(), data, options));
  }
}

INSTANTIATE_TEST_SUITE_P(Cases, DeviceLayer, testing::ValuesIn(training_cases()),
                         [](const auto& info) { return info.param.name; });

// ---- recordings ---------------------------------------------------------------------------------

// Runs nothing but what it has recorded.
class ReplayedKernel : public Kernel {
 public:
  ReplayedKernel(std::unique_ptr<Kernel> kernel, KernelDevice& device)
      : kernel_(std::move(kernel)), device_(device) {}
  void run(const KernelArguments& arguments) override {
    device_.begin_recording();
    kernel_->run(arguments);
    const Recording recording = device_.end_recording();
    EXPECT_TRUE(device_.replay(recording));
    device_.forget(recording);
  }

 private:
  std::unique_ptr<Kernel> kernel_;
  KernelDevice& device_;
};

template <class Real>
class Replaying : public QueueBackend<Real, HostQueues> {
 public:
  using Base = QueueBackend<Real, HostQueues>;
  explicit Replaying(DataType type) : Base("cuda", type, std::make_unique<HostQueues>(1, true)) {}
  bool replays = false;
  std::unique_ptr<Kernel> prepare(const KernelRequest& request) override {
    if (!replays) return Base::prepare(request);
    return std::make_unique<ReplayedKernel>(Base::prepare(request), Base::device());
  }
};

// All that a kernel does is put into its queue, with scratch memory that it has had before.
TEST_P(DeviceLayer, IsTheSameReplayed) {
  Replaying<float> device(DataType::fp32);
  const LayerOutcome expected = run_layer(device, GetParam(), data);
  device.replays = true;
  const LayerOutcome actual = run_layer(device, GetParam(), data);
  EXPECT_EQ(actual.output, expected.output);
  EXPECT_EQ(actual.auxiliaries, expected.auxiliaries);
  EXPECT_EQ(actual.input_gradients, expected.input_gradients);
  EXPECT_EQ(actual.parameter_gradients, expected.parameter_gradients);
}

TEST(DeviceRecording, IsNoLongerGoodWhereScratchMemoryHasMoved) {
  HostQueues queues(1);
  std::byte* const room = queues.current().scratch(64);
  queues.begin_recording();
  queues.fill(room, std::byte{1}, 64);
  const Recording recording = queues.end_recording();
  EXPECT_TRUE(queues.replay(recording));
  EXPECT_EQ(room[63], std::byte{1});
  queues.current().scratch(32);
  EXPECT_TRUE(queues.replay(recording));
  queues.current().scratch(65);
  EXPECT_FALSE(queues.replay(recording));
}

// ---- attention in one kernel of the queue's
// ------------------------------------------------------

// The kernels of attention's two passes, prepared.
std::vector<std::string_view> ways(Backend& on, const LayerCase& layer) {
  std::vector<std::string_view> list;
  for (const KernelKind kind : {KernelKind::forward, KernelKind::backward}) {
    KernelRequest request;
    request.kind = kind;
    request.layer = layer.layer;
    request.inputs = layer.inputs;
    request.output = facts_of(layer).output;
    request.samples = layer.samples;
    list.push_back(on.prepare(request)->implementation());
  }
  return list;
}

// The graph's scale of scores is fp32, half of 2^-23 from what it should be: probabilities of
// scores s are off by 2 |s| times that, and no |s| is above 4 here.
constexpr double kScaleError = 8 * 0x1p-24;

class DeviceAttention : public testing::TestWithParam<LayerCase> {};

// The queue's kernel is the graph that cuDNN is given (attentions_test), run on the host: in double
// it agrees with the reference to double's roundings, log-sum-exps and gradients included.
TEST_P(DeviceAttention, IsTheSameWhereTheQueueHasAKernelForIt) {
  const auto device = on_host<double>(DataType::fp64, 1, true);
  EXPECT_THAT(ways(*device, GetParam()), testing::Each("fused"));
  const LayerData data = draw(GetParam(), 1);
  expect_within(kScaleError, run_layer(*make_reference_backend(DataType::fp64), GetParam(), data),
                run_layer(*device, GetParam(), data));
}

// In bf16 probabilities and their gradients are rounded before they are multiplied, as elsewhere.
TEST_P(DeviceAttention, RoundsToBf16WhereTheQueueHasAKernelForIt) {
  const LayerData data = rounded(draw(GetParam(), 1));
  expect_within(sum_error(longest_sum(GetParam())) + 8 * 0x1p-8,
                run_layer(*make_reference_backend(DataType::fp64), GetParam(), data),
                run_layer(*on_host<BFloat16>(DataType::bf16, 1, true), GetParam(), data));
}

TEST_P(DeviceAttention, IsMadeOfProductsWhereItHasNone) {
  EXPECT_THAT(ways(*on_host<double>(DataType::fp64, 1), GetParam()), testing::Each("products"));
}

std::vector<LayerCase> fused_attentions() {
  std::vector<LayerCase> list;
  for (const LayerCase& layer : training_cases()) {
    const auto* attention = std::get_if<Attention>(&layer.layer);
    if (attention != nullptr && attention->fused) list.push_back(layer);
  }
  return list;
}

INSTANTIATE_TEST_SUITE_P(Cases, DeviceAttention, testing::ValuesIn(fused_attentions()),
                         [](const auto& info) { return info.param.name; });

// A kernel that keeps no probabilities cannot serve a layer that does.
TEST(DeviceAttentionOfProbabilities, IsMadeOfProducts) {
  const LayerCase kept{"kept", Attention{2, 2, 8, true, false}, {{{4, 48}}}, 2};
  EXPECT_THAT(ways(*on_host<float>(DataType::fp32, 1, true), kept), testing::Each("products"));
}

// ---- linear layers and GELUs in one kernel ----------------------------------------------------

class DevicePair : public testing::TestWithParam<PairCase> {
 protected:
  void expect_within(double error, const PairOutcome& expected,
                     const std::optional<PairOutcome>& actual) {
    ASSERT_TRUE(actual.has_value());
    exec::expect_within(error, expected.before, actual->before, "before");
    exec::expect_within(error, expected.after, actual->after, "after");
    exec::expect_within(error, expected.gradient, actual->gradient, "gradient");
  }
  PairOutcome expected =
      run_apart(*make_reference_backend(DataType::fp64), GetParam(), GeluForm::tanh);
};

TEST_P(DevicePair, AgreesWithTheStepsOfTheReference) {
  expect_within(1e-9, expected,
                run_pair(*in_pairs<double>(DataType::fp64), GetParam(), GeluForm::tanh));
  expect_within(sum_error(static_cast<double>(GetParam().in)), expected,
                run_pair(*in_pairs<float>(DataType::fp32), GetParam(), GeluForm::tanh));
}

// A rounding of what is stored, and backward one of the GELU's input, where its slope is up to 1.2
// steep.
TEST_P(DevicePair, RoundsToBf16) {
  expect_within(4 * 0x1p-8, expected,
                run_pair(*in_pairs<BFloat16>(DataType::bf16), GetParam(), GeluForm::tanh));
}

TEST_P(DevicePair, IsOfTheTanhFormAndAskedFor) {
  const auto device = in_pairs<float>(DataType::fp32);
  EXPECT_FALSE(run_pair(*device, GetParam(), GeluForm::erf));
  EXPECT_FALSE(run_pair(*device, GetParam(), GeluForm::sigmoid));
  EXPECT_FALSE(run_pair(*single(1), GetParam(), GeluForm::tanh));
}

INSTANTIATE_TEST_SUITE_P(Cases, DevicePair, testing::ValuesIn(pair_cases()),
                         [](const auto& info) { return info.param.name; });

class DeviceNet : public testing::TestWithParam<NetCase> {};

TEST_P(DeviceNet, HasTheGradientsOfTheReference) {
  const auto& [name, net, samples] = GetParam();
  const auto reference = make_reference_backend(DataType::fp64);
  const NetData data = draw(net, samples, 3);
  const NetOutcome expected = run_net(*reference, net, data, samples, Cuts::none, Pass::backward);
  const NetOutcome actual = run_net(*single(1), net, data, samples, Cuts::none, Pass::backward);
  expect_within(sum_error(1e4), expected.losses, actual.losses, "losses");
  for (std::size_t p = 0; p < expected.gradients.size(); ++p)
    expect_within(sum_error(1e4), expected.gradients[p], actual.gradients[p],
                  net.parameters[p].name);
}

// GELUs in the tanh form with a linear layer in front, and those with one behind.
std::size_t pairs_of(const Net& net) {
  std::vector<std::optional<LayerId>> producers(net.values.size());
  std::size_t pairs = 0;
  const auto is_gelu = [&](LayerId id) {
    const auto* gelu = std::get_if<Gelu>(&net.layers[id.index()].spec);
    return gelu != nullptr && gelu->form == GeluForm::tanh;
  };
  const auto is_linear = [&](LayerId id) {
    return std::holds_alternative<Linear>(net.layers[id.index()].spec);
  };
  for (const Segment& segment : net.segments) {
    for (const LayerId id : segment.layers) {
      const Layer& layer = net.layers[id.index()];
      producers[layer.output.index()] = id;
      const auto before = producers[layer.inputs.front().index()];
      if (before && is_gelu(id) && is_linear(*before)) ++pairs;
      if (before && is_linear(id) && is_gelu(*before)) ++pairs;
    }
  }
  return pairs;
}

TEST_P(DeviceNet, HasThemInPairs) {
  const auto& [name, net, samples] = GetParam();
  const auto exact = make_reference_backend(DataType::fp64);
  const auto device = in_pairs<double>(DataType::fp64);
  const NetData data = draw(net, samples, 3);
  for (const Cuts cuts : {Cuts::none, Cuts::every_segment}) {
    for (const Pass until : {Pass::backward, Pass::backward_weight}) {
      const NetOutcome expected = run_net(*exact, net, data, samples, cuts, until);
      const NetOutcome actual = run_net(*device, net, data, samples, cuts, until);
      EXPECT_EQ(actual.pairs, pairs_of(net));
      expect_within(1e-9, expected.losses, actual.losses, "losses");
      for (std::size_t p = 0; p < expected.gradients.size(); ++p)
        expect_within(1e-9, expected.gradients[p], actual.gradients[p], net.parameters[p].name);
    }
  }
}

INSTANTIATE_TEST_SUITE_P(Nets, DeviceNet, testing::ValuesIn(net_cases()),
                         [](const auto& info) { return info.param.name; });

// ---- flat buffers -------------------------------------------------------------------------------

class DeviceFlat : public testing::Test {
 protected:
  static constexpr std::int64_t kCount = 1000;
  std::unique_ptr<Backend> reference = make_reference_backend(DataType::fp32), device = single(3);

  static std::vector<double> numbers(std::uint64_t stream) {
    Random random(5, stream);
    std::vector<double> values(kCount);
    std::generate(values.begin(), values.end(), [&] { return random.normal(); });
    return values;
  }
  Tensor tensor(std::uint64_t stream) { return {*reference, numbers(stream)}; }
  std::vector<double> load(const Tensor& tensor) { return tensor.load(*reference); }

  // The same on both, to the last roundings; `run` gets a backend and three tensors of its own.
  template <class Run>
  void expect_same(Run run) {
    std::vector<std::vector<double>> results[2];
    for (int k = 0; k < 2; ++k) {
      const Tensor a = tensor(1), b = tensor(2), c = tensor(3);
      run(k == 0 ? *reference : *device, a, b, c);
      results[k] = {load(a), load(b), load(c)};
    }
    for (std::size_t t = 0; t < 3; ++t)
      expect_within(1e-6, results[0][t], results[1][t], "tensor " + std::to_string(t));
  }
};

TEST_F(DeviceFlat, AddsAndDivides) {
  expect_same([](Backend& on, const Tensor& a, const Tensor& b, const Tensor& c) {
    on.add(a.data(), b.data(), kCount);
    on.divide(c.data(), kCount, 3);
  });
}

TEST_F(DeviceFlat, StepsOptimizers) {
  Optimizer optimizer;
  optimizer.weight_decay = 0.1;
  Adam decoupled, coupled;
  coupled.decoupled = false, decoupled.decoupled = true;
  for (const std::variant<Sgd, Adam>& rule :
       {std::variant<Sgd, Adam>(Sgd{0.9}), {Sgd{0}}, {decoupled}, {coupled}}) {
    optimizer.rule = rule;
    for (const bool decays : {false, true}) {
      expect_same([&](Backend& on, const Tensor& w, const Tensor& g, const Tensor& m) {
        const Tensor v = Tensor::of_statistics(*reference, std::vector<double>(kCount, 0.5));
        const std::int64_t kept = moments_of(optimizer);
        const OptimizerState state{{kept > 0 ? m.data() : nullptr, kept > 1 ? v.data() : nullptr}};
        on.step({optimizer, 0.01, 3, decays, 0.7}, w.data(), g.data(), state, kCount);
      });
    }
  }
}

TEST_F(DeviceFlat, BringsHoldersTogether) {
  const OuterOptimizer outer{0.7, 0.9};
  expect_same([&](Backend& on, const Tensor& w, const Tensor& g, const Tensor& anchor) {
    const Tensor v = Tensor::of_statistics(*reference, std::vector<double>(kCount, 0.5));
    const OuterPiece piece{w.data(), nullptr, anchor.data(), v.data()};
    on.outer_gradient(piece, g.data(), kCount);
    on.outer_step(outer, piece, g.data(), kCount);
  });
  expect_same([&](Backend& on, const Tensor& w, const Tensor& g, const Tensor&) {
    const OuterPiece piece{w.data(), nullptr, nullptr, nullptr};
    on.outer_gradient(piece, g.data(), kCount);
    on.divide(g.data(), kCount, 2);
    on.outer_step(std::nullopt, piece, g.data(), kCount);
  });
}

TEST_F(DeviceFlat, ScalesChannels) {
  expect_same([](Backend& on, const Tensor& y, const Tensor& x, const Tensor&) {
    on.scale_channels(y.data(), x.data(), {2, 0.5, -1, 3}, {1, -1, 0, 2}, kCount / 4);
  });
}

TEST_F(DeviceFlat, SumsSquaresAndSeesWhatIsNotFinite) {
  const Tensor a = tensor(1);
  EXPECT_NEAR(device->sum_of_squares(a.data(), kCount), reference->sum_of_squares(a.data(), kCount),
              1e-9);
  EXPECT_TRUE(device->all_finite(a.data(), kCount));
  for (const double bad : {std::numeric_limits<double>::infinity(), std::nan("")}) {
    std::vector<double> values = numbers(1);
    values[777] = bad;
    EXPECT_FALSE(device->all_finite(Tensor(*reference, values).data(), kCount));
  }
}

// Piece by piece and all at once the same bits, in the pieces' order.
TEST_F(DeviceFlat, SumsTheSquaresOfPieces) {
  const Tensor a = tensor(1), b = tensor(2);
  const std::vector<Backend::Piece> pieces = {{a.data(), kCount}, {b.data(), 7}, {a.data(), 0}};
  const double by_piece =
      device->sum_of_squares(a.data(), kCount) + device->sum_of_squares(b.data(), 7);
  EXPECT_EQ(device->sum_of_squares_of(pieces), by_piece);
  EXPECT_NEAR(reference->sum_of_squares_of(pieces), by_piece, 1e-9);
  EXPECT_EQ(device->sum_of_squares_of({}), 0);
}

// Weights are rounded from the master copy, which keeps what a bf16 number would lose.
TEST(DeviceMaster, IsSteppedInFp32) {
  const auto reference = make_reference_backend(DataType::bf16);
  const auto device = on_host<BFloat16>(DataType::bf16, 1);
  Optimizer optimizer;
  optimizer.rule = Sgd{0};
  std::vector<std::vector<double>> masters, weights;
  for (Backend* on : {reference.get(), device.get()}) {
    const Tensor w(*reference, {1}), g(*reference, {1});
    const Tensor master = Tensor::of_statistics(*reference, {1});
    OptimizerState state;
    state.master = master.data();
    for (std::int64_t step = 0; step < 3; ++step)
      on->step({optimizer, 1e-3, step, false, 1}, w.data(), g.data(), state, 1);
    masters.push_back(master.load(*reference));
    weights.push_back(w.load(*reference));
  }
  EXPECT_EQ(masters[0], masters[1]);
  EXPECT_EQ(weights[0], weights[1]);
}

}  // namespace
}  // namespace rehearse::exec::cuda
