#include <fmt/format.h>

#include <algorithm>
#include <filesystem>

#include "model/base/text.h"
#include "tools/predict/predict.h"
#include "tools/sweep/hashes.h"
#include "tools/sweep/sweep.h"

namespace rehearse::sweep {
namespace {

namespace fs = std::filesystem;

Result<std::vector<std::string>> files_of(const std::string& path) {
  std::error_code problem;
  if (!fs::is_directory(path, problem)) return std::vector<std::string>{path};
  std::vector<std::string> files;
  for (const auto& file : fs::directory_iterator(path, problem)) {
    if (file.is_regular_file() && file.path().extension() == ".yaml")
      files.push_back(file.path().string());
  }
  if (problem) return error(fmt::format("cannot read '{}': {}", path, problem.message()));
  if (files.empty()) return error(fmt::format("'{}' holds no scenarios (.yaml)", path));
  std::sort(files.begin(), files.end());
  return files;
}

Result<std::unique_ptr<const Source>> read_source(const std::string& path) {
  Result<SweptScenario> file = read_swept_scenario(path, profile_path(path));
  if (!file) return file.errors();
  auto source = std::make_unique<Source>(Source{path, *std::move(file)});
  const Result<std::uint64_t> points = Space(source->file.sweep).count();
  if (!points) return points.errors();
  if (*points == 0) return error(fmt::format("{}: no point meets the conditions", path));
  source->points = *points;
  return std::unique_ptr<const Source>(std::move(source));
}

std::string printed(std::uint64_t n) {
  constexpr std::uint64_t kCounted = std::uint64_t{1} << 62;
  return n < kCounted ? human_count(static_cast<std::int64_t>(n)) : "more than 4e18";
}

}  // namespace

Result<Sources> read_sources(const std::vector<std::string>& paths, std::uint64_t limit) {
  std::vector<std::string> files;
  for (const std::string& path : paths) {
    const Result<std::vector<std::string>> own = files_of(path);
    if (!own) return own.errors();
    for (const std::string& file : *own) {
      const std::string plain = fs::path(file).lexically_normal().string();
      if (std::find(files.begin(), files.end(), plain) == files.end()) files.push_back(plain);
    }
  }
  Sources sources;
  Diagnostics errors;
  std::uint64_t points = 0;
  for (const std::string& file : files) {
    Result<std::unique_ptr<const Source>> source = read_source(file);
    if (!source) {
      errors.insert(errors.end(), source.errors().begin(), source.errors().end());
      continue;
    }
    points += std::min((*source)->points, std::uint64_t{1} << 62);
    points = std::min(points, std::uint64_t{1} << 62);
    sources.push_back(*std::move(source));
  }
  if (!errors.empty()) return errors;
  if (points > limit)
    return error(fmt::format("a sweep of {} points, and the limit is {} (--limit)", printed(points),
                             printed(limit)));
  return sources;
}

Manifest manifest_of(const Sources& sources, const Method& method, const Shard& shard) {
  Manifest manifest{REHEARSE_VERSION, std::string(method.name), shard, {}};
  for (const auto& source : sources) {
    const Scenario& scenario = source->file.scenario;
    SweptFileEntry& entry = manifest.files.emplace_back();
    entry = {source->path, scenario.name, file_hash(source->file.root), source->points, {}, {}};
    for (const ScenarioStrategy& strategy : scenario.strategies)
      entry.strategies.push_back(strategy.spec.name);
    for (const SweptColumn* column : source->file.sweep.columns())
      entry.columns.push_back(column->name);
  }
  return manifest;
}

}  // namespace rehearse::sweep
