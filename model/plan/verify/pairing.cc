#include <map>
#include <tuple>

#include "model/plan/verify/report.h"

namespace rehearse::verifier {
namespace {

using Pair = std::tuple<RankId, RankId, std::int64_t>;  // sender, receiver, tag

class Transfers {
 public:
  explicit Transfers(Report& report) : report_(report) {}

  void run() {
    for (std::size_t r = 0; r < report_.plan.ranks.size(); ++r)
      collect(RankId(r));
    for (const auto& [pair, send] : sends_) {
      const auto receive = receives_.find(pair);
      if (receive == receives_.end()) {
        report_.add(send, fmt::format("rank {} has no receive for it", std::get<1>(pair).value()));
      } else {
        compare(send, receive->second);
      }
    }
    for (const auto& [pair, receive] : receives_) {
      if (sends_.count(pair) > 0) continue;
      report_.add(receive, fmt::format("rank {} has no send for it", std::get<0>(pair).value()));
    }
  }

 private:
  void collect(RankId rank) {
    const RankBinding& binding = report_.plan.ranks[rank.index()];
    const auto& ops = report_.plan.programs[binding.program.index()].ops;
    for (std::size_t op = 0; op < ops.size(); ++op) {
      const bool sends = ops[op].kind == OpKind::send;
      if (!sends && ops[op].kind != OpKind::receive) continue;
      const Transfer& transfer = transfer_of(ops[op]);
      const RankId peer = binding.peers[transfer.peer];
      const Pair pair = sends ? Pair{rank, peer, transfer.tag} : Pair{peer, rank, transfer.tag};
      const At at{binding.program.index(), OpId(op), rank};
      const auto [known, is_new] = (sends ? sends_ : receives_).try_emplace(pair, at);
      if (!is_new) report_.add(at, "its tag is taken", {report_.note(known->second, "by this op")});
    }
  }

  const Op& op_of(const At& at) const {
    return report_.plan.programs[at.program].ops[at.op.index()];
  }
  const Buffer& buffer_of(const At& at) const {
    return report_.plan.programs[at.program].buffers[op_of(at).operands.front().buffer.index()];
  }

  void compare(const At& send, const At& receive) {
    const Bytes sent = transfer_of(op_of(send)).bytes, received = transfer_of(op_of(receive)).bytes;
    if (sent != received) {
      report_.add(send, fmt::format("it sends {} bytes", sent.bytes()),
                  {report_.note(receive, fmt::format("but this expects {}", received.bytes()))});
    }
    const Buffer &from = buffer_of(send), &to = buffer_of(receive);
    if (from.kind != to.kind || from.value != to.value) {
      report_.add(send,
                  fmt::format("it sends the {} of value {}", to_string(from.kind),
                              from.value ? from.value->value() : 0),
                  {report_.note(
                      receive, fmt::format("but this takes it for the {} of value {}",
                                           to_string(to.kind), to.value ? to.value->value() : 0))});
    }
  }

  Report& report_;
  std::map<Pair, At> sends_, receives_;
};

// What all members of a group must agree on.
struct Reduction {
  At at;
  Collective detail;
};

// By group: each member's reductions in issue order. An order between groups that cannot work shows
// in the dry run.
class Collectives {
 public:
  explicit Collectives(Report& report) : report_(report) {}

  void run() {
    for (std::size_t r = 0; r < report_.plan.ranks.size(); ++r)
      collect(RankId(r));
    for (const auto& [group, by_rank] : reductions_)
      compare_members(group, by_rank);
  }

 private:
  void collect(RankId rank) {
    const RankBinding& binding = report_.plan.ranks[rank.index()];
    const RankProgram& program = report_.plan.programs[binding.program.index()];
    for (std::size_t op = 0; op < program.ops.size(); ++op) {
      if (program.ops[op].kind != OpKind::all_reduce) continue;
      const Collective& detail = collective_of(program.ops[op]);
      const auto slot = program.parameter_classes[detail.parameter_class.index()].group;
      reductions_[binding.groups[*slot]][rank].push_back(
          {{binding.program.index(), OpId(op), rank}, detail});
    }
  }

  void compare_members(GroupId group, const std::map<RankId, std::vector<Reduction>>& by_rank) {
    const auto& members = report_.plan.groups[group.index()].members;
    const auto& [first_rank, first] = *by_rank.begin();
    for (const RankId rank : members) {
      const auto own = by_rank.find(rank);
      const std::size_t count = own == by_rank.end() ? 0 : own->second.size();
      if (count != first.size()) {
        report_.add(fmt::format("group {}: rank {} takes part in {} reductions, rank {} in {}",
                                group.value(), first_rank.value(), first.size(), rank.value(),
                                count));
        continue;
      }
      for (std::size_t k = 0; k < count; ++k)
        compare(first[k], own->second[k]);
    }
  }

  void compare(const Reduction& a, const Reduction& b) {
    const Collective &x = a.detail, &y = b.detail;
    const bool equal = x.begin == y.begin && x.end == y.end && x.divisor == y.divisor &&
                       x.algorithm == y.algorithm;
    if (equal) return;
    report_.add(a.at, fmt::format("it reduces elements {}..{} by {}", x.begin, x.end, x.divisor),
                {report_.note(b.at, "but this reduces other elements, or by another divisor")});
  }

  Report& report_;
  std::map<GroupId, std::map<RankId, std::vector<Reduction>>> reductions_;
};

}  // namespace

void check_pairing(Report& report) {
  Transfers(report).run();
  Collectives(report).run();
}

}  // namespace rehearse::verifier
