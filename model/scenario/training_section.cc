#include <limits>

#include "model/scenario/sections.h"

namespace rehearse::yaml {
namespace {

std::optional<DataType> read_data_type(const Value& value, Problems& problems) {
  return read_enum(value, "data type", data_types(), problems);
}

std::optional<Augmentation> read_augmentation(const Value& value, Problems& problems) {
  if (value.kind != Kind::list)
    return expected("a list such as [crop, flip]", value, problems), std::nullopt;
  Augmentation augmentation;
  for (const Value& item : value.items) {
    const auto change = read_text(item, problems);
    if (!change) return std::nullopt;
    bool& does = *change == "crop" ? augmentation.crop : augmentation.flip;
    if (*change != "crop" && *change != "flip") {
      return unknown_name("augmentation", item, {"crop", "flip"}, problems), std::nullopt;
    }
    does = true;
  }
  return augmentation;
}

// In [0, 1).
std::optional<double> read_share(const Value& value, Problems& problems) {
  const auto share = read_number(value, problems, 0.0);
  if (share && *share >= 1) return expected("a number below 1", value, problems), std::nullopt;
  return share;
}

// Above 0.
std::optional<double> read_norm(const Value& value, Problems& problems) {
  const auto norm = read_number(value, problems, 0.0);
  if (norm && *norm == 0) return expected("a number above 0", value, problems), std::nullopt;
  return norm;
}

std::optional<std::pair<double, double>> read_betas(const Value& value, Problems& problems) {
  if (value.kind != Kind::list || value.items.size() != 2)
    return expected("two numbers such as [0.9, 0.999]", value, problems), std::nullopt;
  const auto first = read_share(value.items[0], problems);
  const auto second = read_share(value.items[1], problems);
  if (!first || !second) return std::nullopt;
  return std::pair(*first, *second);
}

std::optional<RateDecay> read_decay(const Value& value, Problems& problems) {
  return read_enum(value, "decay", rate_decays(), problems);
}

std::optional<Reduction> read_reduction(const Value& value, Problems& problems) {
  return read_enum(value, "reduction", reductions(), problems);
}

RateSchedule read_schedule(Map& optimizer) {
  RateSchedule schedule;
  const Value* value = optimizer.find("schedule");
  if (value == nullptr) return schedule;
  Map map(*value, "schedule", optimizer.where("schedule"), optimizer.problems());
  read(map, "warmup", schedule.warmup, read_count, Range{0});
  read(map, "decay", schedule.decay, read_decay);
  if (schedule.decay == RateDecay::step) {
    read_needed(map, "every", schedule.every, read_count, Range{});
    read(map, "factor", schedule.factor, read_number, 0.0);
  } else if (schedule.decay != RateDecay::none) {
    read(map, "last", schedule.last, read_number, 0.0);
  }
  map.finish();
  return schedule;
}

Adam read_adam(Map& map, bool decoupled) {
  Adam adam;
  adam.decoupled = decoupled;
  std::pair<double, double> betas{adam.beta1, adam.beta2};
  read(map, "betas", betas, read_betas);
  adam.beta1 = betas.first;
  adam.beta2 = betas.second;
  read(map, "epsilon", adam.epsilon, read_number, 0.0);
  return adam;
}

Optimizer read_optimizer(Map& training) {
  Optimizer optimizer;
  const Value* value = training.need("optimizer");
  if (value == nullptr) return optimizer;
  Problems& problems = training.problems();
  Map map(*value, "optimizer", training.where("optimizer"), problems);
  std::string kind = "sgd";
  read_needed(map, "kind", kind, read_text);
  read_needed(map, "lr", optimizer.lr, read_number, 0.0);
  read(map, "weight_decay", optimizer.weight_decay, read_number, 0.0);
  read(map, "clip", optimizer.clip, read_norm);
  if (kind == "sgd") {
    Sgd sgd;
    read(map, "momentum", sgd.momentum, read_share);
    optimizer.rule = sgd;
  } else if (kind == "adam" || kind == "adamw") {
    optimizer.rule = read_adam(map, kind == "adamw");
  } else {
    unknown_name("optimizer", *map.find("kind"), {"sgd", "adam", "adamw"}, problems);
  }
  optimizer.schedule = read_schedule(map);
  map.finish();
  return optimizer;
}

// The training's own type is what is taken anyway.
void read_gradients(Map& map, Training& training) {
  if (map.find("gradients") == nullptr) return;
  DataType type = training.dtype;
  read(map, "gradients", type, read_data_type);
  if (bytes_of(type) < bytes_of(training.dtype)) {
    map.problems().add(map.where("gradients"),
                       fmt::format("gradients in {} of a training in {}", to_string(type),
                                   to_string(training.dtype)));
  }
  if (type != training.dtype) training.gradients = type;
}

}  // namespace

Training read_training(Map& scenario) {
  Training training;
  const Value* value = scenario.need("training");
  if (value == nullptr) return training;
  Map map(*value, "training", scenario.where("training"), scenario.problems());
  read_needed(map, "data", training.data, read_name);
  read(map, "augment", training.augmentation, read_augmentation);
  read_needed(map, "batch", training.batch, read_count, Range{});
  training.optimizer = read_optimizer(map);
  read(map, "dtype", training.dtype, read_data_type);
  read_gradients(map, training);
  read(map, "steps", training.steps, read_count, Range{});
  std::int64_t seed = 1;
  read(map, "seed", seed, read_count, Range{0, std::numeric_limits<std::int64_t>::max()});
  training.seed = static_cast<std::uint64_t>(seed);
  read(map, "reduction", training.reduction, read_reduction);
  map.finish();
  return training;
}

}  // namespace rehearse::yaml
