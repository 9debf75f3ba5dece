#include "model/collective/algorithm.h"

namespace rehearse {
namespace {

CollectiveStep pairwise_step(CollectiveKind kind, std::size_t member, std::size_t members,
                             std::int64_t n, std::size_t number) {
  const std::size_t distance = number % (members - 1) + 1;
  const std::size_t to = (member + distance) % members;
  const std::size_t from = (member + members - distance) % members;
  const bool reduce = kind == CollectiveKind::reduce_scatter ||
                      (kind == CollectiveKind::all_reduce && number < members - 1);
  return {to,
          from,
          chunk_at(reduce ? to : member, members, n),
          chunk_at(reduce ? member : from, members, n),
          reduce,
          reduce && distance + 1 == members};
}

class Pairwise : public StepSource {
 public:
  explicit Pairwise(const CollectiveShape& shape) : kind_(shape.kind), members_(shape.members) {}

  CollectiveStep step(std::size_t member, std::int64_t n, std::size_t number,
                      std::size_t /*channel*/) const override {
    return pairwise_step(kind_, member, members_, n, number);
  }

 private:
  const CollectiveKind kind_;
  const std::size_t members_;
};

}  // namespace

AlgorithmRow pairwise_row() {
  return {CollectiveAlgorithm::pairwise,
          "pairwise",
          "every member gets all terms of its chunk and adds them in one order (exact sums)",
          1,
          refuse_broadcasts,
          [](const CollectiveShape& shape) { return exchange_count(shape.kind, shape.members); },
          [](const CollectiveShape& shape, std::int64_t n) {
            return static_cast<std::int64_t>(shape.members - 1) * longest_chunk(shape.members, n);
          },
          [](const CollectiveShape& shape) -> std::unique_ptr<const StepSource> {
            return std::make_unique<Pairwise>(shape);
          }};
}

}  // namespace rehearse
