#include <fmt/format.h>

#include "model/collective/algorithm.h"

namespace rehearse {
namespace {

std::size_t nodes_of(const CollectiveShape& shape) {
  return shape.members / shape.node_members;
}

class Hierarchical : public StepSource {
 public:
  explicit Hierarchical(const CollectiveShape& shape)
      : near_(shape.node_members), nodes_(nodes_of(shape)) {}

  CollectiveStep step(std::size_t member, std::int64_t n, std::size_t number,
                      std::size_t /*channel*/) const override {
    const std::size_t place = member % near_, node = member / near_;
    const std::size_t across = exchange_count(CollectiveKind::all_reduce, nodes_);
    const auto inside = [&](CollectiveKind kind, std::size_t s) {
      CollectiveStep step = ring_step(kind, place, near_, n, s);
      step.to += node * near_;
      step.from += node * near_;
      step.completes = step.completes && nodes_ == 1;
      return step;
    };
    if (number < near_ - 1) return inside(CollectiveKind::reduce_scatter, number);
    if (number >= near_ - 1 + across)
      return inside(CollectiveKind::all_gather, number - (near_ - 1) - across);
    const ElementRange own = chunk_at(place, near_, n);
    CollectiveStep step =
        ring_step(CollectiveKind::all_reduce, node, nodes_, own.size(), number - (near_ - 1));
    step.to = step.to * near_ + place;
    step.from = step.from * near_ + place;
    for (ElementRange* range : {&step.send, &step.receive})
      range->begin += own.begin, range->end += own.begin;
    return step;
  }

 private:
  const std::size_t near_, nodes_;
};

std::optional<std::string> refuse(const CollectiveShape& shape) {
  if (const auto other = refuse_all_but_all_reduces(shape)) return other;
  if (shape.node_members > 0 && shape.members % shape.node_members == 0) return std::nullopt;
  return fmt::format("{} members are not so many nodes of {}", shape.members, shape.node_members);
}

}  // namespace

AlgorithmRow hierarchical_row() {
  return {CollectiveAlgorithm::hierarchical,
          "hierarchical",
          "all-reduces that send between nodes only what is already summed up in each",
          1,
          refuse,
          [](const CollectiveShape& shape) {
            return exchange_count(CollectiveKind::all_reduce, shape.node_members) +
                   exchange_count(CollectiveKind::all_reduce, nodes_of(shape));
          },
          [](const CollectiveShape& shape, std::int64_t n) {
            return longest_chunk(shape.node_members > 1 ? shape.node_members : nodes_of(shape), n);
          },
          [](const CollectiveShape& shape) -> std::unique_ptr<const StepSource> {
            return std::make_unique<Hierarchical>(shape);
          }};
}

AlgorithmRow in_network_row() {
  return {CollectiveAlgorithm::in_network,
          "in-network",
          "all-reduces by switches that add (NVLS, SHARP): predicted in closed form, never run",
          1,
          refuse_all_but_all_reduces,
          [](const CollectiveShape&) { return std::size_t{0}; },
          [](const CollectiveShape&, std::int64_t) { return std::int64_t{0}; },
          nullptr};
}

}  // namespace rehearse
