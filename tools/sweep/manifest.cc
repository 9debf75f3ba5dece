#include "tools/sweep/manifest.h"

#include <fmt/format.h>

#include <algorithm>
#include <nlohmann/json.hpp>

#include "model/base/text.h"

namespace rehearse::sweep {

namespace {
using Json = nlohmann::ordered_json;

// Of so many ordinals, those of a shard that begins at `first`.
std::uint64_t points_of(const Shard& shard, std::uint64_t first, std::uint64_t points) {
  const auto before = [&](std::uint64_t end) { return (end + shard.of - shard.number) / shard.of; };
  return before(first + points) - before(first);
}
}  // namespace

Result<Shard> parse_shard(const std::string& text) {
  const std::vector<std::string_view> parts = split(text, '/');
  const auto number = parts.size() == 2 ? parse_integer(parts[0]) : std::nullopt;
  const auto of = parts.size() == 2 ? parse_integer(parts[1]) : std::nullopt;
  if (number && of && *number >= 1 && *number <= *of)
    return Shard{static_cast<std::uint64_t>(*number), static_cast<std::uint64_t>(*of)};
  return error(
      fmt::format("--shard is a part from the first to the last, such as 1/4 to 4/4: not "
                  "'{}'",
                  text));
}

std::string to_string(const Shard& shard) {
  return fmt::format("{}/{}", shard.number, shard.of);
}

std::uint64_t rows_of(const Manifest& manifest) {
  std::uint64_t rows = 0, first = 0;
  for (const SweptFileEntry& file : manifest.files) {
    rows += points_of(manifest.shard, first, file.points) * file.strategies.size();
    first += file.points;
  }
  return rows;
}

std::vector<std::string> columns_of(const Manifest& manifest) {
  std::vector<std::string> all;
  for (const SweptFileEntry& file : manifest.files) {
    for (const std::string& column : file.columns) {
      if (std::find(all.begin(), all.end(), column) == all.end()) all.push_back(column);
    }
  }
  return all;
}

std::string print_json(const Manifest& manifest) {
  Json files = Json::array();
  for (const SweptFileEntry& file : manifest.files) {
    files.push_back({{"file", file.file},
                     {"name", file.name},
                     {"hash", file.hash},
                     {"points", file.points},
                     {"strategies", file.strategies},
                     {"columns", file.columns}});
  }
  const Json json = {{"sweep", 1},  // version of the format
                     {"tool_version", manifest.tool_version},
                     {"method", manifest.method},
                     {"shard", to_string(manifest.shard)},
                     {"files", std::move(files)}};
  return json.dump(1, ' ', false, Json::error_handler_t::replace) + "\n";
}

Result<Manifest> parse_manifest(const std::string& text, const std::string& path) try {
  const Json json = Json::parse(text);
  if (json.at("sweep") != 1) return error(fmt::format("{}: not a format that is known here", path));
  Manifest manifest;
  manifest.tool_version = json.at("tool_version").get<std::string>();
  manifest.method = json.at("method").get<std::string>();
  const Result<Shard> shard = parse_shard(json.at("shard").get<std::string>());
  if (!shard) return shard.errors();
  manifest.shard = *shard;
  for (const Json& file : json.at("files")) {
    manifest.files.push_back(
        {file.at("file").get<std::string>(), file.at("name").get<std::string>(),
         file.at("hash").get<std::string>(), file.at("points").get<std::uint64_t>(),
         file.at("strategies").get<std::vector<std::string>>(),
         file.at("columns").get<std::vector<std::string>>()});
  }
  return manifest;
} catch (const Json::exception& problem) {
  return error(fmt::format("{}: not the description of a sweep: {}", path, problem.what()));
}

Status check_same(const Manifest& there, const Manifest& here, const std::string& where) {
  const auto differs = [&](std::string_view what, const std::string& a, const std::string& b) {
    return error(
        fmt::format("the results in '{}' are of another {}: {} there, {} here", where, what, a, b));
  };
  if (there.tool_version != here.tool_version)
    return differs("version of rehearse", there.tool_version, here.tool_version);
  if (there.method != here.method) return differs("method", there.method, here.method);
  if (there.files.size() != here.files.size())
    return differs("sweep", fmt::format("{} scenarios", there.files.size()),
                   fmt::format("{}", here.files.size()));
  for (std::size_t f = 0; f < here.files.size(); ++f) {
    const SweptFileEntry &a = there.files[f], &b = here.files[f];
    if (a.hash != b.hash)
      return differs("scenario", fmt::format("'{}' with hash {}", a.file, a.hash),
                     fmt::format("'{}' with {}", b.file, b.hash));
  }
  return success();
}

}  // namespace rehearse::sweep
