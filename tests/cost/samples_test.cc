#include "model/cluster/samples.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace rehearse {
namespace {

using ::testing::HasSubstr;

Samples example() {
  Samples s;
  s.host = {"Zen \"3\"", 2, Bytes::gib(24), 4, "onednn"};
  s.workspace = Bytes::mib(2);
  s.kernels = {{KernelClass::convolution, "conv2d 28x28x16 -> 28x28x16 n64 forward",
                Flops::flops(2.3e8), Bytes::bytes(6431616), Seconds::seconds(0.0041),
                Seconds::seconds(0.0042), 17, 6}};
  s.copies = {{Bytes::mib(8), Seconds::seconds(0.001), 4}};
  s.messages = {{Bytes{}, Seconds::microseconds(2), Seconds{}, Seconds::seconds(1.1e-7), 1}};
  s.reductions = {{Bytes::kib(64), Seconds::microseconds(9)}};
  s.capacity = {{KernelClass::convolution, 2, 1.96}};
  s.date = "2026-11-30";
  s.steps = {{"resnet20", 64, {Seconds::seconds(0.031), Seconds::seconds(0.03)}}};
  s.kernels.front().step = 0;
  s.messages.front().repeats = {Seconds::microseconds(2), Seconds::microseconds(3)};
  s.collectives = {{4, Bytes::mib(1), 4, Seconds::seconds(0.002), {Seconds::seconds(0.0021)}}};
  return s;
}

Samples example_of_gpu() {
  Samples s = example();
  s.gpu = {"NVIDIA H200", "580.65.06", Bytes::gib(140)};
  s.copies.push_back({Bytes::mib(64), Seconds::seconds(0.002), 1, CopyWay::to_host});
  s.launch = {Seconds::microseconds(3), Seconds::microseconds(2)};
  return s;
}

std::string replaced(std::string text, const std::string& from, const std::string& to) {
  const std::size_t at = text.find(from);
  EXPECT_NE(at, std::string::npos) << from;
  return text.replace(at, from.size(), to);
}

std::string first_error(const std::string& text) {
  const Result<Samples> samples = parse_samples(text, "s.json");
  return samples ? "no error" : format(samples.errors().front());
}

TEST(Samples, ComeBackAsTheyWere) {
  const Samples before = example();
  const Samples after = parse_samples(print(before), "s.json").value();
  EXPECT_EQ(print(after), print(before));
  EXPECT_EQ(after.host.processor, before.host.processor);
  EXPECT_EQ(after.host.memory, before.host.memory);
  EXPECT_EQ(after.kernels[0].kernel, before.kernels[0].kernel);
  EXPECT_EQ(after.kernels[0].flops, before.kernels[0].flops);
  EXPECT_EQ(after.kernels[0].seconds, before.kernels[0].seconds);
  EXPECT_EQ(after.messages[0].receive, before.messages[0].receive);
  EXPECT_EQ(after.capacity[0].work, before.capacity[0].work);
  EXPECT_EQ(after.date, before.date);
  EXPECT_EQ(after.kernels[0].step, before.kernels[0].step);
  EXPECT_EQ(after.steps[0].repeats, before.steps[0].repeats);
  EXPECT_EQ(after.messages[0].repeats, before.messages[0].repeats);
  EXPECT_EQ(after.collectives[0].seconds, before.collectives[0].seconds);
  EXPECT_EQ(after.collectives[0].ranks, before.collectives[0].ranks);
  EXPECT_FALSE(after.gpu);
  EXPECT_FALSE(after.launch);
}

TEST(Samples, OfGpusComeBackAsTheyWere) {
  const Samples before = example_of_gpu();
  const Samples after = parse_samples(print(before), "s.json").value();
  EXPECT_EQ(print(after), print(before));
  ASSERT_TRUE(after.gpu);
  EXPECT_EQ(after.gpu->name, before.gpu->name);
  EXPECT_EQ(after.gpu->driver, before.gpu->driver);
  EXPECT_EQ(after.gpu->memory, before.gpu->memory);
  EXPECT_EQ(after.copies[1].way, CopyWay::to_host);
  ASSERT_TRUE(after.launch);
  EXPECT_EQ(after.launch->host, before.launch->host);
}

// Files from before there were dates and GPUs are of hosts, whose copies are within their memory.
TEST(Samples, OfVersion1AreRead) {
  std::string text = replaced(print(example()), "\"version\": 3", "\"version\": 1");
  text = replaced(text, " \"date\": \"2026-11-30\",\n", "");
  text = replaced(text, ",\n   \"step\": 0", "");
  text = replaced(text, ",\n   \"way\": \"within\"", "");
  const Result<Samples> samples = parse_samples(text, "s.json");
  ASSERT_TRUE(samples) << first_error(text);
  EXPECT_EQ(samples->date, "");
  EXPECT_FALSE(samples->gpu);
  EXPECT_EQ(samples->copies[0].way, CopyWay::within);
  EXPECT_EQ(samples->kernels[0].seconds, example().kernels[0].seconds);
}

TEST(Samples, ErrorsPointAtTheValue) {
  const std::string good = print(example());
  EXPECT_THAT(first_error("{"), HasSubstr("s.json: byte 2: not JSON"));
  EXPECT_THAT(first_error("[]"), HasSubstr("s.json: /: expected an object, got []"));
  EXPECT_THAT(first_error(replaced(good, "\"version\": 3", "\"version\": 4")),
              HasSubstr("s.json: /version: expected at most 3, got 4"));
  EXPECT_THAT(first_error(replaced(good, "\"date\"", "\"day\"")),
              HasSubstr("s.json: /date: is missing"));
  EXPECT_THAT(first_error(replaced(good, "0.0042", "-1")),
              HasSubstr("s.json: /kernels/0/median_s: expected a positive number, got -1"));
  EXPECT_THAT(first_error(replaced(good, "\"cores\": 2", "\"cores\": 0")),
              HasSubstr("s.json: /host/cores: expected a whole number from 1, got 0"));
  EXPECT_THAT(first_error(replaced(good, "\"flops\"", "\"flop\"")),
              HasSubstr("s.json: /kernels/0/flops: is missing"));
  EXPECT_THAT(first_error(replaced(good, "\"convolution\"", "\"sorting\"")),
              HasSubstr("s.json: /kernels/0/class: no kernel class is called 'sorting'"));
  EXPECT_THAT(first_error(replaced(good, "\"fp32\"", "\"fp31\"")),
              HasSubstr("s.json: /dtype: no data type is called 'fp31'"));
  EXPECT_THAT(first_error(replaced(good, "\"step\": 0", "\"step\": 1")),
              HasSubstr("s.json: /kernels/0/step: there are 1 steps, counted from 0"));
  EXPECT_THAT(first_error(replaced(good, "0.031", "\"long\"")),
              HasSubstr("s.json: /steps/0/repeats_s: expected positive numbers, got \"long\""));
  EXPECT_THAT(first_error(replaced(good, "\"element_bytes\": 4", "\"element_bytes\": 0")),
              HasSubstr("s.json: /collectives/0/element_bytes: expected a whole number from 1, "
                        "got 0"));
}

TEST(Samples, ErrorsPointAtTheValuesOfGpus) {
  const std::string good = print(example_of_gpu());
  EXPECT_THAT(first_error(replaced(good, "\"driver\"", "\"drivers\"")),
              HasSubstr("s.json: /gpu/driver: is missing"));
  EXPECT_THAT(first_error(replaced(good, "\"NVIDIA H200\"", "200")),
              HasSubstr("s.json: /gpu/name: expected a text, got 200"));
  EXPECT_THAT(first_error(replaced(good, std::to_string(Bytes::gib(140).bytes()), "0")),
              HasSubstr("s.json: /gpu/memory_bytes: expected a whole number from 1, got 0"));
  EXPECT_THAT(first_error(replaced(good, "\"host_s\"", "\"hosts_s\"")),
              HasSubstr("s.json: /launch/host_s: is missing"));
  EXPECT_THAT(first_error(replaced(good, "\"to-host\"", "\"sideways\"")),
              HasSubstr("s.json: /copies/1/way: no way of copying is called 'sideways'"));
}

// Every prefix of a good file is refused, none is half read.
TEST(Samples, RefuseTruncatedFiles) {
  const std::string good = print(example());
  for (std::size_t length = 0; length + 2 < good.size(); ++length) {
    EXPECT_FALSE(parse_samples(good.substr(0, length), "s.json").ok()) << length;
  }
}

}  // namespace
}  // namespace rehearse
