#include <algorithm>
#include <cmath>

#include "model/base/check.h"
#include "model/net/layers/layers.h"

namespace rehearse {

std::int64_t CrossEntropy::real_classes() const {
  if (part.is_whole()) return classes;
  return std::clamp<std::int64_t>(all - part.number * classes, 0, classes);
}

SplitLoss loss_of_terms(std::span<const double> terms) {
  const std::span<const double> parts = terms.first(terms.size() - 1);
  const double largest = *std::max_element(parts.begin(), parts.end());
  double sum = 0;
  for (const double part : parts)
    sum += std::exp(part - largest);
  const double whole = largest + std::log(sum);
  return {whole - terms.back(), whole};
}

}  // namespace rehearse

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
  if (c.part.is_whole()) {
    facts.auxiliaries = {{"log_sum_exp", inputs[1].elements(), 0}};
  } else {
    facts.output.dims.push_back(c.part.ways + 1);
    facts.saves_output = true;
  }
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
