#include <limits>

#include "model/scenario/sections.h"

namespace rehearse::yaml {
namespace {

std::optional<DataType> read_data_type(const Value& value, Problems& problems) {
  return read_enum(value, "data type", data_types(), problems);
}

Sgd read_optimizer(Map& training) {
  Sgd sgd;
  const Value* value = training.need("optimizer");
  if (value == nullptr) return sgd;
  Problems& problems = training.problems();
  Map map(*value, "optimizer", training.where("optimizer"), problems);
  std::string kind = "sgd";
  read_needed(map, "kind", kind, read_text);
  if (kind != "sgd") unknown_name("optimizer", *map.find("kind"), {"sgd"}, problems);
  read_needed(map, "lr", sgd.lr, read_number, 0.0);
  read(map, "momentum", sgd.momentum, read_number, 0.0);
  read(map, "weight_decay", sgd.weight_decay, read_number, 0.0);
  map.finish();
  return sgd;
}

}  // namespace

Training read_training(Map& scenario) {
  Training training;
  const Value* value = scenario.need("training");
  if (value == nullptr) return training;
  Map map(*value, "training", scenario.where("training"), scenario.problems());
  read_needed(map, "data", training.data, read_name);
  read_needed(map, "batch", training.batch, read_count, Range{});
  training.optimizer = read_optimizer(map);
  read(map, "dtype", training.dtype, read_data_type);
  read(map, "steps", training.steps, read_count, Range{});
  std::int64_t seed = 1;
  read(map, "seed", seed, read_count, Range{0, std::numeric_limits<std::int64_t>::max()});
  training.seed = static_cast<std::uint64_t>(seed);
  map.finish();
  return training;
}

}  // namespace rehearse::yaml
