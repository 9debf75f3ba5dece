// The files that these tests read, and texts out of them.
#pragma once

#include <algorithm>
#include <filesystem>
#include <string>
#include <vector>

#include "model/scenario/scenario.h"

namespace rehearse::testing {

inline const std::filesystem::path kSource = REHEARSE_SOURCE_DIR;
inline const std::filesystem::path kHere = kSource / "tests/scenario";

// The YAML files of a folder, not of those in it, sorted.
inline std::vector<std::filesystem::path> yaml_files(const std::filesystem::path& folder) {
  std::vector<std::filesystem::path> files;
  for (const auto& file : std::filesystem::directory_iterator(folder)) {
    if (file.path().extension() == ".yaml") files.push_back(file.path());
  }
  std::sort(files.begin(), files.end());
  return files;
}

// Names of parameterised tests.
inline std::string test_name(const std::filesystem::path& file) {
  std::string name = file.stem().string();
  std::replace_if(
      name.begin(), name.end(), [](char c) { return c == '-' || c == '.'; }, '_');
  return name;
}

inline ProfilePath test_profiles() {
  return {{(kHere / "devices").string()}};
}
inline ProfilePath shipped_profiles() {
  return {{(kSource / "scenarios/devices").string()}};
}

}  // namespace rehearse::testing
