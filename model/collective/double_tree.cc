#include <array>
#include <bit>

#include "model/base/check.h"
#include "model/collective/algorithm.h"

namespace rehearse {
namespace {

// Longest way to the root of a tree over so many places.
std::size_t height_of(std::size_t members) {
  return static_cast<std::size_t>(std::bit_width(members)) - 1;
}

// Steps in which all pieces go up, or down: a tree's edge carries one in every other step, and the
// farthest leaf's first one is under way for at most two steps per edge.
std::size_t steps_up(const CollectiveShape& shape) {
  return 2 * (shape.pieces - 1) + 2 * height_of(shape.members);
}

// Parent of place i of places 1..p, numbered in order; 0: it is the root. A place with h zeros at
// its end is h edges above a leaf, those without any are leaves.
std::size_t parent_place(std::size_t i, std::size_t p) {
  const std::size_t distance = std::size_t{1} << std::countr_zero(i);
  const bool is_right = (i & 2 * distance) != 0 || i + distance > p;
  return is_right ? i - distance : i + distance;
}

class DoubleTree : public StepSource {
 public:
  explicit DoubleTree(const CollectiveShape& shape)
      : members_(shape.members), pieces_(shape.pieces), steps_up_(steps_up(shape)) {
    for (Tree& tree : trees_)
      tree = Tree(members_);
    for (std::size_t member = 0; member < members_; ++member) {
      for (const std::size_t t : {0, 1})
        join(t, member);
    }
    colour();
    for (Tree& tree : trees_)
      place_in_time(tree);
  }

  CollectiveStep step(std::size_t member, std::int64_t n, std::size_t number,
                      std::size_t /*channel*/) const override {
    const bool goes_up = number < steps_up_;
    // Down is up in reverse.
    const std::size_t time = goes_up ? number : 2 * steps_up_ - 1 - number;
    CollectiveStep step{member, member, {}, {}, goes_up, false};
    for (std::size_t t = 0; t < trees_.size(); ++t) {
      const Edge edge = edge_of(t, member, time, n);
      if (edge.size() > 0) {
        (goes_up ? step.to : step.from) = trees_[t].parent[member];
        (goes_up ? step.send : step.receive) = edge;
      }
      for (const std::size_t child : trees_[t].children[member]) {
        if (child == kNobody) continue;
        const Edge below = edge_of(t, child, time, n);
        if (below.size() == 0) continue;
        (goes_up ? step.from : step.to) = child;
        (goes_up ? step.receive : step.send) = below;
        step.completes = goes_up && trees_[t].parent[member] == kNobody && is_last(t, child);
      }
    }
    return step;
  }

 private:
  static constexpr std::size_t kNobody = ~std::size_t{0};
  using Edge = ElementRange;  // what it carries

  // By member.
  struct Tree {
    Tree() = default;
    explicit Tree(std::size_t members)
        : parent(members, kNobody),
          children(members, {kNobody, kNobody}),
          odd(members, false),
          first(members, 0) {}
    std::vector<std::size_t> parent;
    std::vector<std::array<std::size_t, 2>> children;
    // Of the edge to the parent: whether it carries pieces in odd steps, and when the first goes.
    std::vector<bool> odd;
    std::vector<std::size_t> first;
  };

  // The second tree is the first one's mirror image, or, where that would have the same leaves,
  // the same moved on by one: who has children in one, at an even place, is a leaf in the other.
  std::size_t place_of(std::size_t t, std::size_t member) const {
    if (t == 0) return member + 1;
    return members_ % 2 == 0 ? members_ - member : (member + 1) % members_ + 1;
  }
  std::size_t member_at(std::size_t t, std::size_t place) const {
    if (t == 0) return place - 1;
    return members_ % 2 == 0 ? members_ - place : (place + members_ - 2) % members_;
  }

  void join(std::size_t t, std::size_t member) {
    const std::size_t place = parent_place(place_of(t, member), members_);
    if (place == 0) return;
    const std::size_t parent = member_at(t, place);
    trees_[t].parent[member] = parent;
    auto& children = trees_[t].children[parent];
    children[children[0] == kNobody ? 0 : 1] = member;
  }

  std::size_t sibling_of(std::size_t t, std::size_t member) const {
    const std::size_t parent = trees_[t].parent[member];
    if (parent == kNobody) return kNobody;
    const auto& [left, right] = trees_[t].children[parent];
    return left == member ? right : left;
  }

  // A member's two edges upwards have different colours, and so have two siblings' in one tree. Who
  // must differ from whom makes paths and even cycles (section 3 of the paper): every path is
  // coloured from one end to the other.
  void colour() {
    std::vector<bool> done(members_, false);
    const auto follow = [&](std::size_t member) {
      bool odd = false;
      while (member != kNobody) {
        done[member] = true;
        trees_[0].odd[member] = odd;
        trees_[1].odd[member] = !odd;
        odd = !odd;
        const std::size_t a = sibling_of(0, member), b = sibling_of(1, member);
        member = a != kNobody && !done[a] ? a : b != kNobody && !done[b] ? b : kNobody;
      }
    };
    for (const bool ends : {true, false}) {
      for (std::size_t m = 0; m < members_; ++m) {
        const bool is_end = sibling_of(0, m) == kNobody || sibling_of(1, m) == kNobody;
        if (!done[m] && (is_end || !ends)) follow(m);
      }
    }
  }

  // As late as the parent's allows: a piece is sent on in a step after both children's have come.
  void place_in_time(Tree& tree) const {
    std::vector<std::size_t> below;
    for (std::size_t m = 0; m < members_; ++m) {
      if (tree.parent[m] == kNobody) below.push_back(m);
    }
    for (std::size_t next = 0; next < below.size(); ++next) {
      const std::size_t member = below[next];
      const bool is_root = tree.parent[member] == kNobody;
      const std::size_t before = is_root ? 2 * height_of(members_) : tree.first[member];
      for (const std::size_t child : tree.children[member]) {
        if (child == kNobody) continue;
        const bool fits = (before - 1) % 2 == (tree.odd[child] ? 1 : 0);
        tree.first[child] = before - (fits ? 1 : 2);
        below.push_back(child);
      }
    }
  }

  // Whether nobody else's piece comes to its parent after this child's.
  bool is_last(std::size_t t, std::size_t child) const {
    const std::size_t other = sibling_of(t, child);
    return other == kNobody || trees_[t].first[other] < trees_[t].first[child];
  }

  // What goes between the member and its parent at this time.
  Edge edge_of(std::size_t t, std::size_t member, std::size_t time, std::int64_t n) const {
    const Tree& tree = trees_[t];
    if (tree.parent[member] == kNobody || time < tree.first[member]) return {};
    const std::size_t since = time - tree.first[member];
    if (since % 2 == 1 || since / 2 >= pieces_) return {};
    const std::int64_t begin = t == 0 ? 0 : n / 2, end = t == 0 ? n / 2 : n;
    const ElementRange piece = chunk_at(since / 2, pieces_, end - begin);
    return {begin + piece.begin, begin + piece.end};
  }

  const std::size_t members_, pieces_, steps_up_;
  std::array<Tree, 2> trees_;
};

std::optional<std::string> refuse(const CollectiveShape& shape) {
  if (const auto other = refuse_all_but_all_reduces(shape)) return other;
  if (shape.pieces > 0) return std::nullopt;
  return "a double tree has no pieces to send";
}

}  // namespace

AlgorithmRow double_tree_row() {
  return {CollectiveAlgorithm::double_tree,
          "double-tree",
          "all-reduces up and down two binary trees, half of everything each, piece by piece",
          1,
          refuse,
          [](const CollectiveShape& shape) { return 2 * steps_up(shape); },
          [](const CollectiveShape& shape, std::int64_t n) {
            return longest_chunk(shape.pieces, n - n / 2);
          },
          [](const CollectiveShape& shape) -> std::unique_ptr<const StepSource> {
            return std::make_unique<DoubleTree>(shape);
          }};
}

}  // namespace rehearse
