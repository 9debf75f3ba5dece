#include "model/base/check.h"
#include "model/net/layers/layers.h"

namespace rehearse::layers {

LayerFacts describe(const Attention& a, std::span<const Shape> inputs) {
  expect_inputs("attention", inputs, 1, (a.heads + 2 * a.kv_heads) * a.head_size);
  REHEARSE_CHECK(a.heads % a.kv_heads == 0, "{} heads in {} groups", a.heads, a.kv_heads);
  const std::int64_t t = inputs[0].dims[0];
  LayerFacts facts;
  facts.output = {{t, a.heads * a.head_size}};
  facts.kernel = KernelClass::attention;

  // Scores and weighted values: 2 t^2 head_size operations each per head, causal or not, as the
  // literature counts them (Narayanan et al., arXiv 2104.04473, appendix). Backward has four such
  // products, and the fused kernel recomputes the scores.
  const double product = 2.0 * static_cast<double>(t * t * a.heads * a.head_size);
  const std::int64_t probabilities = a.heads * t * t;
  const std::int64_t ends = inputs[0].elements() + facts.output.elements();
  facts.saves_input = {true};
  if (a.fused) {
    facts.forward = per_sample(2 * product, ends);
    facts.backward_input = per_sample(5 * product, 2 * ends);
    facts.saves_output = true;
    facts.auxiliaries = {{"log_sum_exp", a.heads * t, 0}};
    return facts;
  }
  // Dropout reads and writes the probabilities once more in each pass, and a mask of bytes. The
  // softmax reads and writes them; its gradient is written, made from that of the probabilities and
  // them, and read for queries and for keys, as the probabilities are for values.
  const std::int64_t dropped = a.dropout > 0 ? probabilities * 5 / 2 : 0;
  // Megatron's copy heads together again, and in backward the gradients of queries, keys, values.
  const bool own = a.kernels == Kernels::own;
  const std::int64_t heads_copied = own ? 0 : 2 * facts.output.elements(),
                     gradients_copied = own ? 0 : 2 * inputs[0].elements();
  const Work forward = per_sample(2 * product, ends + 4 * probabilities + dropped + heads_copied);
  facts.forward = forward;
  facts.backward_input =
      per_sample(4 * product, 2 * ends + 7 * probabilities + dropped + gradients_copied);
  if (a.checkpointed) {
    facts.backward_input = facts.backward_input + forward;
    return facts;
  }
  facts.auxiliaries = {{"probabilities", probabilities, 0,
                        own ? AuxiliaryType::statistic : AuxiliaryType::activation}};
  if (own || a.dropout == 0) return facts;
  facts.auxiliaries.push_back({"mask", probabilities, 0, AuxiliaryType::mask});
  facts.auxiliaries.push_back({"dropped", probabilities, 0, AuxiliaryType::activation});
  return facts;
}

}  // namespace rehearse::layers
