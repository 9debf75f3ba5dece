// What can be seen of NCCL without a GPU.
#include "exec/nccl/cuda_calls.h"

#include <gtest/gtest.h>

#include <stdexcept>

#include "exec/cuda/cuda_backend.h"

namespace rehearse::exec {
namespace {

// From 2.14 on communicators need not block, from 2.17 on their blocks can be limited.
TEST(NcclCalls, AreThoseOfALibraryThatDoesNotBlock) {
  const Result<std::string> version = nccl_version();
  ASSERT_TRUE(version) << version.errors().front().message;
  int major = 0, minor = 0;
  ASSERT_EQ(std::sscanf(version->c_str(), "%d.%d.", &major, &minor), 2) << *version;
  EXPECT_EQ(major, 2);
  EXPECT_GE(minor, 17);
}

TEST(NcclCalls, AreMadeForAGpuOrNotAtAll) {
  if (count_gpus()) {
    EXPECT_GE(make_nccl_calls()->most_kernels(), 1u);
  } else {
    EXPECT_THROW(make_nccl_calls(), std::runtime_error);
  }
}

}  // namespace
}  // namespace rehearse::exec
