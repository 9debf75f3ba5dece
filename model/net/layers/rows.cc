// The rows of a sequence, brought together and handed out again by collectives of the plan: no
// arithmetic and no traffic of their own.
#include "model/base/check.h"
#include "model/net/layers/layers.h"

namespace rehearse::layers {

LayerFacts describe(const GatherRows& gather, std::span<const Shape> inputs) {
  expect_inputs("gather_rows", inputs, 1);
  LayerFacts facts;
  facts.output = inputs[0];
  facts.output.dims[0] *= gather.ways;
  facts.kernel = KernelClass::copy;
  // The rank's rows are what is kept for backward: the product that reads the gathered rows has
  // them gathered again (Korthikanti et al., arXiv 2205.05198, section 4.2.2).
  facts.saves_input = {true};
  return facts;
}

LayerFacts describe(const ScatterRows& scatter, std::span<const Shape> inputs) {
  expect_inputs("scatter_rows", inputs, 1);
  REHEARSE_CHECK(inputs[0].dims[0] % scatter.ways == 0, "{} rows do not divide into {} ways",
                 inputs[0].dims[0], scatter.ways);
  LayerFacts facts;
  facts.output = inputs[0];
  facts.output.dims[0] /= scatter.ways;
  facts.kernel = KernelClass::copy;
  facts.saves_input = {false};
  return facts;
}

}  // namespace rehearse::layers
