// What a folder of results is about: sweep.json in it.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "model/base/diagnostic.h"

namespace rehearse::sweep {

// Part `number` (from 1) of `of`: the points whose ordinal is so much modulo `of`.
struct Shard {
  std::uint64_t number = 1, of = 1;
  bool has(std::uint64_t ordinal) const { return ordinal % of == number - 1; }
  friend bool operator==(const Shard&, const Shard&) = default;
};
// "2/4".
Result<Shard> parse_shard(const std::string& text);
std::string to_string(const Shard& shard);

struct SweptFileEntry {
  std::string file, name;
  std::string hash;  // hashes.h
  std::uint64_t points = 0;
  std::vector<std::string> strategies;
  std::vector<std::string> columns;  // of swept values
};

struct Manifest {
  std::string tool_version, method;
  Shard shard;
  std::vector<SweptFileEntry> files;
};

// Rows of all points, or of a shard's.
std::uint64_t rows_of(const Manifest& manifest);
// The columns of swept values, of all files, each once.
std::vector<std::string> columns_of(const Manifest& manifest);

std::string print_json(const Manifest& manifest);
Result<Manifest> parse_manifest(const std::string& text, const std::string& path);

// Why the results of `there` are not those of `here`; shards aside. where: the folder.
Status check_same(const Manifest& there, const Manifest& here, const std::string& where);

}  // namespace rehearse::sweep
