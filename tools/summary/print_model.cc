#include <fmt/format.h>

#include <algorithm>
#include <cctype>
#include <map>
#include <nlohmann/json.hpp>
#include <tuple>

#include "model/base/text.h"
#include "tools/summary/model.h"
#include "tools/summary/table.h"

namespace rehearse {
namespace {

using Json = nlohmann::ordered_json;

const Shape& output_of(const Net& net, const Segment& segment) {
  return net.values[net.layers[segment.layers.back().index()].output.index()].shape;
}

Flops backward(const PassFlops& flops) {
  return flops.backward_input + flops.backward_weight;
}

// ---- the table ---------------------------------------------------------------------------------

std::vector<std::string> cells(const SegmentSummary& segment, std::string output) {
  return {std::move(output), human_count(segment.parameters), human(segment.flops.forward),
          human(backward(segment.flops)), human(segment.saved)};
}

// A block's rows: without its name, by which it differs from its neighbours.
using Rows = std::vector<std::vector<std::string>>;

Rows rows_of(const ModelSummary& s, const Block& block) {
  Rows rows;
  for (const SegmentId id : block.segments) {
    const Segment& segment = s.net.segments[id.index()];
    rows.push_back(cells(s.segments[id.index()], to_string(output_of(s.net, segment))));
    rows.back().insert(rows.back().begin(), segment.name.substr(block.name.size()));
  }
  return rows;
}

std::string without_number(const std::string& name) {
  return name.substr(0, name.find_last_not_of("0123456789") + 1);
}

// "decoder1-12" for decoder1 to decoder12.
std::string name_of_run(const Block& first, const Block& last) {
  if (first.name == last.name) return first.name;
  return first.name + "-" + last.name.substr(without_number(last.name).size());
}

StyledText block_table(const ModelSummary& s) {
  Rows table = {{"segment", "output", "parameters", "forward", "backward", "saved"}};
  const auto& blocks = s.net.blocks;
  for (std::size_t begin = 0; begin < blocks.size();) {
    const Rows rows = rows_of(s, blocks[begin]);
    std::size_t end = begin + 1;
    while (end < blocks.size() &&
           without_number(blocks[end].name) == without_number(blocks[begin].name) &&
           rows_of(s, blocks[end]) == rows)
      ++end;
    for (std::vector<std::string> row : rows) {
      const bool is_run = end - begin > 1;
      row[0] = name_of_run(blocks[begin], blocks[end - 1]) + row[0] + (is_run ? ", each" : "");
      table.push_back(std::move(row));
    }
    begin = end;
  }
  table.push_back(cells(s.total(), ""));
  table.back().insert(table.back().begin(), "all");
  return align_columns(table);
}

// What is alike, counted: by what it is, and its parameters.
using Counted = std::map<std::tuple<std::string, std::string, std::int64_t>, std::int64_t>;

StyledText maskable_table(const ModelSummary& s) {
  Counted counted;
  for (std::size_t u = 0; u < s.net.units.size(); ++u)
    ++counted[{"block", s.net.units[u].shape_class, s.unit_parameters[u]}];
  for (const InnerWidth& width : s.widths)
    ++counted[{fmt::format("width, {}", to_string(width.axis)), human_count(width.channels),
               width.parameters}];
  if (counted.empty()) return "nothing is maskable: every worker holds all\n";
  Rows rows = {{"maskable", "number", "each", "its parameters", "share of all"}};
  const auto all = static_cast<double>(s.total().parameters);
  for (const auto& [what, number] : counted) {
    const auto& [kind, each, parameters] = what;
    const double share = static_cast<double>(number * parameters) / all;
    rows.push_back(
        {kind, human_count(number), each, human_count(parameters), fmt::format("{:.4g}", share)});
  }
  return align_columns(rows);
}

std::string print_fields(const ModelSpec& spec) {
  std::string text;
  for (const ModelField& field : find_model_builder(spec.kind)->fields)
    text += fmt::format(" {}={}", field.name,
                        print_field(field.kind, spec.fields.at(std::string(field.name))));
  return text;
}

std::string counted(std::size_t n, std::string_view what) {
  return fmt::format("{} {}{}", n, what, n == 1 ? "" : "s");
}

// ---- JSON --------------------------------------------------------------------------------------

Json flops_json(const PassFlops& flops, double divisor) {
  return {{"forward_flops", flops.forward.flops() / divisor},
          {"backward_input_flops", flops.backward_input.flops() / divisor},
          {"backward_weight_flops", flops.backward_weight.flops() / divisor}};
}

Json segment_json(const ModelSummary& s, SegmentId id) {
  const Segment& segment = s.net.segments[id.index()];
  const SegmentSummary& facts = s.segments[id.index()];
  Json layers = Json::array();
  for (const LayerId l : segment.layers) {
    const Layer& layer = s.net.layers[l.index()];
    layers.push_back({{"name", layer.name},
                      {"kind", kind_name(layer.spec)},
                      {"output", s.net.values[layer.output.index()].shape.dims}});
  }
  return {{"name", segment.name},
          {"output", output_of(s.net, segment).dims},
          {"parameters", facts.parameters},
          {"per_sample", flops_json(facts.flops, 1)},
          {"saved_bytes", facts.saved.bytes()},
          {"layers", std::move(layers)}};
}

Json fields_json(const ModelSpec& spec) {
  Json fields = Json::object();
  for (const ModelField& field : find_model_builder(spec.kind)->fields) {
    const auto& value = spec.fields.at(std::string(field.name));
    const std::string name(field.name);
    const bool is_number = field.kind == FieldKind::count || field.kind == FieldKind::count_or_none;
    if (is_number) {
      fields[name] = value.at(0);
    } else if (field.kind == FieldKind::yes_no) {
      fields[name] = value.at(0) != 0;
    } else if (field.kind == FieldKind::share) {
      fields[name] = share_of(value.at(0));
    } else {
      fields[name] = print_field(field.kind, value);
    }
  }
  return fields;
}

}  // namespace

StyledText print_table(const ModelSummary& s) {
  const SegmentSummary total = s.total();
  const Net& net = s.net;
  const Value& input = net.values[net.input.index()];
  const std::int64_t labels = labels_per_sample(net);
  StyledText text =
      fmt::format("{}: {} parameters, {}, {}\n", s.spec.kind, human_count(total.parameters),
                  counted(net.blocks.size(), "block"), counted(net.segments.size(), "segment"));
  text += fmt::format("fields:{}\n", print_fields(s.spec));
  text += fmt::format("a sample is {}{}, with {}\n", to_string(input.shape),
                      input.type == ValueType::index ? " tokens" : "",
                      counted(static_cast<std::size_t>(labels), "label"));
  if (labels > 1) {
    const double n = static_cast<double>(labels);
    text += fmt::format("of a token: forward {}, backward {}\n",
                        human(Flops::flops(total.flops.forward.flops() / n)),
                        human(Flops::flops(backward(total.flops).flops() / n)));
  }
  text += fmt::format("\nof a sample; saved: of a micro-batch of {} in {}\n",
                      counted(static_cast<std::size_t>(s.micro_batch.samples), "sample"),
                      s.micro_batch.dtype);
  return text + block_table(s) + "\n" + maskable_table(s);
}

std::string print_json(const ModelSummary& s) {
  const Net& net = s.net;
  const SegmentSummary total = s.total();
  Json blocks = Json::array(), units = Json::array(), widths = Json::array();
  for (const Block& block : net.blocks) {
    Json segments = Json::array();
    for (const SegmentId id : block.segments)
      segments.push_back(segment_json(s, id));
    blocks.push_back({{"name", block.name}, {"segments", std::move(segments)}});
  }
  for (std::size_t u = 0; u < net.units.size(); ++u)
    units.push_back({{"name", net.units[u].name},
                     {"class", net.units[u].shape_class},
                     {"parameters", s.unit_parameters[u]}});
  for (const InnerWidth& width : s.widths)
    widths.push_back({{"segment", net.segments[width.segment.index()].name},
                      {"axis", to_string(width.axis)},
                      {"channels", width.channels},
                      {"parameters", width.parameters}});
  const std::int64_t labels = labels_per_sample(net);
  const Json json = {
      {"kind", s.spec.kind},
      {"fields", fields_json(s.spec)},
      {"parameters", total.parameters},
      {"input", net.values[net.input.index()].shape.dims},
      {"labels_per_sample", labels},
      {"per_sample", flops_json(total.flops, 1)},
      {"per_label", flops_json(total.flops, static_cast<double>(labels))},
      {"micro_batch", {{"samples", s.micro_batch.samples}, {"dtype", s.micro_batch.dtype}}},
      {"saved_bytes", total.saved.bytes()},
      {"blocks", std::move(blocks)},
      {"units", std::move(units)},
      {"widths", std::move(widths)}};
  return json.dump(1) + "\n";
}

}  // namespace rehearse
