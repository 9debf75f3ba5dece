// A summary with something in every field.
#pragma once

#include "tools/summary/summary.h"

namespace rehearse::testing {

inline StrategySummary strategy_summary(std::string name, double step_ms) {
  const auto ms = [](double x) { return Seconds::microseconds(1000 * x); };
  StrategySummary s;
  s.strategy = std::move(name);
  s.plan_hash = "0123456789abcdef";
  s.step_time = ms(step_ms);
  s.samples_per_s = 256 / s.step_time.seconds();
  s.tokens_per_s = 1e4;
  s.mfu = 1.0 / 3;
  s.bubble_fraction = 0.25;
  s.compute = ms(step_ms / 2), s.exposed_communication = ms(step_ms / 4), s.idle = ms(step_ms / 4);
  s.memory = {Bytes::mib(12), Bytes::mib(11), Bytes::mib(10)};
  s.pools = {{"parameters", Bytes::mib(4)}, {"workspace", Bytes::mib(1)}};
  s.fits = true;
  for (std::int64_t r = 0; r < 2; ++r) {
    s.ranks.push_back({r, s.memory, TrafficSummary{Bytes::kib(100 + r), Bytes::kib(100)}, s.compute,
                       s.exposed_communication, s.idle});
  }
  s.links = {{"node0 - switch", Bytes::kib(7), 0.125}};
  s.kinds = {{OpKind::forward, 2, ms(1)}, {OpKind::all_reduce, 4, ms(3)}};
  s.picture = {{0, LaneKind::compute, OpKind::forward, "forward 0..3", Seconds{}, ms(1)},
               {1, LaneKind::collective, OpKind::all_reduce, "all-reduce", ms(1), ms(2)}};
  s.losses = {2.5, 2.25};
  s.evaluations = {{2, 0.5, 1.5}};
  return s;
}

// A strategy with two workers that hold one unit each, beside data parallelism.
inline StrategySummary subnetwork_summary(std::string name, double step_ms) {
  StrategySummary s = strategy_summary(std::move(name), step_ms);
  s.subnetwork = {2, 1, 2.0, std::nullopt, {{"block1", {0}}, {"block2", {1}}}, std::nullopt};
  s.largest = {Bytes::mib(3), Bytes::mib(6)};
  for (RankSummary& rank : s.ranks)
    rank.traffic->sent = rank.traffic->received = Bytes::kib(25);
  return s;
}

inline Summary summary(std::string source) {
  return {"two ranks",
          std::move(source),
          "tiny",
          {strategy_summary("ddp", 100), strategy_summary("pipe", 200)}};
}

}  // namespace rehearse::testing
