#include "model/net/lowering.h"

#include <gtest/gtest.h>

#include <set>

#include "model/net/model_spec.h"
#include "model/net/pack.h"

namespace rehearse {
namespace {

Net model(const std::string& kind) {
  ModelSpec spec{kind, {}};
  if (kind == "gpt" || kind == "llama") {
    spec.fields = {
        {"layers", {2}}, {"width", {32}}, {"heads", {4}}, {"sequence", {8}}, {"vocabulary", {50}}};
    if (kind == "llama") spec.fields["kv_heads"] = {2};
  } else {
    spec.fields = {{"image", {16, 16, 1}}, {"classes", {10}}};
  }
  return *build_net(spec);
}

struct Extent {
  std::int64_t begin, end;
};

class LoweringOfEveryModel : public testing::TestWithParam<std::string> {
 protected:
  const Net net = model(GetParam());
};

// Saved tensors are dense, aligned, and what the layers' facts say must be kept: sum of saved
// inputs and outputs (each once, loader values apart) and auxiliaries.
TEST_P(LoweringOfEveryModel, SavesWhatTheFactsSay) {
  const std::int64_t samples = 3;
  std::set<ValueId> saved;
  std::int64_t bytes = 0;
  for (const Layer& layer : net.layers) {
    for (std::size_t i = 0; i < layer.inputs.size(); ++i) {
      if (layer.facts.saves_input[i]) saved.insert(layer.inputs[i]);
    }
    if (layer.facts.saves_output) saved.insert(layer.output);
    for (const Auxiliary& a : layer.facts.auxiliaries) {
      const std::int64_t n = a.elements_per_sample * samples + a.elements_per_call;
      bytes += align_up(Bytes::bytes(n * ElementSizes{}.statistic_bytes), kAlignment).bytes();
    }
  }
  for (const ValueId value : saved) {
    if (!net.values[value.index()].producer) continue;
    bytes += align_up(size_of(net, value, samples, {}), kAlignment).bytes();
  }
  const Lowering forward = lower(net, SegmentId(0), end_segment(net), Pass::forward, samples, {});
  const Lowering backward = lower(net, SegmentId(0), end_segment(net), Pass::backward, samples, {});
  EXPECT_EQ(forward.saved.bytes(), bytes);
  EXPECT_EQ(backward.saved.bytes(), bytes);
}

// Cut anywhere, the passes exchange exactly the values across the cut and their gradients.
TEST_P(LoweringOfEveryModel, CutsAtEverySegment) {
  for (std::size_t s = 1; s < net.segments.size(); ++s) {
    const SegmentId cut(s);
    const auto across = values_across(net, cut);
    const std::set<ValueId> expected(across.begin(), across.end());
    const Lowering first = lower(net, SegmentId(0), cut, Pass::forward, 2, {});
    const Lowering second = lower(net, cut, end_segment(net), Pass::forward, 2, {});
    std::set<ValueId> reads(second.reads_values.begin(), second.reads_values.end());
    reads.erase(net.input);
    reads.erase(net.labels);
    EXPECT_EQ(std::set<ValueId>(first.writes_values.begin(), first.writes_values.end()), expected);
    EXPECT_EQ(reads, expected);
    const Lowering last = lower(net, cut, end_segment(net), Pass::backward, 2, {});
    const Lowering then = lower(net, SegmentId(0), cut, Pass::backward, 2, {});
    EXPECT_EQ(std::set<ValueId>(last.writes_gradients.begin(), last.writes_gradients.end()),
              expected);
    EXPECT_EQ(std::set<ValueId>(then.reads_gradients.begin(), then.reads_gradients.end()),
              expected);
    EXPECT_TRUE(then.writes_gradients.empty());
  }
}

// Every parameter gets its weight gradient once per layer that uses it, and no kernel of a step
// reads a scratch place that no earlier step wrote.
TEST_P(LoweringOfEveryModel, BackwardReachesEveryParameterFromWrittenScratch) {
  const Lowering backward = lower(net, SegmentId(0), end_segment(net), Pass::backward, 2, {});
  std::multiset<LayerId> weight_steps;
  std::set<std::int64_t> written;
  const auto check_read = [&](const std::optional<Place>& place) {
    if (place && place->space == Space::scratch) {
      EXPECT_TRUE(written.count(place->offset.bytes()));
    }
  };
  const auto note_write = [&](const std::optional<Place>& place) {
    if (place && place->space == Space::scratch) written.insert(place->offset.bytes());
  };
  for (const KernelStep& step : backward.steps) {
    check_read(step.output_gradient);
    check_read(step.left);
    check_read(step.right);
    for (const auto& place : step.input_gradients)
      note_write(place);
    note_write(step.sum);
    if (step.kind == KernelKind::backward_weight || step.kind == KernelKind::backward) {
      weight_steps.insert(step.layer);
    }
  }
  for (std::size_t l = 0; l < net.layers.size(); ++l) {
    if (net.layers[l].parameters.empty()) continue;
    EXPECT_EQ(weight_steps.count(LayerId(l)), 1u) << net.layers[l].name;
  }
}

INSTANTIATE_TEST_SUITE_P(Models, LoweringOfEveryModel,
                         testing::Values("gpt", "llama", "mlp", "resnet18", "resnet20", "resnet50",
                                         "vit"));

// Masks are drawn again: decoders save what they save without dropout. MLPs save one value more in
// each hidden layer, since backward reads what is on either side of it.
TEST(Lowering, KeepsNothingForDropout) {
  const auto saved = [](ModelSpec spec, std::int64_t rate) {
    spec.fields["dropout"] = {rate};
    const Net net = *build_net(spec);
    return lower(net, SegmentId(0), end_segment(net), Pass::forward, 2, {}).saved;
  };
  for (const std::string kind : {"gpt", "llama"}) {
    const ModelSpec spec{kind, {{"layers", {2}}, {"width", {24}}, {"sequence", {8}}}};
    EXPECT_EQ(saved(spec, 100'000), saved(spec, 0)) << kind;
  }
  const ModelSpec mlp{"mlp", {{"image", {4, 4, 1}}, {"hidden", {64, 64}}, {"classes", {10}}}};
  EXPECT_EQ(saved(mlp, 100'000), saved(mlp, 0) + Bytes::bytes(2 * 64 * 2 * 4));
}

// The steps' work is the network's: no pass is lost or counted twice.
TEST(Work, StepsAddUpToTheNet) {
  const Net net = model("resnet20");
  const std::int64_t samples = 4;
  double forward = 0, backward = 0;
  for (const auto& step :
       lower(net, SegmentId(0), end_segment(net), Pass::forward, samples, {}).steps) {
    forward += work_of(net, step, samples, {}).flops.flops();
  }
  for (const auto& step :
       lower(net, SegmentId(0), end_segment(net), Pass::backward, samples, {}).steps) {
    // Gradients that meet are the executor's work, additions of scale 1 nobody's.
    if (step.kind == KernelKind::accumulate || step.kind == KernelKind::copy) continue;
    backward += work_of(net, step, samples, {}).flops.flops();
  }
  const PassFlops expected = flops_of(net, samples);
  double additions = 0;
  for (const Layer& layer : net.layers) {
    if (std::holds_alternative<Add>(layer.spec)) {
      additions += layer.facts.backward_input.per_sample.flops() * samples;
    }
  }
  EXPECT_NEAR(forward, expected.forward.flops(), 1e-9 * forward);
  EXPECT_NEAR(backward + additions,
              expected.backward_input.flops() + expected.backward_weight.flops(), 1e-9 * backward);
}

}  // namespace
}  // namespace rehearse
