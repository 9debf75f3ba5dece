// Scenarios that strategies are searched for in tests.
#pragma once

#include <string>

#include "tools/advise/space.h"
#include "tools/predict/predict.h"

namespace rehearse::advise {

inline constexpr auto kSmall = R"(# A comment.
name: small
model: {kind: gpt, layers: 4, width: 64, heads: 4, vocabulary: 256, sequence: 32, positions: 32}
training: {data: synthetic, batch: 16, optimizer: {kind: adamw, lr: 0.1}, dtype: bf16, steps: 100}
cluster:
  device: h100-sxm-80gb
  nodes: 2
  devices_per_node: 2
  interconnect: {bandwidth: 300 GB/s, latency: 3 us}
  network: {kind: crossbar, link: {bandwidth: 100 Gb/s, latency: 3 us}}
strategies:
  - {name: ddp, data: auto}
advise: {recompute: [none, full]}
sweep: {model.layers: [4, 6]}
)";

// Nodes in a ring of slow links, on which the messages of all stages and replicas meet.
inline constexpr auto kCrowded = R"(name: crowded
model: {kind: gpt, layers: 8, width: 512, heads: 8, vocabulary: 1024, sequence: 256, positions: 256}
training: {data: synthetic, batch: 32, optimizer: {kind: adamw, lr: 0.1}, dtype: bf16, steps: 3}
cluster:
  device: a100-sxm-80gb
  nodes: 4
  devices_per_node: 4
  interconnect: {bandwidth: 300 GB/s, latency: 2 us}
  network: {kind: ring, link: {bandwidth: 20 Gb/s, latency: 10 us}}
strategies:
  - {name: ddp, data: auto}
advise: {tensor: [1, 2], pipeline: [4, 8], schedule: [1f1b, zb-h1], zero: [0, 1], recompute: none, coverage: 1}
)";

inline Scenario parse(const std::string& text) {
  return parse_scenario(text, "drawn.yaml", profile_path("drawn.yaml")).value();
}

inline AdviseSpace space_of(const std::string& text) {
  Result<AdviseSpace> space = parse_advise_space(text, "test");
  return std::move(space).value();
}

}  // namespace rehearse::advise
