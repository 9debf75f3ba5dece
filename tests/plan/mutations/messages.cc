// Messages, and who sends them to whom.
#include "tests/plan/mutations/mutations.h"

namespace rehearse::testing {
namespace {

void change_bytes(Mutator& m) {
  auto* transfer = m.any_detail<Transfer>();
  if (transfer != nullptr) transfer->bytes = Bytes::bytes(m.another(transfer->bytes.bytes()));
}

void change_tag(Mutator& m) {
  auto* transfer = m.any_detail<Transfer>();
  if (transfer != nullptr) transfer->tag = m.another(transfer->tag);
}

void swap_tags(Mutator& m) {
  auto *a = m.any_detail<Transfer>(), *b = m.any_detail<Transfer>();
  if (a != nullptr) std::swap(a->tag, b->tag);
}

void change_peer(Mutator& m) {
  RankBinding& rank = m.one_of(m.plan.ranks);
  if (rank.peers.empty()) return;
  RankId& peer = m.one_of(rank.peers);
  if (m.below(2) == 0) {
    std::swap(peer, m.one_of(rank.peers));
  } else {
    peer = RankId(m.below(m.plan.ranks.size()));
  }
}

void change_peer_slot(Mutator& m) {
  auto* transfer = m.any_detail<Transfer>();
  if (transfer != nullptr) transfer->peer = m.below(2);
}

// Two replicas swap partners: a consistent change.
void cross_peers(Mutator& m) {
  std::vector<RankBinding>& ranks = m.plan.ranks;
  RankBinding &a = m.one_of(ranks), &b = m.one_of(ranks);
  if (a.program == b.program && a.peers.size() == b.peers.size()) std::swap(a.peers, b.peers);
}

constexpr Mutation kMutations[] = {
    {"bytes of a transfer", change_bytes},
    {"tag of a transfer", change_tag},
    {"swap two tags", swap_tags},
    {"peer of a rank", change_peer},
    {"peer slot of a transfer", change_peer_slot},
    {"peers of two ranks", cross_peers},
};

}  // namespace

std::span<const Mutation> damage_to_messages() {
  return kMutations;
}

}  // namespace rehearse::testing
