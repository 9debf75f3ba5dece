// Whatever computes, the same network is trained: the reference kernels are the oracle.
#include <fstream>

#include "tests/end_to_end/programs.h"

namespace rehearse {
namespace {

using testing::Folder;
using testing::Outcome;
using testing::run;
using testing::summary_in;

class Backends : public ::testing::TestWithParam<std::string> {};

// Batch norms of 8 small images may amplify rounding ten thousand times, as they do with seed 1:
// with 2 and 3 the losses of resnet20 agree to 6e-6.
TEST_P(Backends, TrainAlike) {
  const Folder folder;
  const std::string scenario = folder / "small.yaml";
  std::ofstream(scenario) << "name: small\n"
                             "model: "
                          << GetParam()
                          << "\n"
                             "training: {data: synthetic, batch: 16, optimizer: {kind: sgd, lr: "
                             "0.05, momentum: 0.9}, steps: 4, seed: 2}\n"
                             "cluster: {device: cpu-core, devices_per_node: 2}\n"
                             "strategies: [{name: ddp, data: auto}]\n";
  std::vector<std::vector<double>> losses;
  for (const char* backend : {"onednn", "reference"}) {
    const Outcome trained = run(std::string(REHEARSE_EXEC " train ") + scenario +
                                " --local 2 --backend " + backend + " --out " + (folder / backend));
    ASSERT_EQ(trained.exit_code, 0) << trained.output;
    losses.push_back(
        summary_in(folder / (std::string(backend) + "/measured.json")).strategies.at(0).losses);
  }
  ASSERT_EQ(losses[0].size(), 4u);
  for (std::size_t step = 0; step < 4; ++step) {
    EXPECT_NEAR(losses[0][step] / losses[1][step], 1, 1e-4) << "step " << step;
  }
  EXPECT_NE(losses[0].front(), losses[0].back()) << "weights moved";
}

INSTANTIATE_TEST_SUITE_P(
    Models, Backends,
    ::testing::Values(
        "{kind: resnet20, image: 12x12x1, classes: 10}",
        "{kind: mlp, image: 8x8x1, hidden: [32, 32], classes: 10}",
        "{kind: gpt, layers: 2, width: 32, heads: 2, sequence: 16, positions: 16, vocabulary: 64}",
        "{kind: llama, layers: 2, width: 32, hidden: 64, heads: 4, kv_heads: 2, sequence: 16, "
        "vocabulary: 64}"),
    [](const auto& c) {
      const std::size_t begin = c.param.find(' ') + 1;
      return c.param.substr(begin, c.param.find(',') - begin);
    });

}  // namespace
}  // namespace rehearse
