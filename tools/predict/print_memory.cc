#include <fmt/format.h>

#include <nlohmann/json.hpp>

#include "model/base/text.h"
#include "tools/predict/memory_report.h"
#include "tools/summary/table.h"

namespace rehearse {
namespace {

using Json = nlohmann::ordered_json;
using Rows = std::vector<std::vector<std::string>>;

struct Pool {
  std::string_view name;
  Bytes size;
};

// The arena as it is laid out may be larger than what is alive.
std::vector<Pool> pools_of(const RankMemory& m) {
  return {{"parameters", m.parameters},
          {"gradients", m.gradients},
          {"optimizer_state", m.optimizer_state},
          {"activations", m.activations},
          {"communication", m.communication},
          {"gaps", m.arena - m.arena_live},
          {"workspace", m.workspace},
          {"context", m.context},
          {"fragmentation", m.fragmentation},
          {"stand_ins", m.stand_ins},
          {"communicators", m.communicators},
          {"carried", m.carried}};
}

std::string percent(Bytes part, Bytes whole) {
  return fmt::format("{:.1f} %",
                     100 * static_cast<double>(part.bytes()) / static_cast<double>(whole.bytes()));
}

// "0, 4, 8 and 29 more"
std::string list(const std::vector<RankId>& ranks) {
  constexpr std::size_t kMost = 4;
  std::string text;
  for (std::size_t r = 0; r < std::min(kMost, ranks.size()); ++r)
    text += fmt::format("{}{}", r == 0 ? "" : ", ", ranks[r].index());
  if (ranks.size() > kMost) text += fmt::format(" and {} more", ranks.size() - kMost);
  return text;
}

std::string spare(Bytes bytes) {
  return bytes < Bytes{} ? "lacks " + human(Bytes{} - bytes) : human(bytes);
}

Emphasis spare_emphasis(Bytes bytes) {
  return bytes < Bytes{} ? Emphasis::bad : Emphasis::good;
}

StyledText rank_table(const MemoryReport& report) {
  std::vector<CellEmphasis> emphases;
  Rows rows = {{"ranks", "peak", "state", "activations", "spare", "peak at"}};
  for (const MemoryOfRanks& kind : report.kinds) {
    const RankMemory& m = kind.memory;
    rows.push_back({list(kind.ranks), human(m.peak()),
                    human(m.parameters + m.gradients + m.optimizer_state), human(m.activations),
                    spare(kind.spare), kind.peak_op});
    emphases.push_back({rows.size() - 1, 4, spare_emphasis(kind.spare)});
  }
  return align_columns(rows, emphases);
}

StyledText pool_table(const MemoryOfRanks& worst) {
  Rows rows = {{fmt::format("rank {}", worst.ranks.front().index()), "bytes", "share"}};
  for (const auto& [name, size] : pools_of(worst.memory)) {
    if (size > Bytes{})
      rows.push_back({std::string(name), human(size), percent(size, worst.memory.peak())});
  }
  return align_columns(rows);
}

StyledText alive_table(const MemoryOfRanks& worst) {
  Rows rows = {{"alive at its peak", "buffers", "micro-batches", "bytes"}};
  for (const AliveBuffers& alive : worst.curve.alive) {
    if (alive.size == Bytes{}) continue;
    rows.push_back({std::string(to_string(alive.kind)), fmt::format("{}", alive.buffers),
                    alive.micro_batches == 0 ? "-" : fmt::format("{}", alive.micro_batches),
                    human(alive.size)});
  }
  return align_columns(rows);
}

StyledText remedy_table(const MemoryReport& report) {
  if (report.fits) return "";
  if (report.remedies.empty())
    return "It has no other recomputation, sharding or micro-batches to try.\n";
  Rows rows = {{"with", "peak", "spare"}};
  std::vector<CellEmphasis> emphases;
  bool any = false;
  for (const Remedy& remedy : report.remedies) {
    rows.push_back({remedy.change, human(remedy.peak), spare(remedy.spare)});
    emphases.push_back({rows.size() - 1, 2, spare_emphasis(remedy.spare)});
    any = any || remedy.fits();
  }
  StyledText text = align_columns(rows, emphases);
  if (!any) text += "None of these fits: it takes more devices, or ones with more memory.\n";
  return text;
}

Json json_of(const MemoryOfRanks& kind) {
  Json ranks = Json::array(), curve = Json::array(), alive = Json::array();
  for (const RankId rank : kind.ranks)
    ranks.push_back(rank.index());
  for (const Bytes live : kind.curve.live)
    curve.push_back(live.bytes());
  for (const AliveBuffers& buffers : kind.curve.alive) {
    alive.push_back({{"kind", to_string(buffers.kind)},
                     {"buffers", buffers.buffers},
                     {"micro_batches", buffers.micro_batches},
                     {"bytes", buffers.size.bytes()}});
  }
  Json pools = Json::object();
  for (const auto& [name, size] : pools_of(kind.memory))
    pools[std::string(name)] = size.bytes();
  return {{"ranks", ranks},
          {"peak_memory_bytes", kind.memory.peak().bytes()},
          {"arena_bytes", kind.memory.arena.bytes()},
          {"arena_live_bytes", kind.memory.arena_live.bytes()},
          {"device_bytes", kind.device.bytes()},
          {"spare_bytes", kind.spare.bytes()},
          {"pool_bytes", pools},
          {"peak_op", kind.curve.live.empty() ? Json(nullptr) : Json(kind.curve.peak.index())},
          {"peak_op_name", kind.peak_op},
          {"alive", alive},
          {"live_bytes_by_op", curve}};
}

Json json_of(const MemoryReport& report) {
  Json json = {
      {"strategy", report.strategy}, {"plan_hash", report.plan_hash}, {"fits", report.fits}};
  Json& kinds = json["rank_kinds"] = Json::array();
  for (const MemoryOfRanks& kind : report.kinds)
    kinds.push_back(json_of(kind));
  Json& remedies = json["remedies"] = Json::array();
  for (const Remedy& remedy : report.remedies) {
    remedies.push_back({{"change", remedy.change},
                        {"peak_memory_bytes", remedy.peak.bytes()},
                        {"spare_bytes", remedy.spare.bytes()},
                        {"fits", remedy.fits()}});
  }
  return json;
}

}  // namespace

StyledText print_table(const MemoryReport& report) {
  const MemoryOfRanks& worst = report.kinds[report.worst];
  StyledText text = fmt::format("{}: {} of {} on the worst rank, ", report.strategy,
                                human(worst.memory.peak()), human(worst.device));
  text.append(report.fits ? "fits" : "does NOT fit", report.fits ? Emphasis::good : Emphasis::bad);
  text += "\n";
  for (const StyledText& table :
       {rank_table(report), pool_table(worst), alive_table(worst), remedy_table(report)}) {
    if (!table.empty()) text += "\n" + table;
  }
  return text;
}

std::string print_json(const std::string& scenario, const std::vector<MemoryReport>& reports) {
  Json json = {{"scenario", scenario}, {"strategies", Json::array()}};
  for (const MemoryReport& report : reports)
    json["strategies"].push_back(json_of(report));
  return json.dump(1) + "\n";
}

}  // namespace rehearse
