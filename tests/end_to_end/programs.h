// Starts the programs and reads what they wrote.
#pragma once

#include <gtest/gtest.h>
#include <sys/wait.h>

#include <array>
#include <cstdio>
#include <filesystem>
#include <string>

#include "model/scenario/scenario.h"
#include "tools/summary/summary.h"

namespace rehearse::testing {

inline const std::filesystem::path kSource = REHEARSE_SOURCE_DIR;

struct Outcome {
  int exit_code = 0;
  std::string output;  // of both streams
};

// A program that hangs must not hang the tests.
inline Outcome run(const std::string& command) {
  Outcome outcome;
  std::FILE* pipe = popen(("timeout 180 " + command + " 2>&1").c_str(), "r");
  if (pipe == nullptr) return {-1, "no pipe"};
  std::array<char, 4096> buffer;
  while (const std::size_t n = std::fread(buffer.data(), 1, buffer.size(), pipe)) {
    outcome.output.append(buffer.data(), n);
  }
  const int status = pclose(pipe);
  outcome.exit_code = WIFEXITED(status) ? WEXITSTATUS(status) : -1;
  return outcome;
}

// A folder of the running test's own, removed at its end.
class Folder {
 public:
  Folder() : path_(std::filesystem::temp_directory_path() / "rehearse_end_to_end_XXXXXX") {
    std::string name = path_.string();
    EXPECT_NE(mkdtemp(name.data()), nullptr);
    path_ = name;
  }
  ~Folder() { std::filesystem::remove_all(path_); }
  std::string operator/(const std::string& name) const { return (path_ / name).string(); }

 private:
  std::filesystem::path path_;
};

inline Summary summary_in(const std::string& path) {
  const Result<std::string> text = read_text_file(path);
  EXPECT_TRUE(text.ok()) << format(text.errors());
  if (!text.ok()) return {};
  Result<Summary> summary = parse_summary(*text, path);
  EXPECT_TRUE(summary.ok()) << format(summary.errors());
  return summary.ok() ? *std::move(summary) : Summary{};
}

}  // namespace rehearse::testing
