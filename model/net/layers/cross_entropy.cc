#include "model/base/check.h"
#include "model/net/layers/layers.h"

namespace rehearse::layers {

LayerFacts describe(const CrossEntropy& c, std::span<const Shape> inputs) {
  expect_inputs("cross_entropy", inputs, 2, c.classes);
  const std::int64_t labels = inputs[0].elements() / c.classes;
  REHEARSE_CHECK(inputs[1].elements() == labels, "{} labels for logits {}", inputs[1].elements(),
                 to_string(inputs[0]));
  LayerFacts facts;
  facts.output = inputs[1];
  facts.kernel = KernelClass::reduction;
  const std::int64_t logits = inputs[0].elements();
  const auto n = static_cast<double>(logits);
  facts.forward = per_sample(4 * n, 2 * logits);
  facts.backward_input = per_sample(4 * n, 2 * logits);
  // Backward repeats the softmax from the logits and one log-sum-exp per label: nothing of the
  // logits' size is kept twice.
  facts.saves_input = {true, true};
  facts.saves_output = c.split;
  facts.auxiliaries = {{"log_sum_exp", labels, 0}};
  return facts;
}

}  // namespace rehearse::layers
