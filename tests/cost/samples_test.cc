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
}

TEST(Samples, ErrorsPointAtTheValue) {
  const std::string good = print(example());
  EXPECT_THAT(first_error("{"), HasSubstr("s.json: byte 2: not JSON"));
  EXPECT_THAT(first_error("[]"), HasSubstr("s.json: /: expected an object, got []"));
  EXPECT_THAT(first_error(replaced(good, "\"version\": 1", "\"version\": 2")),
              HasSubstr("s.json: /version: expected 1, got 2"));
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
