#include "exec/data/dataset.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>

#include "model/net/model_spec.h"

namespace rehearse::exec {
namespace {

SampleFormat format_of_model(const ModelSpec& spec) {
  const Result<Net> net = build_net(spec);
  EXPECT_TRUE(net.ok());
  return format_of(*net);
}

const SampleFormat kImages{ValueType::real, {{28, 28, 1}}, {{1}}, 10};

TEST(FormatOf, SaysWhatANetworkReads) {
  EXPECT_EQ(format_of_model({"resnet20", {{"image", {28, 28, 1}}, {"classes", {10}}}}), kImages);
  const SampleFormat vector{ValueType::real, {{784}}, {{1}}, 10};
  EXPECT_EQ(format_of_model({"mlp", {{"image", {28, 28, 1}}, {"classes", {10}}}}), vector);
  const SampleFormat tokens{ValueType::index, {{8}}, {{8}}, 50};
  EXPECT_EQ(format_of_model({"gpt",
                             {{"layers", {1}},
                              {"width", {4}},
                              {"heads", {2}},
                              {"sequence", {8}},
                              {"positions", {8}},
                              {"vocabulary", {50}}}}),
            tokens);
}

TEST(CheckMatch, AnImageMayBeReadAsOneVector) {
  SampleFormat vector = kImages;
  vector.input = {{784}};
  EXPECT_TRUE(check_match("d", kImages, kImages).ok());
  EXPECT_TRUE(check_match("d", kImages, vector).ok());
  // But a vector is not an image of any shape.
  EXPECT_FALSE(check_match("d", vector, kImages).ok());
}

TEST(CheckMatch, NamesBothSidesOfEveryDifference) {
  const SampleFormat tokens{ValueType::index, {{8}}, {{8}}, 50};
  EXPECT_EQ(format(check_match("d", kImages, tokens).errors()),
            "error: data set d has pixels 28x28x1, the network reads token numbers 8\n"
            "error: data set d has labels 1, the network reads labels 8\n"
            "error: data set d has 10 classes, the network tells 50 apart\n");
}

TEST(OpenDataset, UnknownNames) {
  EXPECT_EQ(format(open_dataset({"fashion-mnst", kImages, 1, {}}).errors()),
            "error: unknown data set 'fashion-mnst'; did you mean 'fashion-mnist'?\n");
  EXPECT_EQ(format(open_dataset({"c4", kImages, 1, {}}).errors()),
            "error: unknown data set 'c4'; there are bible, cifar-10, cifar-100, "
            "fashion-mnist, synthetic, text, text-bpe\n");
}

TEST(OpenDataset, NamesAreSorted) {
  const std::vector<std::string> names = dataset_names();
  EXPECT_TRUE(std::is_sorted(names.begin(), names.end()));
  EXPECT_THAT(names, testing::Contains("synthetic"));
}

}  // namespace
}  // namespace rehearse::exec
