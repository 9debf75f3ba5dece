#include "tools/sweep/results.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/file.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <chrono>
#include <cstring>
#include <filesystem>

#include "model/scenario/scenario.h"

namespace rehearse::sweep {
namespace {

namespace fs = std::filesystem;

// Of rows that take microseconds each, writing one by one would take as long as finding them.
constexpr std::chrono::milliseconds kFlushEvery(100);

constexpr std::string_view kManifest = "sweep.json", kJson = "results.jsonl", kCsv = "results.csv";

Diagnostics cannot_write(const std::string& path) {
  return error(fmt::format("cannot write '{}': {}", path, std::strerror(errno)));
}

bool is_empty(const std::string& folder) {
  std::error_code problem;
  return !fs::exists(folder, problem) ||
         (fs::is_directory(folder, problem) && fs::is_empty(folder, problem));
}

// All of it or nothing of it.
Status write_whole(const std::string& path, const std::string& text) {
  const std::string part = path + ".part";
  {
    std::ofstream file(part, std::ios::binary);
    if (!(file << text) || !file.flush()) return cannot_write(part);
  }
  std::error_code problem;
  fs::rename(part, path, problem);
  return problem ? Status(cannot_write(path)) : success();
}

// Pieces of a file, asked for nearly in its order: much of it is read at a time.
class Pieces {
 public:
  explicit Pieces(const std::string& path) : file_(path, std::ios::binary) {}

  // Until the next one is asked for. Shorter than asked for if the file is.
  std::string_view read(std::uint64_t at, std::uint64_t length) {
    constexpr std::uint64_t kBefore = 1 << 18, kBehind = 1 << 20;
    if (at < begin_ || at + length > begin_ + part_.size()) {
      begin_ = at - std::min(at, kBefore);
      part_.resize(at - begin_ + std::max(length, kBehind));
      file_.clear();
      file_.seekg(static_cast<std::streamoff>(begin_));
      file_.read(part_.data(), static_cast<std::streamsize>(part_.size()));
      part_.resize(static_cast<std::size_t>(file_.gcount()));
    }
    return std::string_view(part_).substr(std::min(at - begin_, part_.size()), length);
  }

 private:
  std::ifstream file_;
  std::uint64_t begin_ = 0;
  std::string part_;
};

// A copy of a file's rows in another order, instead of the file. end: of the last one in the file.
Status reorder(const std::string& path, const std::string& heading,
               const std::vector<StoredRow>& rows, std::uint64_t StoredRow::*at,
               std::uint64_t end) {
  std::vector<std::uint64_t> ends = {end};  // every row ends where another one begins
  for (const StoredRow& row : rows)
    ends.push_back(row.*at);
  std::sort(ends.begin(), ends.end());
  const std::string part = path + ".part";
  {
    Pieces from(path);
    std::ofstream to(part, std::ios::binary);
    to << heading;
    for (const StoredRow& row : rows) {
      const std::uint64_t length = *std::upper_bound(ends.begin(), ends.end(), row.*at) - row.*at;
      const std::string_view text = from.read(row.*at, length);
      if (text.size() < length) return error(fmt::format("cannot read '{}' again", path));
      to << text;
    }
    if (!to.flush()) return cannot_write(part);
  }
  std::error_code problem;
  fs::rename(part, path, problem);
  return problem ? Status(cannot_write(path)) : success();
}

}  // namespace

std::uint64_t hash_number(const std::string& hexadecimal) {
  std::uint64_t hash = 0;
  std::from_chars(hexadecimal.data(), hexadecimal.data() + hexadecimal.size(), hash, 16);
  return hash;
}

bool has_manifest(const std::string& folder) {
  std::error_code problem;
  return fs::exists(folder + "/" + std::string(kManifest), problem);
}

Result<Manifest> read_manifest(const std::string& folder) {
  const std::string path = folder + "/" + std::string(kManifest);
  const Result<std::string> text = read_text_file(path);
  if (!text) return text.errors();
  return parse_manifest(*text, path);
}

Result<RowPlace> place_of(const Row& row, const Manifest& manifest) {
  for (std::size_t f = 0; f < manifest.files.size(); ++f) {
    const SweptFileEntry& file = manifest.files[f];
    if (file.file != row.file) continue;
    const auto& names = file.strategies;
    const auto strategy = std::find(names.begin(), names.end(), row.strategy);
    if (strategy == names.end()) break;
    return RowPlace{static_cast<std::uint32_t>(f),
                    static_cast<std::uint32_t>(strategy - names.begin()), row.point};
  }
  return error(fmt::format("a row of strategy '{}' of '{}', which the sweep does not have",
                           row.strategy, row.file));
}

Result<std::uint64_t> visit_rows(const std::string& folder,
                                 const std::function<Status(const Row&, std::uint64_t at)>& visit) {
  const std::string path = folder + "/" + std::string(kJson);
  std::ifstream file(path, std::ios::binary);
  std::uint64_t at = 0;
  std::string line;
  for (std::int64_t number = 1; std::getline(file, line) && !file.eof(); ++number) {
    const Result<Row> row = parse_json_line(line);
    const Status visited = row ? visit(*row, at) : Status(row.errors());
    if (!visited)
      return error(fmt::format("{}:{}: {}", path, number, visited.errors().front().message));
    at += line.size() + 1;
  }
  return at;
}

Result<FolderLock> FolderLock::take(const std::string& folder) {
  const int file = ::open(folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (file < 0) return error(fmt::format("cannot open '{}': {}", folder, std::strerror(errno)));
  FolderLock lock(file);
  if (::flock(file, LOCK_EX | LOCK_NB) == 0) return lock;
  return error(errno == EWOULDBLOCK
                   ? fmt::format("another process writes results into '{}'", folder)
                   : fmt::format("cannot lock '{}': {}", folder, std::strerror(errno)));
}

FolderLock::~FolderLock() {
  if (file_ >= 0) ::close(file_);
}

Result<Results> Results::create(const std::string& folder, const Manifest& manifest) {
  std::error_code problem;
  if (fs::exists(folder, problem) && !fs::is_directory(folder, problem))
    return error(fmt::format("'{}' is there and no folder", folder));
  fs::create_directories(folder, problem);
  Result<FolderLock> lock = FolderLock::take(folder);
  if (!lock) return lock.errors();
  if (!is_empty(folder)) {
    return error(
        fmt::format("'{}' is not empty: results go into a folder of their own{}", folder,
                    has_manifest(folder) ? "; --resume goes on with those that are there" : ""));
  }
  return begin(folder, manifest, *std::move(lock));
}

Result<Results> Results::begin(const std::string& folder, const Manifest& manifest,
                               FolderLock lock) {
  Results results(folder, manifest, std::move(lock));
  const Status written = write_whole(results.path(kManifest), print_json(manifest));
  if (!written) return written.errors();
  const Status opened = results.open(true);
  if (!opened) return opened.errors();
  return results;
}

Result<Results> Results::resume(const std::string& folder, const Manifest& manifest,
                                const Visit& visit) {
  std::error_code problem;
  if (!fs::is_directory(folder, problem)) return create(folder, manifest);
  Result<FolderLock> lock = FolderLock::take(folder);
  if (!lock) return lock.errors();
  if (is_empty(folder)) return begin(folder, manifest, *std::move(lock));
  const Result<Manifest> there = read_manifest(folder);
  if (!there) {
    if (has_manifest(folder)) return there.errors();
    return error(fmt::format("'{}' is not empty and holds no results of a sweep", folder));
  }
  const Status same = check_same(*there, manifest, folder);
  if (!same) return same.errors();
  if (there->shard != manifest.shard)
    return error(fmt::format("the results in '{}' are of shard {}, not of {}", folder,
                             to_string(there->shard), to_string(manifest.shard)));
  Results results(folder, manifest, *std::move(lock));
  const Status taken = results.take_stored(*there, visit);
  if (!taken) return taken.errors();
  return results;
}

Status Results::open(bool anew) {
  const auto mode = std::ios::binary | (anew ? std::ios::trunc : std::ios::app);
  json_.open(path(kJson), mode);
  if (!json_) return cannot_write(path(kJson));
  if (!csv_.is_open()) {
    csv_.open(path(kCsv), std::ios::binary | std::ios::trunc);
    const std::string heading = csv_heading(columns_);
    if (!(csv_ << heading << std::flush)) return cannot_write(path(kCsv));
    csv_end_ = heading.size();
  }
  reader_.open(path(kJson), std::ios::binary);
  return success();
}

Status Results::take_stored(const Manifest& manifest, const Visit& visit) {
  csv_.open(path(kCsv), std::ios::binary | std::ios::trunc);
  const std::string heading = csv_heading(columns_);
  csv_ << heading;
  csv_end_ = heading.size();
  const Result<std::uint64_t> end = visit_rows(folder_, [&](const Row& row, std::uint64_t at) {
    const Result<RowPlace> place = place_of(row, manifest);
    if (!place) return Status(place.errors());
    const std::string line = print_csv_line(row, columns_);
    csv_ << line;
    rows_.push_back({*place, hash_number(row.scenario_hash), at, csv_end_});
    csv_end_ += line.size();
    visit(*place, row);
    return success();
  });
  if (!end) return end.errors();
  if (!csv_.flush()) return cannot_write(path(kCsv));
  json_end_ = *end;
  std::error_code problem;
  if (fs::exists(path(kJson), problem)) fs::resize_file(path(kJson), *end, problem);
  if (problem) return cannot_write(path(kJson));
  return open(false);
}

PrintedRow Results::print(const RowPlace& place, const Row& row) const {
  return {place, hash_number(row.scenario_hash), print_json_line(row),
          print_csv_line(row, columns_)};
}

Result<std::uint64_t> Results::append(const PrintedRow& row) {
  if (!(json_ << row.json)) return cannot_write(path(kJson));
  if (!(csv_ << row.csv)) return cannot_write(path(kCsv));
  const auto now = std::chrono::steady_clock::now();
  if (now - flushed_ >= kFlushEvery) {
    const Status flushed = flush();
    if (!flushed) return flushed.errors();
    flushed_ = now;
  }
  rows_.push_back({row.place, row.scenario_hash, json_end_, csv_end_});
  json_end_ += row.json.size();
  csv_end_ += row.csv.size();
  return rows_.back().json_at;
}

Status Results::flush() {
  if (!json_.flush()) return cannot_write(path(kJson));
  if (!csv_.flush()) return cannot_write(path(kCsv));
  return success();
}

Result<Row> Results::read(std::uint64_t json_at) {
  const Status flushed = flush();
  if (!flushed) return flushed.errors();
  reader_.clear();
  reader_.seekg(static_cast<std::streamoff>(json_at));
  std::string line;
  if (!std::getline(reader_, line))
    return error(fmt::format("cannot read '{}' again", path(kJson)));
  return parse_json_line(line);
}

Status Results::put_in_order() {
  const Status flushed = flush();
  if (!flushed) return flushed;
  const auto is_before = [](const StoredRow& a, const StoredRow& b) { return a.place < b.place; };
  if (std::is_sorted(rows_.begin(), rows_.end(), is_before)) return success();
  std::sort(rows_.begin(), rows_.end(), is_before);
  const Status json = reorder(path(kJson), "", rows_, &StoredRow::json_at, json_end_);
  if (!json) return json;
  return reorder(path(kCsv), csv_heading(columns_), rows_, &StoredRow::csv_at, csv_end_);
}

}  // namespace rehearse::sweep
