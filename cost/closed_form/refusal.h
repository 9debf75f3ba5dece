// Why a strategy has no estimate.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "model/cluster/cluster.h"
#include "model/plan/training.h"
#include "model/schedule/strategy.h"

namespace rehearse {

enum class Verdict : std::uint8_t {
  estimated,
  // Not a strategy of this model on this cluster: the scenario's own checks say why.
  mesh,
  pipeline,
  batch,
  tensor,
  workers,
  // Too much for the devices.
  memory,
  // There is no closed form: simulated only.
  sharded_gradients,
  played_pipeline,  // has one that takes as long as a simulation: of those who ask for many
  redraws,
  parked_units,
  many_workers,
  waiting_stages,
  sharing_stages,
  stochastic_depth,
  exact_sums,
  schedule,
  schedule_file,
  algorithm,
  shared_parameters,
  cpu_ranks,
  different_ranks,
  jitter,
  overlap_slowdown,
};
// "zb-v and other schedules that ...", for people; of the last kind what has no closed form.
std::string_view to_string(Verdict verdict);
// The same as the strategy asks for it, with the key that does: "'pipeline: {schedule: zb-v}'".
std::string asked_for(const StrategySpec& strategy, Verdict verdict);
bool is_simulated_only(Verdict verdict);

// What only a simulation can tell, of the machines and of the training; of a strategy.
std::optional<Verdict> refuse(const ClusterSpec& cluster, const Training& training);
std::optional<Verdict> refuse(const StrategySpec& strategy);

}  // namespace rehearse
