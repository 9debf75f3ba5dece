// Every rule of the reader: a file that breaks it and, beside it, exactly what is said about it.
// tests/update_expected rewrites what is said; read its changes before committing them.
#include <gtest/gtest.h>

#include <cstdlib>
#include <fstream>

#include "tests/scenario/files.h"

namespace rehearse {
namespace {

namespace fs = std::filesystem;
using testing::kHere;

// Paths as seen from the tests' folder, wherever the source lies.
std::string without_prefix(std::string text) {
  const std::string prefix = kHere.string() + "/";
  for (auto at = text.find(prefix); at != std::string::npos; at = text.find(prefix, at)) {
    text.erase(at, prefix.size());
  }
  return text;
}

std::string said_of(const fs::path& file) {
  if (file.parent_path().filename() == "bad_devices") {
    const Result<Device> device = read_device(file.string());
    return device ? "" : without_prefix(format(device.errors()));
  }
  const Result<Scenario> scenario = read_scenario(file.string(), testing::test_profiles());
  return scenario ? "" : without_prefix(format(scenario.errors()));
}

std::vector<fs::path> bad_files() {
  std::vector<fs::path> files = testing::yaml_files(kHere / "bad");
  for (const fs::path& file : testing::yaml_files(kHere / "bad_devices"))
    files.push_back(file);
  return files;
}

class BadInput : public ::testing::TestWithParam<fs::path> {};

TEST_P(BadInput, IsRefusedInTheseWords) {
  const fs::path expected_file = fs::path(GetParam()).replace_extension(".expected");
  const std::string said = said_of(GetParam());
  ASSERT_NE(said, "") << "was accepted";
  if (std::getenv("REHEARSE_UPDATE_EXPECTED") != nullptr) {
    std::ofstream(expected_file, std::ios::binary) << said;
    GTEST_SKIP() << "rewrote " << expected_file;
  }
  const Result<std::string> expected = read_text_file(expected_file.string());
  ASSERT_TRUE(expected.ok()) << "no expected text; tests/update_expected writes it";
  EXPECT_EQ(said, *expected);
}

INSTANTIATE_TEST_SUITE_P(Files, BadInput, ::testing::ValuesIn(bad_files()), [](const auto& file) {
  return file.param.parent_path().filename().string() + "_" + testing::test_name(file.param);
});

TEST(BadInputs, HaveNoExpectationWithoutAFile) {
  for (const char* folder : {"bad", "bad_devices"}) {
    for (const auto& file : fs::directory_iterator(kHere / folder)) {
      EXPECT_TRUE(fs::exists(fs::path(file.path()).replace_extension(".yaml"))) << file.path();
    }
  }
}

TEST(BadInputs, AFileThatIsNotThere) {
  const Result<Scenario> scenario = read_scenario("no/such.yaml", testing::test_profiles());
  ASSERT_FALSE(scenario.ok());
  EXPECT_EQ(format(scenario.errors()),
            "error: cannot read 'no/such.yaml': No such file or directory\n");
}

TEST(BadInputs, AFolderInsteadOfAFile) {
  const Result<Scenario> scenario = read_scenario(kHere.string(), testing::test_profiles());
  ASSERT_FALSE(scenario.ok());
  EXPECT_EQ(format(scenario.errors()),
            "error: cannot read '" + kHere.string() + "': Is a directory\n");
}

}  // namespace
}  // namespace rehearse
