#include <fmt/format.h>

#include <algorithm>

#include "tools/summary/json_node.h"
#include "tools/summary/pictures_json.h"
#include "tools/summary/summary.h"

namespace rehearse {
namespace {

std::optional<MemorySummary> memory_of(const JsonNode& n) {
  if (n.at("peak_memory_bytes").is_null()) return std::nullopt;
  return MemorySummary{n.at("peak_memory_bytes").bytes(), n.at("arena_bytes").bytes(),
                       n.at("arena_live_bytes").bytes()};
}

std::optional<TrafficSummary> traffic_of(const JsonNode& n) {
  if (n.at("bytes_sent").is_null()) return std::nullopt;
  return TrafficSummary{n.at("bytes_sent").bytes(), n.at("bytes_received").bytes()};
}

RankSummary rank_of(const JsonNode& n) {
  return {n.at("rank").count(),
          memory_of(n),
          traffic_of(n),
          n.at("compute_s").seconds(),
          n.at("exposed_comm_s").seconds(),
          n.at("idle_s").seconds()};
}

LinkSummary link_of(const JsonNode& n) {
  return {n.at("name").text(), n.at("bytes").bytes(), n.at("utilisation").number()};
}

KindSummary kind_of(const JsonNode& n) {
  return {n.at("kind").named(kLastOpKind), n.at("ops").count(), n.at("busy_s").seconds()};
}

AccuracyAt evaluation_of(const JsonNode& n) {
  return {n.at("step").count(), n.at("accuracy").number(), n.at("loss").number_or_nan()};
}

PictureSpan span_of(const JsonNode& n) {
  return {n.at(0).count(),
          n.at(1).named(LaneKind::tensor),
          n.at(2).named(kLastOpKind),
          n.at(3).text(),
          n.at(4).seconds(),
          n.at(5).seconds()};
}

SubnetworkSummary::UnitHolders unit_of(const JsonNode& n) {
  return {n.at("name").text(),
          n.at("holders").list<std::int64_t>([](const JsonNode& worker) { return worker.count(); }),
          n.has("parked") ? std::optional(n.at("parked").count()) : std::nullopt};
}

void check_path(const JsonNode& n, const StrategySummary& s) {
  if (!s.pictures.path) return;
  for (std::size_t p = 0; p < s.pictures.path->parts.size(); ++p) {
    const auto span = s.pictures.path->parts[p].span;
    if (span && *span >= std::ssize(s.picture))
      n.at("pictures").at("critical_path").at("parts").at(p).expected("an op of the timeline");
  }
}

StrategySummary strategy_of(const JsonNode& n) {
  StrategySummary s;
  s.strategy = n.at("strategy").text();
  s.plan_hash = n.at("plan_hash").text();
  s.step_time = n.at("step_time_s").seconds();
  s.samples_per_s = n.at("samples_per_s").number();
  s.tokens_per_s = n.at("tokens_per_s").maybe_number();
  s.mfu = n.at("mfu").maybe_number();
  s.bubble_fraction = n.at("bubble_fraction").number();
  s.compute = n.at("compute_s").seconds();
  s.exposed_communication = n.at("exposed_comm_s").seconds();
  s.idle = n.at("idle_s").seconds();
  s.memory = memory_of(n);
  for (const auto& [name, size] : n.at("pool_bytes").pairs())
    s.pools.push_back({name, size.bytes()});
  s.fits = n.at("fits").maybe();
  s.ranks = n.at("ranks").list(rank_of);
  s.links = n.at("links").list(link_of);
  s.kinds = n.at("op_kinds").list(kind_of);
  s.losses = n.at("losses").list<double>([](const JsonNode& loss) { return loss.number_or_nan(); });
  s.evaluations = n.at("evaluations").list(evaluation_of);
  s.weight_hashes =
      n.at("weight_hashes").list<std::string>([](const JsonNode& hash) { return hash.text(); });
  s.picture = n.at("timeline").list(span_of);
  if (n.has("pictures")) {
    s.pictures = pictures_of(n.at("pictures"));
    check_path(n, s);
  }
  s.data_parallel = n.has("data_parallel");
  if (n.has("step_time_low_s"))
    s.step_time_band = {n.at("step_time_low_s").seconds(), n.at("step_time_high_s").seconds()};
  if (n.has("missing_prices")) {
    s.missing_prices = n.at("missing_prices").list<MissingPrice>([](const JsonNode& name) {
      return name.named(kLastMissingPrice);
    });
  }
  if (n.has("step_multiplier")) s.step_multiplier = n.at("step_multiplier").number();
  if (n.has("price_shares")) {
    s.price_shares.emplace();
    for (std::size_t p = 0; p < kProvenanceCount; ++p) {
      const std::string name(to_string(static_cast<Provenance>(p)));
      (*s.price_shares)[p] = n.at("price_shares").at(name).number();
    }
  }
  if (n.has("largest")) {
    const JsonNode it = n.at("largest");
    s.largest = {it.at("state_bytes").bytes(), it.at("activation_bytes").bytes()};
  }
  if (n.has("step_times")) {
    const JsonNode it = n.at("step_times");
    s.step_times = {it.at("steps").count(), it.at("mean_s").seconds(), it.at("p50_s").seconds(),
                    it.at("p99_s").seconds()};
  }
  if (n.has("local_steps")) {
    const JsonNode it = n.at("local_steps");
    s.local_steps = {it.at("steps").count(), it.at("local_step_time_s").seconds(),
                     it.at("synchronising_step_time_s").seconds()};
  }
  if (n.has("transitions")) {
    const JsonNode it = n.at("transitions");
    s.transitions = {it.at("count").count(), it.at("bytes_received").bytes(),
                     it.at("time_s").seconds()};
  }
  if (n.has("subnetwork")) {
    const JsonNode it = n.at("subnetwork");
    s.subnetwork = {it.at("workers").count(),
                    it.at("holders").count(),
                    it.at("step_multiplier").number(),
                    it.has("equal_flops_multiplier")
                        ? std::optional(it.at("equal_flops_multiplier").number())
                        : std::nullopt,
                    it.at("units").list(unit_of),
                    {}};
    if (it.has("redraw")) {
      const JsonNode redraw = it.at("redraw");
      s.subnetwork->redraw = {redraw.at("every_steps").count(), redraw.at("bytes_received").bytes(),
                              redraw.at("time_s").seconds()};
      if (redraw.has("bytes_received_by_redraw"))
        s.subnetwork->redraw->by_redraw =
            redraw.at("bytes_received_by_redraw").list<Bytes>([](const JsonNode& bytes) {
              return bytes.bytes();
            });
    }
  }
  return s;
}

// Names of other strategies, as their numbers.
void read_alike(const JsonNode& nodes, std::vector<StrategySummary>& strategies) {
  for (std::size_t s = 0; s < strategies.size(); ++s) {
    const JsonNode node = nodes.at(s);
    if (!node.has("not_told_apart_from")) continue;
    const JsonNode names = node.at("not_told_apart_from");
    for (std::size_t k = 0; k < names.size(); ++k) {
      const auto known = std::find_if(
          strategies.begin(), strategies.end(),
          [&](const StrategySummary& other) { return other.strategy == names.at(k).text(); });
      if (known == strategies.end()) names.at(k).expected("the name of a strategy in this file");
      strategies[s].alike.push_back(static_cast<std::size_t>(known - strategies.begin()));
    }
  }
}

// The place of the byte (from 1) at which the library gave up.
SourceSpan place_of(const std::string& text, const std::string& path, std::size_t byte) {
  const std::string_view before = std::string_view(text).substr(0, byte == 0 ? 0 : byte - 1);
  const auto line = 1 + std::count(before.begin(), before.end(), '\n');
  const std::size_t begin = before.find_last_of('\n') + 1;  // 0 where there is none
  return {std::make_shared<SourceText>(path, text), static_cast<int>(line),
          static_cast<int>(before.size() - begin + 1), 1};
}

Summary summary_of(const Json& json) {
  const JsonNode root(json, "");
  const std::string source = root.at("source").text();
  if (source.starts_with("estimated"))
    throw WrongJson{"/source",
                    "an estimate has no step that could be drawn or compared: 'rehearse simulate "
                    "--out' writes one that has"};
  if (source != "predicted" && source != "measured")
    root.at("source").expected("'predicted' or 'measured'");
  Summary summary{root.at("scenario").text(), source, root.at("device").text(), {}};
  summary.strategies = root.at("strategies").list(strategy_of);
  read_alike(root.at("strategies"), summary.strategies);
  if (root.has("device_memory_bytes"))
    summary.device_memory = root.at("device_memory_bytes").bytes();
  if (root.has("transport")) summary.transport = root.at("transport").text();
  if (root.has("topology")) summary.topology = topology_of(root.at("topology"));
  return summary;
}

bool means_to_be_summary(const Json& json) {
  return json.is_object() && json.contains("source") && json.contains("strategies");
}

// read: what to make of the JSON.
template <class Read>
auto parse(const std::string& text, const std::string& path, Read read)
    -> Result<decltype(read(Json()))> {
  try {
    return read(Json::parse(text));
  } catch (const Json::parse_error& problem) {
    return error_at(place_of(text, path, problem.byte),
                    "expected a summary as rehearse writes it, got what is not JSON");
  } catch (const Json::out_of_range&) {
    return error(fmt::format("{}: a number in it is beyond every number of this machine", path));
  } catch (const WrongJson& wrong) {
    return error(
        fmt::format("{}: {}: {}", path, wrong.pointer, wrong.message),
        {{{},
          "expected a summary as 'rehearse simulate --out' or 'rehearse-exec train' writes it"}});
  }
}

}  // namespace

Result<Summary> parse_summary(const std::string& text, const std::string& path) {
  return parse(text, path, summary_of);
}

Result<std::optional<Summary>> parse_if_summary(const std::string& text, const std::string& path) {
  return parse(text, path, [](const Json& json) {
    return means_to_be_summary(json) ? std::optional(summary_of(json)) : std::nullopt;
  });
}

}  // namespace rehearse
