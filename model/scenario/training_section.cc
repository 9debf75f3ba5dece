#include <tuple>
#include <utility>

#include "model/scenario/sections.h"

namespace rehearse::yaml {
namespace {

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

RateSchedule read_schedule(Map& optimizer) {
  RateSchedule schedule;
  const Value* value = optimizer.find("schedule");
  if (value == nullptr) return schedule;
  Map map(*value, section("schedule"), optimizer.where("schedule"), optimizer.problems());
  read(map, "warmup", schedule.warmup);
  read_one_of(map, "decay", schedule.decay, rate_decays());
  if (schedule.decay == RateDecay::step) {
    read(map, "every", schedule.every);
    read(map, "factor", schedule.factor);
  } else if (schedule.decay != RateDecay::none) {
    read(map, "last", schedule.last);
  }
  map.finish();
  return schedule;
}

std::pair<double, double> read_betas(Map& map, std::pair<double, double> betas) {
  const Value* value = map.find("betas");
  if (value == nullptr) return betas;
  Problems& problems = map.problems();
  if (value->kind != Kind::list || value->items.size() != 2)
    return expected("two numbers such as [0.9, 0.999]", *value, problems), betas;
  const Bounds bounds = map.row("betas").type.of.front().bounds;
  const auto first = read_number(value->items[0], problems, bounds);
  const auto second = read_number(value->items[1], problems, bounds);
  return first && second ? std::pair(*first, *second) : betas;
}

Adam read_adam(Map& map, bool decoupled) {
  Adam adam;
  adam.decoupled = decoupled;
  std::tie(adam.beta1, adam.beta2) = read_betas(map, {adam.beta1, adam.beta2});
  read(map, "epsilon", adam.epsilon);
  return adam;
}

Optimizer read_optimizer(Map& training) {
  Optimizer optimizer;
  const Value* value = training.need("optimizer");
  if (value == nullptr) return optimizer;
  Map map(*value, section("optimizer"), training.where("optimizer"), training.problems());
  const Value* kind = map.need("kind");
  const Type& kinds = map.row("kind").type;
  const auto name = kind == nullptr ? std::nullopt : read_text(*kind, map.problems());
  read(map, "lr", optimizer.lr);
  read(map, "weight_decay", optimizer.weight_decay);
  read(map, "clip", optimizer.clip);
  if (name.value_or("sgd") == "sgd") {
    Sgd sgd;
    read(map, "momentum", sgd.momentum);
    optimizer.rule = sgd;
  } else if (name == "adam" || name == "adamw") {
    optimizer.rule = read_adam(map, name == "adamw");
  } else {
    unknown_name(kinds.what, *kind, kinds.names, map.problems());
  }
  optimizer.schedule = read_schedule(map);
  map.finish();
  return optimizer;
}

// The training's own type is what is taken anyway.
void read_gradients(Map& map, Training& training) {
  if (map.find("gradients") == nullptr) return;
  DataType type = training.dtype;
  read_one_of(map, "gradients", type, data_types());
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
  Map map(*value, section("training"), scenario.where("training"), scenario.problems());
  read(map, "data", training.data);
  read(map, "augment", training.augmentation, read_augmentation);
  read(map, "batch", training.batch);
  training.optimizer = read_optimizer(map);
  read_one_of(map, "dtype", training.dtype, data_types());
  read_gradients(map, training);
  read(map, "steps", training.steps);
  read(map, "seed", training.seed);
  read_one_of(map, "reduction", training.reduction, reductions());
  map.finish();
  return training;
}

}  // namespace rehearse::yaml
