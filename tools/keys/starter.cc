#include "tools/keys/starter.h"

#include <algorithm>

#include "model/base/text.h"
#include "model/net/model_spec.h"
#include "model/scenario/keys/keys.h"

namespace rehearse {
namespace {

// A field's value in the file: its default, or one that it might have.
std::string given(const ModelField& field) {
  if (!field.preset.empty()) return print_field(field.kind, field.preset);
  return field.kind == FieldKind::image ? "32x32x3" : "10";
}

constexpr std::string_view kNotByDefault = "not by default";

// Lines of a file, each with the meaning of its key as the table has it.
class Page {
 public:
  void text(std::string_view line) { text_ += fmt::format("{}\n", line); }

  // "  key: value    # meaning"; value "": a map's head.
  void key(int indent, std::string_view section, std::string_view key, std::string_view value) {
    add(fmt::format("{:{}}{}:{}{}", "", indent, key, value.empty() ? "" : " ", value),
        meaning(section, key));
  }
  // What is left to its default, as a comment; what is not there by default, with an example.
  void preset(int indent, std::string_view section, std::string_view key) {
    const yaml::Key& row = *yaml::find_key(yaml::section(section), key);
    const bool is_off = row.preset.empty();
    add(fmt::format("{:{}}# {}: {}", "", indent, key, is_off ? row.example : row.preset),
        is_off ? fmt::format("{}; {}", kNotByDefault, row.meaning) : std::string(row.meaning));
  }
  void field(const ModelField& field) {
    add(fmt::format("  {}{}: {}", field.preset.empty() ? "" : "# ", field.name, given(field)),
        field.help);
  }

  void field(const ModelField& field, std::string_view value) {
    add(fmt::format("  {}: {}", field.name, value), field.help);
  }

  std::string take() { return std::move(text_); }

 private:
  static std::string_view meaning(std::string_view section, std::string_view key) {
    return yaml::find_key(yaml::section(section), key)->meaning;
  }
  void add(std::string line, std::string_view meaning) {
    constexpr std::size_t kColumn = 44;
    text_ += fmt::format("{:<{}}  # {}\n", line, kColumn, meaning);
  }
  std::string text_;
};

// Of fields whose defaults are too much for CPUs.
struct SmallField {
  std::string_view name, value;
};
constexpr SmallField kSmall[] = {
    {"layers", "4"},     {"width", "128"},     {"heads", "4"},        {"kv_heads", "4"},
    {"sequence", "128"}, {"positions", "128"}, {"vocabulary", "512"}, {"patch", "8"},
};

// What a small network has in the field; or none: its default. Widths of a feed-forward part are
// given only where they do not follow from the network's.
std::optional<std::string_view> small_value(const ModelBuilder& kind, const ModelField& field) {
  if (kind.kind == "llama" && field.name == "hidden") return "384";
  for (const SmallField& small : kSmall) {
    if (small.name == field.name) return small.value;
  }
  return std::nullopt;
}

void print_model(const ModelBuilder& kind, bool is_small, Page& page) {
  page.key(0, "scenario", "model", "");
  page.key(2, "model", "kind", kind.kind);
  for (const ModelField& field : kind.fields) {
    const auto small = is_small ? small_value(kind, field) : std::nullopt;
    small ? page.field(field, *small) : page.field(field);
  }
}

void print_training(const Starter& starter, bool is_transformer, Page& page) {
  const std::int64_t samples_of_device = starter.is_small ? 8 : 16;
  const std::int64_t devices = starter.nodes * starter.devices_per_node;
  page.text("");
  page.key(0, "scenario", "training", "");
  page.key(2, "training", "data", "synthetic");
  page.key(2, "training", "batch", std::to_string(samples_of_device * devices));
  page.key(2, "training", "dtype", starter.dtype);
  page.key(2, "training", "steps", "1000");
  page.preset(2, "training", "seed");
  page.preset(2, "training", "reduction");
  page.key(2, "training", "optimizer", "");
  page.key(4, "optimizer", "kind", is_transformer ? "adamw" : "sgd");
  page.key(4, "optimizer", "lr", is_transformer ? "3.0e-4" : "0.1");
  page.preset(4, "optimizer", is_transformer ? "betas" : "momentum");
  page.preset(4, "optimizer", "weight_decay");
  page.preset(4, "optimizer", "clip");
  page.preset(4, "optimizer", "schedule");
}

// What the devices of a node are joined by, of one direction, as their datasheets have it: a start,
// since messages reach less of it.
struct DeviceLink {
  std::string_view profiles;  // that begin so
  std::string_view bandwidth, is_from;
};
constexpr DeviceLink kDeviceLinks[] = {
    {"v100-sxm2", "150 GB/s", "NVLink 2"},
    {"a100-sxm", "300 GB/s", "NVLink 3"},
    {"a100-pcie", "32 GB/s", "PCIe 4.0 x16"},
    {"h100-sxm", "450 GB/s", "NVLink 4"},
    {"h100-pcie", "64 GB/s", "PCIe 5.0 x16"},
    {"h200", "450 GB/s", "NVLink 4"},
    {"b200", "900 GB/s", "NVLink 5"},
    {"mi300x", "448 GB/s", "Infinity Fabric, seven links"},
    {"rtx-4090", "14 GB/s", "PCIe 4.0 x16 through the host's memory, about half of it"},
};

void print_interconnect(const Starter& starter, Page& page) {
  const auto known = std::find_if(
      std::begin(kDeviceLinks), std::end(kDeviceLinks),
      [&](const DeviceLink& link) { return starter.device.starts_with(link.profiles); });
  if (known == std::end(kDeviceLinks)) return page.preset(2, "cluster", "interconnect");
  page.key(2, "cluster", "interconnect", "");
  page.text(fmt::format("    # by the datasheet ({}); what libraries reach of it is less",
                        known->is_from));
  page.key(4, "interconnect", "bandwidth", known->bandwidth);
  page.key(4, "interconnect", "latency", "3 us");
}

void print_cluster(const Starter& starter, Page& page) {
  page.text("");
  page.key(0, "scenario", "cluster", "");
  page.key(2, "cluster", "device", starter.device);
  page.key(2, "cluster", "nodes", std::to_string(starter.nodes));
  page.key(2, "cluster", "devices_per_node", std::to_string(starter.devices_per_node));
  print_interconnect(starter, page);
  if (starter.nodes > 1) {
    page.key(2, "cluster", "network", "");
    page.key(4, "network", "kind", "crossbar");
    page.text("    # one adapter of 400 Gb/s for each node");
    page.key(4, "network", "link", "{bandwidth: 400 Gb/s, latency: 5 us}");
  }
  page.preset(2, "cluster", "nics");
  page.preset(2, "cluster", "transport");
}

// What the strategies at the end may be.
struct Abilities {
  bool is_transformer = false;
  bool is_decoder = false;  // tensor parallelism splits these
  bool has_units = false;   // subnetworks leave some out
};

Abilities abilities_of(const ModelBuilder& kind) {
  const auto has = [&](std::string_view name) {
    return std::any_of(kind.fields.begin(), kind.fields.end(),
                       [&](const ModelField& field) { return field.name == name; });
  };
  ModelSpec spec{std::string(kind.kind), {}};
  for (const ModelField& field : kind.fields) {
    if (field.preset.empty())
      spec.fields[std::string(field.name)] = *parse_field(field.kind, given(field));
  }
  return {has("heads"), has("vocabulary"), !build_net(spec)->units.empty()};
}

void print_strategies(const Starter& starter, const Abilities& can, Page& page) {
  page.text("");
  page.key(0, "scenario", "strategies", "");
  page.text("  # 'rehearse strategies' lists all ways of splitting.");
  page.text("  - {name: ddp, data: auto}");
  page.text("  - {name: fsdp, data: {ranks: auto, zero: 3}}");
  const std::int64_t devices = starter.nodes * starter.devices_per_node;
  if (devices % 2 != 0) return;
  page.text(
      "  - {name: pipe, data: auto, pipeline: {stages: 2, schedule: 1f1b, micro_batches: 8}}");
  // What runs on CPUs here is also trained there, and the executor splits no tensors.
  if (can.is_decoder && !starter.is_small) page.text("  - {name: tensor, data: auto, tensor: 2}");
  if (can.has_units) page.text("  - {name: subnet, subnetwork: {workers: auto, coverage: 0.5}}");
}

}  // namespace

Result<std::string> print_starter(const Starter& starter) {
  const ModelBuilder* kind = find_model_builder(starter.model);
  if (kind == nullptr) {
    std::vector<std::string> kinds;
    for (const ModelBuilder& row : model_builders())
      kinds.emplace_back(row.kind);
    const auto guess = nearest(starter.model, kinds);
    return error(fmt::format(
        "there is no model '{}'; {}", starter.model,
        guess ? fmt::format("did you mean '{}'?", *guess) : "there are " + join(kinds, ", ")));
  }
  const Abilities can = abilities_of(*kind);
  Page page;
  page.text(
      "# A scenario of rehearse: 'rehearse simulate FILE' compares the strategies at its end.");
  page.text(
      "# '# key: value' is what holds without it, unless it says 'not by default' (an example "
      "then);");
  page.text("# 'rehearse help scenario' shows all keys.");
  page.key(0, "scenario", "name", starter.name);
  page.text("");
  print_model(*kind, starter.is_small, page);
  print_training(starter, can.is_transformer, page);
  print_cluster(starter, page);
  print_strategies(starter, can, page);
  return page.take();
}

}  // namespace rehearse
