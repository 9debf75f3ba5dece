#include "model/scenario/advise.h"

#include <algorithm>

#include "model/scenario/names.h"
#include "model/scenario/sections.h"

namespace rehearse::yaml {
namespace {

// A list of choices, each once, or one of them alone. read_one: of a value, as the row has it.
template <class T, class Read>
void read_choices(Map& map, std::string_view key, Choices<T>& into, Read read_one) {
  const Value* value = map.find(key);
  if (value == nullptr) return;
  Problems& problems = map.problems();
  const Type& type = map.row(key).type.of.front();
  if (value->kind == Kind::list && value->items.empty())
    return problems.add(value->where,
                        fmt::format("'{}' expects one choice or more, got none", key));
  const auto take = [&](const Value& item) {
    const std::optional<T> choice = read_one(item, type, problems);
    if (!choice) return;
    for (const auto& known : into.list) {
      if (known.value != *choice) continue;
      return problems.add(item.where, "this choice stands here twice",
                          {{known.where, "the first is here"}});
    }
    into.list.push_back({*choice, item.where});
  };
  if (value->kind != Kind::list) return take(*value);
  for (const Value& item : value->items)
    take(item);
}

std::optional<std::int64_t> read_whole(const Value& value, const Type& type, Problems& problems) {
  return read_count(value, problems, type.range);
}

std::optional<bool> read_truth(const Value& value, const Type&, Problems& problems) {
  return read_yes_no(value, problems);
}

std::optional<Sharding> read_zero(const Value& value, const Type& type, Problems& problems) {
  const auto level = read_count(value, problems, type.range);
  return level ? std::optional(static_cast<Sharding>(*level)) : std::nullopt;
}

std::optional<std::string> read_schedule(const Value& value, const Type& type, Problems& problems) {
  const auto name = read_text(value, problems);
  if (!name || std::find(type.names.begin(), type.names.end(), *name) != type.names.end())
    return name;
  unknown_name(type.what, value, type.names, problems);
  return std::nullopt;
}

template <const auto& kAll>
auto read_named(const Value& value, const Type& type, Problems& problems) {
  return read_enum(value, type.what, kAll, problems);
}

std::optional<Fraction> read_share(const Value& value, const Type&, Problems& problems) {
  const auto share = value.kind == Kind::scalar ? parse_fraction(value.text) : std::nullopt;
  if (share && share->denominator <= kMostDevices) return share;
  expected("a fraction above 0 and up to 1, such as 0.5 or 2/3", value, problems);
  return std::nullopt;
}

AdviseSpace read_space(const Value& value, SourceSpan where, Problems& problems) {
  AdviseSpace space;
  Map map(value, section("advise"), std::move(where), problems);
  read_choices(map, "tensor", space.tensor, read_whole);
  read_choices(map, "sequence_parallel", space.sequence_parallel, read_truth);
  read_choices(map, "pipeline", space.pipeline, read_whole);
  read_choices(map, "schedule", space.schedule, read_schedule);
  read_choices(map, "chunks", space.chunks, read_whole);
  read_choices(map, "zero", space.zero, read_zero);
  read_choices(map, "micro_batch", space.micro_batch, read_whole);
  read_choices(map, "recompute", space.recompute, read_named<kRecomputations>);
  read_choices(map, "coverage", space.coverage, read_share);
  read_choices(map, "innermost", space.innermost, read_named<kAxisOrder>);
  map.finish();
  return space;
}

}  // namespace

AdviseSpace read_advise(Map& scenario) {
  const Value* value = scenario.find("advise");
  if (value == nullptr) return {};
  return read_space(*value, scenario.where("advise"), scenario.problems());
}

}  // namespace rehearse::yaml

namespace rehearse {

Result<AdviseSpace> parse_advise_space(const std::string& text, const std::string& name) {
  const auto source = std::make_shared<SourceText>(name, text);
  Result<yaml::Document> document = yaml::parse(source);
  if (!document) return document.errors();
  yaml::Problems problems;
  problems.add(std::move(document->duplicates));
  AdviseSpace space = yaml::read_space(document->root, {source, 1, 1, 0}, problems);
  if (!problems.empty()) return problems.take();
  return space;
}

}  // namespace rehearse
