// A folder of results: sweep.json, what they are of; results.jsonl and results.csv, a row for each
// point and strategy.
//
// Rows are written as they come, each at once and in one piece, so that a process that ends in the
// middle leaves whole rows and at most a torn last line, which resume() cuts off. results.jsonl is
// what counts: the other file is written anew from it then. put_in_order() sorts both at the end.
#pragma once

#include <chrono>
#include <fstream>
#include <functional>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "tools/sweep/manifest.h"
#include "tools/sweep/row.h"

namespace rehearse::sweep {

// A row that is there. O(1) memory for each: 40 bytes.
struct StoredRow {
  RowPlace place;
  std::uint64_t scenario_hash = 0;
  std::uint64_t json_at = 0, csv_at = 0;  // offsets in the files
};

// A row as the files have it.
struct PrintedRow {
  RowPlace place;
  std::uint64_t scenario_hash = 0;
  std::string json, csv;
};

// Held, nobody else has it: of a folder, as long as its process lives.
class FolderLock {
 public:
  // Errors: another one has it.
  static Result<FolderLock> take(const std::string& folder);
  FolderLock(FolderLock&& other) noexcept : file_(std::exchange(other.file_, -1)) {}
  FolderLock& operator=(FolderLock&& other) noexcept {
    std::swap(file_, other.file_);
    return *this;
  }
  ~FolderLock();

 private:
  explicit FolderLock(int file) : file_(file) {}
  int file_ = -1;
};

class Results {
 public:
  using Visit = std::function<void(const RowPlace&, const Row&)>;

  // A folder that is not there yet, or is empty. Both are refused while another process has its
  // results open.
  static Result<Results> create(const std::string& folder, const Manifest& manifest);
  // The same, or one that create() has made of the same sweep and shard: its rows are kept, and
  // visited.
  static Result<Results> resume(const std::string& folder, const Manifest& manifest,
                                const Visit& visit);

  const std::string& folder() const { return folder_; }
  // In the order in which they stand in the files.
  const std::vector<StoredRow>& rows() const { return rows_; }

  // For any thread, at any time.
  PrintedRow print(const RowPlace& place, const Row& row) const;
  // Returns where the row is from now on. In the files after a tenth of a second at the most, if
  // another one follows; or flush(). Errors: the files cannot be written.
  Result<std::uint64_t> append(const PrintedRow& row);
  Status flush();
  // json_at: of a row that is there.
  Result<Row> read(std::uint64_t json_at);
  // Sorts the rows; byte for byte the same for the same rows, whoever came first.
  Status put_in_order();

 private:
  Results(std::string folder, const Manifest& manifest, FolderLock lock)
      : folder_(std::move(folder)), lock_(std::move(lock)), columns_(columns_of(manifest)) {}
  // Into an empty folder.
  static Result<Results> begin(const std::string& folder, const Manifest& manifest,
                               FolderLock lock);
  std::string path(std::string_view name) const { return folder_ + "/" + std::string(name); }
  Status open(bool anew);
  Status take_stored(const Manifest& manifest, const Visit& visit);

  std::string folder_;
  FolderLock lock_;
  std::vector<std::string> columns_;
  std::ofstream json_, csv_;
  std::ifstream reader_;
  std::uint64_t json_end_ = 0, csv_end_ = 0;
  std::chrono::steady_clock::time_point flushed_;
  std::vector<StoredRow> rows_;
};

// Whether a folder is one of results, or of some that were begun.
bool has_manifest(const std::string& folder);
// The manifest of a folder.
Result<Manifest> read_manifest(const std::string& folder);
// Every whole row of a folder, in the order in which they stand; returns where the last one ends.
Result<std::uint64_t> visit_rows(const std::string& folder,
                                 const std::function<Status(const Row&, std::uint64_t at)>& visit);
// Finds a row's place by the names it has. Errors: they are not in the manifest.
Result<RowPlace> place_of(const Row& row, const Manifest& manifest);
std::uint64_t hash_number(const std::string& hexadecimal);

}  // namespace rehearse::sweep
