#include "model/plan/rank_classes.h"

#include <algorithm>
#include <map>

namespace rehearse {
namespace {

constexpr std::size_t kNone = static_cast<std::size_t>(-1);

template <class Id>
std::size_t slot_of(const std::vector<Id>& slots, Id wanted) {
  const auto found = std::find(slots.begin(), slots.end(), wanted);
  return found == slots.end() ? kNone : static_cast<std::size_t>(found - slots.begin());
}

std::optional<std::size_t> optional_slot(std::size_t slot) {
  return slot == kNone ? std::nullopt : std::optional(slot);
}

using Signature = std::vector<std::size_t>;
using Numbers = std::map<Signature, std::size_t>;

class Classifier {
 public:
  explicit Classifier(const Plan& plan) : plan_(plan) {
    for (const RankBinding& rank : plan.ranks)
      colours_.push_back(rank.program.index());
    for (std::size_t r = 0; r < plan.ranks.size(); ++r) {
      for (const RankId peer : plan.ranks[r].peers)
        slots_back_.push_back(slot_of(plan.ranks[peer.index()].peers, RankId(r)));
    }
    for (std::size_t g = 0; g < plan.groups.size(); ++g) {
      for (const RankId member : plan.groups[g].members)
        slots_in_member_.push_back(slot_of(plan.ranks[member.index()].groups, GroupId(g)));
    }
  }

  RankClasses run() {
    std::size_t known = 0;
    for (Numbers numbers = refine(); numbers.size() > known; numbers = refine())
      known = numbers.size();
    return describe();
  }

 private:
  // Each group's members by colour and slot, each kind once.
  std::vector<std::size_t> group_kinds(Numbers& numbers) const {
    std::vector<std::size_t> kinds;
    std::size_t at = 0;
    for (const Group& group : plan_.groups) {
      std::vector<std::pair<std::size_t, std::size_t>> members;
      for (const RankId member : group.members)
        members.emplace_back(colours_[member.index()], slots_in_member_[at++]);
      std::sort(members.begin(), members.end());
      members.erase(std::unique(members.begin(), members.end()), members.end());
      Signature signature = {group.members.size()};
      for (const auto& [colour, slot] : members) {
        signature.push_back(colour);
        signature.push_back(slot);
      }
      kinds.push_back(numbers.try_emplace(std::move(signature), numbers.size()).first->second);
    }
    return kinds;
  }

  Numbers refine() {
    Numbers kind_numbers, numbers;
    const std::vector<std::size_t> kinds = group_kinds(kind_numbers);
    std::vector<std::size_t> colours;
    std::size_t at = 0;
    for (std::size_t r = 0; r < plan_.ranks.size(); ++r) {
      Signature signature = {colours_[r], plan_.ranks[r].peers.size()};
      for (const RankId peer : plan_.ranks[r].peers) {
        signature.push_back(colours_[peer.index()]);
        signature.push_back(slots_back_[at++]);
      }
      for (const GroupId group : plan_.ranks[r].groups)
        signature.push_back(kinds[group.index()]);
      colours.push_back(numbers.try_emplace(std::move(signature), numbers.size()).first->second);
    }
    colours_ = std::move(colours);
    return numbers;
  }

  RankClasses describe() const {
    Numbers numbers;
    const std::vector<std::size_t> kinds = group_kinds(numbers);
    RankClasses classes;
    classes.class_of = colours_;
    classes.kinds.resize(numbers.size());
    for (const auto& [signature, number] : numbers) {
      for (std::size_t k = 1; k < signature.size(); k += 2)
        classes.kinds[number].push_back({signature[k], optional_slot(signature[k + 1])});
    }
    std::size_t at = 0;
    for (std::size_t r = 0; r < plan_.ranks.size(); ++r) {
      const bool is_new = colours_[r] == classes.first.size();
      if (is_new) add_class(r, at, kinds, classes);
      ++classes.sizes[colours_[r]];
      at += plan_.ranks[r].peers.size();
    }
    return classes;
  }

  void add_class(std::size_t r, std::size_t at, const std::vector<std::size_t>& kinds,
                 RankClasses& classes) const {
    classes.first.emplace_back(r);
    classes.sizes.push_back(0);
    auto& peers = classes.peers.emplace_back();
    for (const RankId peer : plan_.ranks[r].peers)
      peers.push_back({colours_[peer.index()], optional_slot(slots_back_[at++])});
    auto& groups = classes.groups.emplace_back();
    for (const GroupId group : plan_.ranks[r].groups)
      groups.push_back(kinds[group.index()]);
  }

  const Plan& plan_;
  std::vector<std::size_t> colours_;          // by rank
  std::vector<std::size_t> slots_back_;       // by rank and peer slot, flat
  std::vector<std::size_t> slots_in_member_;  // by group and member, flat
};

}  // namespace

RankClasses classify(const Plan& plan) {
  return Classifier(plan).run();
}

}  // namespace rehearse
