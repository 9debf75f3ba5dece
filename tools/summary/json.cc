#include <algorithm>
#include <nlohmann/json.hpp>

#include "tools/summary/summary.h"

namespace rehearse {
namespace {

using Json = nlohmann::ordered_json;

Json number(const std::optional<double>& x) { return x ? Json(*x) : Json(nullptr); }

Json json_of(const RankSummary& r) {
  return {{"rank", r.rank},
          {"peak_memory_bytes", r.peak_memory.bytes()},
          {"arena_bytes", r.arena.bytes()},
          {"arena_live_bytes", r.arena_live.bytes()},
          {"bytes_sent", r.sent.bytes()},
          {"bytes_received", r.received.bytes()},
          {"compute_s", r.compute.seconds()},
          {"exposed_comm_s", r.exposed_communication.seconds()},
          {"idle_s", r.idle.seconds()}};
}

Json json_of(const PictureSpan& s) {
  return Json::array({s.rank, to_string(s.lane), to_string(s.kind), s.label, s.start.seconds(), s.end.seconds()});
}

template <class T>
Json array_of(const std::vector<T>& items, Json (*to_json)(const T&)) {
  Json array = Json::array();
  for (const T& item : items) array.push_back(to_json(item));
  return array;
}

Json json_of(const StrategySummary& s) {
  Json pools = Json::object();
  for (const PoolSummary& pool : s.pools) pools[pool.name] = pool.size.bytes();
  return {
      {"strategy", s.strategy},
      {"plan_hash", s.plan_hash},
      {"step_time_s", s.step_time.seconds()},
      {"samples_per_s", s.samples_per_s},
      {"tokens_per_s", number(s.tokens_per_s)},
      {"mfu", number(s.mfu)},
      {"bubble_fraction", s.bubble_fraction},
      {"compute_s", s.compute.seconds()},
      {"exposed_comm_s", s.exposed_communication.seconds()},
      {"idle_s", s.idle.seconds()},
      {"arena_live_bytes", s.arena_live.bytes()},
      {"arena_bytes", s.arena.bytes()},
      {"pool_bytes", pools},
      {"peak_memory_bytes", s.peak_memory.bytes()},
      {"fits", s.fits ? Json(*s.fits) : Json(nullptr)},
      {"ranks", array_of<RankSummary>(s.ranks, json_of)},
      {"links", array_of<LinkSummary>(s.links, [](const LinkSummary& l) {
         return Json{{"name", l.name}, {"bytes", l.bytes.bytes()}, {"utilisation", l.utilisation}};
       })},
      {"op_kinds", array_of<KindSummary>(s.kinds, [](const KindSummary& k) {
         return Json{{"kind", to_string(k.kind)}, {"ops", k.ops}, {"busy_s", k.busy.seconds()}};
       })},
      {"losses", s.losses},
      {"evaluations", array_of<AccuracyAt>(s.evaluations, [](const AccuracyAt& e) {
         return Json{{"step", e.step}, {"accuracy", e.accuracy}, {"loss", e.loss}};
       })},
      {"timeline", array_of<PictureSpan>(s.picture, json_of)},
  };
}

// ---- reading: the library's exceptions stay in this file ---------------------------------------

Bytes bytes(const Json& j, const char* key) { return Bytes::bytes(j.at(key).get<std::int64_t>()); }
Seconds seconds(const Json& j, const char* key) { return Seconds::seconds(j.at(key).get<double>()); }
std::optional<double> maybe(const Json& j, const char* key) {
  return j.at(key).is_null() ? std::nullopt : std::optional(j.at(key).get<double>());
}

// An enumerator by its name, among all of them.
template <class Enum>
Enum named(const std::string& name, Enum last) {
  for (int k = 0; k <= static_cast<int>(last); ++k) {
    if (to_string(static_cast<Enum>(k)) == name) return static_cast<Enum>(k);
  }
  throw Json::other_error::create(501, "unknown name '" + name + "'", nullptr);
}

RankSummary rank_of(const Json& j) {
  return {j.at("rank").get<std::int64_t>(), bytes(j, "peak_memory_bytes"), bytes(j, "arena_bytes"),
          bytes(j, "arena_live_bytes"), bytes(j, "bytes_sent"), bytes(j, "bytes_received"), seconds(j, "compute_s"),
          seconds(j, "exposed_comm_s"), seconds(j, "idle_s")};
}

PictureSpan span_of(const Json& j) {
  return {j.at(0).get<std::int64_t>(), named(j.at(1).get<std::string>(), LaneKind::collective),
          named(j.at(2).get<std::string>(), OpKind::optimizer_step), j.at(3).get<std::string>(),
          Seconds::seconds(j.at(4).get<double>()), Seconds::seconds(j.at(5).get<double>())};
}

StrategySummary strategy_of(const Json& j) {
  StrategySummary s;
  s.strategy = j.at("strategy").get<std::string>();
  s.plan_hash = j.at("plan_hash").get<std::string>();
  s.step_time = seconds(j, "step_time_s");
  s.samples_per_s = j.at("samples_per_s").get<double>();
  s.tokens_per_s = maybe(j, "tokens_per_s");
  s.mfu = maybe(j, "mfu");
  s.bubble_fraction = j.at("bubble_fraction").get<double>();
  s.compute = seconds(j, "compute_s");
  s.exposed_communication = seconds(j, "exposed_comm_s");
  s.idle = seconds(j, "idle_s");
  s.arena_live = bytes(j, "arena_live_bytes");
  s.arena = bytes(j, "arena_bytes");
  for (const auto& [name, size] : j.at("pool_bytes").items()) s.pools.push_back({name, Bytes::bytes(size.get<std::int64_t>())});
  s.peak_memory = bytes(j, "peak_memory_bytes");
  if (!j.at("fits").is_null()) s.fits = j.at("fits").get<bool>();
  for (const Json& rank : j.at("ranks")) s.ranks.push_back(rank_of(rank));
  for (const Json& link : j.at("links")) {
    s.links.push_back({link.at("name").get<std::string>(), bytes(link, "bytes"), link.at("utilisation").get<double>()});
  }
  for (const Json& kind : j.at("op_kinds")) {
    s.kinds.push_back({named(kind.at("kind").get<std::string>(), OpKind::optimizer_step),
                       kind.at("ops").get<std::int64_t>(), seconds(kind, "busy_s")});
  }
  s.losses = j.at("losses").get<std::vector<double>>();
  for (const Json& e : j.at("evaluations")) {
    s.evaluations.push_back({e.at("step").get<std::int64_t>(), e.at("accuracy").get<double>(), e.at("loss").get<double>()});
  }
  for (const Json& span : j.at("timeline")) s.picture.push_back(span_of(span));
  return s;
}

}  // namespace

std::string print_json(const Summary& summary) {
  const Json json = {{"scenario", summary.scenario},
                     {"source", summary.source},
                     {"device", summary.device},
                     {"strategies", array_of<StrategySummary>(summary.strategies, json_of)}};
  return json.dump(1) + "\n";
}

Result<Summary> parse_summary(const std::string& text, const std::string& path) {
  try {
    const Json json = Json::parse(text);
    Summary summary{json.at("scenario").get<std::string>(), json.at("source").get<std::string>(),
                    json.at("device").get<std::string>(), {}};
    for (const Json& strategy : json.at("strategies")) summary.strategies.push_back(strategy_of(strategy));
    return summary;
  } catch (const Json::exception& problem) {
    return error(fmt::format("{} is not a summary that rehearse wrote: {}", path, problem.what()));
  }
}

}  // namespace rehearse
