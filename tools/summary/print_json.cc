#include "tools/summary/compact_json.h"
#include "tools/summary/pictures_json.h"
#include "tools/summary/summary.h"

namespace rehearse {
namespace {

Json number(const std::optional<double>& x) {
  return x ? Json(*x) : Json(nullptr);
}

// A figure of what may not have been taken.
template <class Taken>
Json bytes_of(const std::optional<Taken>& taken, Bytes Taken::*figure) {
  return taken ? Json(((*taken).*figure).bytes()) : Json(nullptr);
}

Json json_of(const RankSummary& r) {
  return {{"rank", r.rank},
          {"peak_memory_bytes", bytes_of(r.memory, &MemorySummary::peak)},
          {"arena_bytes", bytes_of(r.memory, &MemorySummary::arena)},
          {"arena_live_bytes", bytes_of(r.memory, &MemorySummary::arena_live)},
          {"bytes_sent", bytes_of(r.traffic, &TrafficSummary::sent)},
          {"bytes_received", bytes_of(r.traffic, &TrafficSummary::received)},
          {"compute_s", r.compute.seconds()},
          {"exposed_comm_s", r.exposed_communication.seconds()},
          {"idle_s", r.idle.seconds()}};
}

Json json_of(const PictureSpan& s) {
  return Json::array(
      {s.rank, to_string(s.lane), to_string(s.kind), s.label, s.start.seconds(), s.end.seconds()});
}

template <class T>
Json array_of(const std::vector<T>& items, Json (*to_json)(const T&)) {
  Json array = Json::array();
  for (const T& item : items)
    array.push_back(to_json(item));
  return array;
}

Json json_of(const SubnetworkSummary& s) {
  Json json = {{"workers", s.workers},
               {"holders", s.holders},
               {"step_multiplier", s.step_multiplier},
               {"units", array_of<SubnetworkSummary::UnitHolders>(
                             s.units, [](const SubnetworkSummary::UnitHolders& unit) {
                               Json json = {{"name", unit.name}, {"holders", unit.workers}};
                               if (unit.parked) json["parked"] = *unit.parked;
                               return json;
                             })}};
  if (s.equal_flops) json["equal_flops_multiplier"] = *s.equal_flops;
  const HolderCount holders = count_holders(s);
  if (!holders.is_same()) {
    json["holders_mean"] = holders.mean;
    json["holders_most"] = holders.most;
  }
  if (s.redraw) {
    json["redraw"] = {
        {"every_steps", s.redraw->every},
        {"bytes_received", s.redraw->received.bytes()},
        {"time_s", s.redraw->time.seconds()},
        {"bytes_received_by_redraw", array_of<Bytes>(s.redraw->by_redraw, [](const Bytes& bytes) {
           return Json(bytes.bytes());
         })}};
  }
  return json;
}

Json json_of(const StrategySummary& s) {
  Json pools = Json::object();
  for (const PoolSummary& pool : s.pools)
    pools[pool.name] = pool.size.bytes();
  Json json = {
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
      {"arena_live_bytes", bytes_of(s.memory, &MemorySummary::arena_live)},
      {"arena_bytes", bytes_of(s.memory, &MemorySummary::arena)},
      {"pool_bytes", pools},
      {"peak_memory_bytes", bytes_of(s.memory, &MemorySummary::peak)},
      {"fits", s.fits ? Json(*s.fits) : Json(nullptr)},
      {"ranks", array_of<RankSummary>(s.ranks, json_of)},
      {"links", array_of<LinkSummary>(s.links,
                                      [](const LinkSummary& l) {
                                        return Json{{"name", l.name},
                                                    {"bytes", l.bytes.bytes()},
                                                    {"utilisation", l.utilisation}};
                                      })},
      {"op_kinds",
       array_of<KindSummary>(
           s.kinds,
           [](const KindSummary& k) {
             return Json{{"kind", to_string(k.kind)}, {"ops", k.ops}, {"busy_s", k.busy.seconds()}};
           })},
      {"losses", s.losses},
      {"evaluations",
       array_of<AccuracyAt>(
           s.evaluations,
           [](const AccuracyAt& e) {
             return Json{{"step", e.step}, {"accuracy", e.accuracy}, {"loss", e.loss}};
           })},
      {"weight_hashes", s.weight_hashes},
      {"timeline", array_of<PictureSpan>(s.picture, json_of)},
  };
  // Only where it is so.
  if (s.step_time_band) {
    json["step_time_low_s"] = s.step_time_band->low.seconds();
    json["step_time_high_s"] = s.step_time_band->high.seconds();
  }
  for (const MissingPrice missing : s.missing_prices)
    json["missing_prices"].push_back(to_string(missing));
  if (s.price_shares) {
    for (std::size_t p = 0; p < kProvenanceCount; ++p)
      json["price_shares"][std::string(to_string(static_cast<Provenance>(p)))] =
          (*s.price_shares)[p];
  }
  if (s.largest) {
    json["largest"] = {{"state_bytes", s.largest->state.bytes()},
                       {"activation_bytes", s.largest->activations.bytes()}};
  }
  if (s.step_times) {
    json["step_times"] = {{"steps", s.step_times->steps},
                          {"mean_s", s.step_times->mean.seconds()},
                          {"p50_s", s.step_times->p50.seconds()},
                          {"p99_s", s.step_times->p99.seconds()}};
  }
  if (s.local_steps) {
    json["local_steps"] = {
        {"steps", s.local_steps->steps},
        {"local_step_time_s", s.local_steps->local_step.seconds()},
        {"synchronising_step_time_s", s.local_steps->synchronising_step.seconds()}};
  }
  if (s.data_parallel) json["data_parallel"] = true;
  if (s.step_multiplier) json["step_multiplier"] = *s.step_multiplier;
  if (s.subnetwork) json["subnetwork"] = json_of(*s.subnetwork);
  Json pictures = json_of(s.pictures);
  if (!pictures.empty()) json["pictures"] = std::move(pictures);
  if (s.transitions) {
    json["transitions"] = {{"count", s.transitions->count},
                           {"bytes_received", s.transitions->received.bytes()},
                           {"time_s", s.transitions->time.seconds()}};
  }
  return json;
}

Json json_of(const Summary& summary) {
  Json json = {
      {"scenario", summary.scenario}, {"source", summary.source}, {"device", summary.device}};
  if (summary.transport) json["transport"] = *summary.transport;
  if (summary.device_memory) json["device_memory_bytes"] = summary.device_memory->bytes();
  json["strategies"] = array_of<StrategySummary>(summary.strategies, json_of);
  for (std::size_t s = 0; s < summary.strategies.size(); ++s) {
    for (const std::size_t other : summary.strategies[s].alike)
      json["strategies"][s]["not_told_apart_from"].push_back(summary.strategies[other].strategy);
  }
  if (summary.topology) json["topology"] = json_of(*summary.topology);
  return json;
}

}  // namespace

std::string print_json(const Summary& summary) {
  return json_of(summary).dump(1) + "\n";
}

std::string print_compact_json(const Summary& summary) {
  return json_of(summary).dump();
}

}  // namespace rehearse
