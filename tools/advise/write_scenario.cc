#include "tools/advise/write_scenario.h"

#include <fmt/format.h>

#include <algorithm>
#include <filesystem>

#include "model/base/text.h"

namespace rehearse::advise {
namespace {

namespace fs = std::filesystem;

std::string print_order(const AxisOrder& order) {
  std::vector<std::string> axes;
  for (const Axis axis : order)
    axes.emplace_back(to_string(axis));
  return fmt::format("[{}]", join(axes, ", "));
}

const yaml::Value* value_of(const yaml::Value* map, std::string_view key) {
  if (map == nullptr) return nullptr;
  for (const yaml::Entry& entry : map->entries) {
    if (entry.key == key) return &entry.value;
  }
  return nullptr;
}

bool is_path(const std::string& name) {
  return name.find('/') != std::string::npos || name.ends_with(".yaml");
}

fs::path folder_of(const std::string& path) {
  return fs::weakly_canonical(fs::absolute(path).parent_path());
}

// A scalar of the file that gets another text.
struct Edit {
  SourceSpan where;
  std::string text;
};

class Rewriter {
 public:
  Rewriter(const yaml::Value& root, const std::string& path, const std::string& out)
      : root_(root), from_(folder_of(path)), to_(folder_of(out)) {}

  void set_device(const std::string& profile) {
    const yaml::Value* device = value_of(value_of(&root_, "cluster"), "device");
    const bool is_file = is_path(profile) && fs::exists(profile);
    const std::string name = is_file ? fs::relative(fs::absolute(profile), to_).string() : profile;
    if (device != nullptr) edit(*device, is_file && !is_path(name) ? "./" + name : name);
  }

  // Strategies that were found may be such that one replica does not stand for all.
  void set_replicas() {
    const yaml::Value* replicas = value_of(value_of(&root_, "simulation"), "replicas");
    if (replicas != nullptr && replicas->text == to_string(Replicas::first))
      edits_.push_back({replicas->where, std::string(to_string(Replicas::automatic))});
  }

  void move_paths(bool has_device) {
    if (from_ == to_) return;
    const yaml::Value* cluster = value_of(&root_, "cluster");
    move_path(value_of(value_of(&root_, "model"), "hf_config"));
    if (has_device) move_profile(value_of(cluster, "device"));
    const yaml::Value* ranks = value_of(cluster, "ranks");
    if (ranks == nullptr) return;
    for (const yaml::Value& exception : ranks->items)
      move_profile(value_of(&exception, "device"));
  }

  // Later places first, so that earlier ones stay where they are.
  std::vector<Edit> take() {
    std::sort(edits_.begin(), edits_.end(), [](const Edit& a, const Edit& b) {
      return std::pair(a.where.line, a.where.column) > std::pair(b.where.line, b.where.column);
    });
    return std::move(edits_);
  }

 private:
  void edit(const yaml::Value& value, std::string text) {
    std::string quoted = "'";
    for (const char c : text)
      quoted.append(c == '\'' ? 2 : 1, c);
    edits_.push_back({value.where, quoted + "'"});
  }
  void move_path(const yaml::Value* value) {
    if (value == nullptr || fs::path(value->text).is_absolute()) return;
    edit(*value, fs::relative(from_ / value->text, to_).string());
  }
  // Names are those of profiles beside the scenario, if there are any.
  void move_profile(const yaml::Value* value) {
    if (value == nullptr) return;
    if (is_path(value->text)) return move_path(value);
    const fs::path beside = from_ / "devices" / (value->text + ".yaml");
    if (fs::exists(beside)) edit(*value, fs::relative(beside, to_).string());
  }

  const yaml::Value& root_;
  const fs::path from_, to_;
  std::vector<Edit> edits_;
};

// Rates of its device's kernels would be those of the profile's in what is written.
Status can_replace_device(const yaml::Value& root) {
  const yaml::Value* cluster = value_of(&root, "cluster");
  if (cluster == nullptr) return success();
  for (const yaml::Entry& entry : cluster->entries) {
    if (entry.key == "kernels")
      return error_at(entry.key_where,
                      "'kernels' is of the cluster's own device: with --profile no scenario can be "
                      "made of it");
  }
  return success();
}

// Whether every section begins on a line of its own.
bool has_lines(const yaml::Value& root) {
  int last = 0;
  for (const yaml::Entry& entry : root.entries) {
    if (entry.key_where.column != 1 || entry.key_where.line <= last) return false;
    last = entry.key_where.line;
  }
  return true;
}

std::string splice(const yaml::Value& root, std::vector<std::string> lines) {
  std::string text;
  std::size_t line = 0;
  const auto copy = [&](std::size_t end, bool keeps) {
    for (; line < end; ++line) {
      if (keeps) text += lines[line] + "\n";
    }
  };
  bool keeps = true;
  for (const yaml::Entry& entry : root.entries) {
    copy(static_cast<std::size_t>(entry.key_where.line - 1), keeps);
    keeps = entry.key != "strategies" && entry.key != "sweep" && entry.key != "advise";
  }
  copy(lines.size(), keeps);
  return text;
}

}  // namespace

std::string print_strategy(const StrategySpec& spec) {
  std::string text = fmt::format("{{name: {}", spec.name);
  const std::int64_t data = spec.data.value_or(1);
  if (spec.sharding != Sharding::none) {
    text += fmt::format(", data: {{ranks: {}, zero: {}}}", data, static_cast<int>(spec.sharding));
  } else {
    text += fmt::format(", data: {}", data);
  }
  if (spec.tensor)
    text += fmt::format(", tensor: {{ranks: {}, sequence_parallel: {}}}",
                        spec.tensor->ranks.value_or(1), spec.tensor->sequence_parallel);
  if (spec.pipeline) {
    text += fmt::format(", pipeline: {{stages: {}, schedule: {}, micro_batches: {}",
                        spec.pipeline->stages.value_or(1), spec.pipeline->schedule,
                        spec.pipeline->micro_batches);
    if (spec.pipeline->chunks) text += fmt::format(", chunks: {}", *spec.pipeline->chunks);
    if (is_waited_for(spec.pipeline->exchange))
      text += fmt::format(", exchange: {}", to_string(spec.pipeline->exchange));
    if (spec.pipeline->scatter_gather) text += ", scatter_gather: true";
    text += "}";
  } else if (spec.micro_batches > 1) {
    text += fmt::format(", micro_batches: {}", spec.micro_batches);
  }
  if (spec.subnetwork) {
    text += fmt::format(", subnetwork: {{workers: {}, coverage: {}",
                        spec.subnetwork->workers.value_or(1), to_string(spec.subnetwork->coverage));
    if (spec.subnetwork->step_multiplier)
      text += fmt::format(", step_multiplier: {}", exact(*spec.subnetwork->step_multiplier));
    text += "}";
  }
  if (spec.recomputation != Recomputation::none)
    text += fmt::format(", recompute: {}", to_string(spec.recomputation));
  if (spec.order != kAxisOrder) text += fmt::format(", order: {}", print_order(spec.order));
  return text + "}";
}

Result<std::string> with_strategies(const std::string& path, const std::string& out,
                                    const std::vector<StrategySpec>& strategies,
                                    const std::optional<std::string>& profile) {
  const Result<std::string> text = read_text_file(path);
  if (!text) return text.errors();
  const Result<yaml::Document> document =
      yaml::parse(std::make_shared<const SourceText>(path, *text));
  if (!document) return document.errors();
  const yaml::Value& root = document->root;
  if (!has_lines(root))
    return error(
        fmt::format("{}: sections do not begin on lines of their own: no scenario can be "
                    "made of it",
                    path));
  if (const Status can = can_replace_device(root); profile && !can) return can.errors();
  std::vector<std::string> lines;
  for (const std::string_view line : split(*text, '\n'))
    lines.emplace_back(line);
  if (!lines.empty() && lines.back().empty()) lines.pop_back();
  Rewriter rewriter(root, path, out);
  if (profile) rewriter.set_device(*profile);
  rewriter.set_replicas();
  rewriter.move_paths(!profile);
  for (const Edit& edit : rewriter.take()) {
    std::string& line = lines[static_cast<std::size_t>(edit.where.line - 1)];
    line.replace(static_cast<std::size_t>(edit.where.column - 1),
                 static_cast<std::size_t>(edit.where.length), edit.text);
  }
  std::string result = splice(root, std::move(lines)) + "strategies:\n";
  for (const StrategySpec& spec : strategies)
    result += fmt::format("  - {}\n", print_strategy(spec));
  return result;
}

}  // namespace rehearse::advise
