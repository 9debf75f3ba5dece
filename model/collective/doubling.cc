#include <bit>

#include "model/base/check.h"
#include "model/collective/algorithm.h"

namespace rehearse {

std::size_t extra_members(std::size_t members) {
  return members - std::bit_floor(members);
}

std::size_t levels_of(std::size_t members) {
  return static_cast<std::size_t>(std::countr_zero(std::bit_floor(members)));
}

namespace {

// Members beyond the last power of two come in before its first step and get the sum after its
// last.
class Folded : public StepSource {
 public:
  explicit Folded(const CollectiveShape& shape, std::size_t steps)
      : extra_(extra_members(shape.members)), core_(shape.members - extra_), steps_(steps) {}

  CollectiveStep step(std::size_t member, std::int64_t n, std::size_t number,
                      std::size_t /*channel*/) const override {
    const bool is_last = extra_ > 0 && number + 1 == steps_;
    const bool at_an_end = is_last || (extra_ > 0 && number == 0);
    const CollectiveStep idle{member, member, {}, {}, false, false};
    if (!at_an_end)
      return member < core_ ? core_step(member, n, number - (extra_ > 0 ? 1 : 0)) : idle;
    if (member >= extra_ && member < core_) return idle;
    const bool is_extra = member >= core_;
    const std::size_t partner = is_extra ? member - core_ : member + core_;
    const ElementRange all{0, n}, none{};
    const bool sends = is_extra != is_last;
    return {partner, partner, sends ? all : none, sends ? none : all, !is_last, false};
  }

 protected:
  std::size_t core() const { return core_; }

 private:
  virtual CollectiveStep core_step(std::size_t member, std::int64_t n,
                                   std::size_t number) const = 0;

  const std::size_t extra_, core_, steps_;
};

std::size_t with_extra(const CollectiveShape& shape, std::size_t steps) {
  return steps + (extra_members(shape.members) > 0 ? 2 : 0);
}

std::size_t doubling_steps(const CollectiveShape& shape) {
  return with_extra(shape, levels_of(shape.members));
}

class Doubling : public Folded {
 public:
  explicit Doubling(const CollectiveShape& shape) : Folded(shape, doubling_steps(shape)) {}

 private:
  CollectiveStep core_step(std::size_t member, std::int64_t n, std::size_t number) const override {
    const std::size_t partner = member ^ std::size_t{1} << number;
    return {partner, partner, {0, n}, {0, n}, true, number + 1 == levels_of(core())};
  }
};

std::size_t halving_steps(const CollectiveShape& shape) {
  const std::size_t halves = shape.kind == CollectiveKind::all_reduce ? 2 : 1;
  return with_extra(shape, halves * levels_of(shape.members));
}

class HalvingDoubling : public Folded {
 public:
  explicit HalvingDoubling(const CollectiveShape& shape)
      : Folded(shape, halving_steps(shape)), kind_(shape.kind) {}

 private:
  // Those whose numbers agree above a bit share 2^(bit + 1) chunks; each half of them is the sum's
  // or the gathered chunks' of those on its side of the bit.
  CollectiveStep core_step(std::size_t member, std::int64_t n, std::size_t number) const override {
    const std::size_t levels = levels_of(core());
    const bool reduce = kind_ == CollectiveKind::reduce_scatter ||
                        (kind_ == CollectiveKind::all_reduce && number < levels);
    const std::size_t round = number % levels;
    const std::size_t distance = std::size_t{1} << (reduce ? levels - 1 - round : round);
    const std::size_t partner = member ^ distance;
    const auto side_of = [&](std::size_t other) {
      const std::size_t first = other / distance * distance;
      return ElementRange{chunk_at(first, core(), n).begin,
                          chunk_at(first + distance - 1, core(), n).end};
    };
    return {partner,
            partner,
            side_of(reduce ? partner : member),
            side_of(reduce ? member : partner),
            reduce,
            reduce && round + 1 == levels};
  }

  const CollectiveKind kind_;
};

std::optional<std::string> refuse_halving(const CollectiveShape& shape) {
  if (shape.kind == CollectiveKind::all_reduce) return std::nullopt;
  if (shape.kind != CollectiveKind::broadcast && std::has_single_bit(shape.members))
    return std::nullopt;
  return "halving-doubling is for all-reduces, and for reduce-scatters and all-gathers of a power "
         "of two of members";
}

}  // namespace

AlgorithmRow doubling_row() {
  return {CollectiveAlgorithm::doubling,
          "doubling",
          "all-reduces in which partners exchange everything: fewest messages, most bytes",
          1,
          refuse_all_but_all_reduces,
          doubling_steps,
          [](const CollectiveShape&, std::int64_t n) { return n; },
          [](const CollectiveShape& shape) -> std::unique_ptr<const StepSource> {
            return std::make_unique<Doubling>(shape);
          }};
}

AlgorithmRow halving_doubling_row() {
  return {
      CollectiveAlgorithm::halving_doubling, "halving-doubling",
      "partners exchange halves, of halves, and gather them again: a ring's bytes, few messages", 1,
      refuse_halving, halving_steps,
      // The larger half of everything; of members beyond a power of two everything.
      [](const CollectiveShape& shape, std::int64_t n) {
        return extra_members(shape.members) > 0 ? n : n - n / 2;
      },
      [](const CollectiveShape& shape) -> std::unique_ptr<const StepSource> {
        return std::make_unique<HalvingDoubling>(shape);
      }};
}

}  // namespace rehearse
