#include "model/base/check.h"
#include "model/net/layers/layers.h"

namespace rehearse::layers {
namespace {

// What every loss of logits of so many classes and a label for each row of them has.
LayerFacts facts_of_loss(std::string_view kind, std::span<const Shape> inputs,
                         std::int64_t classes) {
  expect_inputs(kind, inputs, 2, classes);
  const std::int64_t labels = inputs[0].elements() / classes;
  REHEARSE_CHECK(inputs[1].elements() == labels, "{} labels for logits {}", inputs[1].elements(),
                 to_string(inputs[0]));
  LayerFacts facts;
  facts.output = inputs[1];
  facts.kernel = KernelClass::reduction;
  facts.saves_input = {true, true};
  return facts;
}

}  // namespace

LayerFacts describe(const CrossEntropy& c, std::span<const Shape> inputs) {
  LayerFacts facts = facts_of_loss("cross_entropy", inputs, c.classes);
  const std::int64_t logits = inputs[0].elements();
  const auto n = static_cast<double>(logits);
  facts.forward = per_sample(4 * n, 2 * logits);
  facts.backward_input = per_sample(4 * n, 2 * logits);
  // Backward repeats the softmax from the logits and one log-sum-exp per label: nothing of the
  // logits' size is kept twice.
  facts.saves_output = c.split;
  facts.auxiliaries = {{"log_sum_exp", inputs[1].elements(), 0}};
  return facts;
}

LayerFacts describe(const SquaredError& e, std::span<const Shape> inputs) {
  LayerFacts facts = facts_of_loss("squared_error", inputs, e.classes);
  const std::int64_t logits = inputs[0].elements();
  const auto n = static_cast<double>(logits);
  // Forward a difference, a square and a sum of each logit, once read; backward a scaled
  // difference.
  facts.forward = per_sample(3 * n, logits);
  facts.backward_input = per_sample(2 * n, 2 * logits);
  return facts;
}

}  // namespace rehearse::layers
