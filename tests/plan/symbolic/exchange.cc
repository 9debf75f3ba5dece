#include "tests/plan/symbolic/exchange.h"

#include <algorithm>

#include "tests/plan/symbolic/exchange_values.h"
#include "tests/plan/symbolic/shards.h"

namespace rehearse::testing::symbolic {
namespace {

using Members = std::vector<RunningOp*>;

const ParameterClass& class_of(const RunningOp& member) {
  return member.rank().class_at(*collective_of(member.op()).parameter_class);
}

// The chunk of a member's collective that is that of member `number`.
ElementRange chunk(const Members& members, std::size_t number) {
  const Collective& detail = collective_of(members[number]->op());
  return chunk_of(detail.begin, detail.end, members.size(), number);
}

std::size_t owner_of(const Members& members, std::int64_t element) {
  std::size_t owner = 0;
  while (chunk(members, owner).end <= element)
    ++owner;
  return owner;
}

// Where an element of a member's class is in its buffer of a kind.
struct Spot {
  BufferId buffer;
  std::int64_t element = 0;
};

// chunk_begin: where the chunk begins that a shard has.
Spot spot(const RunningOp& member, Access access, BufferKind kind, std::int64_t element,
          std::int64_t chunk_begin) {
  const BufferId b = member.find(access, kind);
  if (holds_range(kind)) return {b, element - member.rank().buffer(b).begin};
  const ParameterClass& held = class_of(member);
  if (!is_shard(held, kind)) return {b, element};
  return {b, shard_offset(held, collective_of(member.op()).begin) + element - chunk_begin};
}

Word read(const RunningOp& member, const Spot& from) {
  return member.read(from.buffer, from.element);
}

void write(RunningOp& member, const Spot& to, Word content) {
  member.write(to.buffer, to.element, content);
}

// What a member adds to, or what it has of the sum for itself.
BufferKind terms_of(const RunningOp& member) {
  const bool apart = member.op().kind == OpKind::reduce_scatter &&
                     class_of(member).sharding >= Sharding::gradients;
  return apart ? BufferKind::unreduced : BufferKind::gradients;
}

// From the source that sends the element: its chunk of those that the others get.
void broadcast(const Members& members, std::int64_t e) {
  const RunningOp& first = *members.front();
  const Collective& detail = collective_of(first.op());
  const std::size_t sources = index(detail.sources);
  if (sources < 1 || sources >= members.size()) first.fail("nobody sends or receives it");
  std::size_t part = 0;
  while (chunk_of(detail.begin, detail.end, members.size() - sources, part).end <= e)
    ++part;
  const RunningOp& from = *members[part % sources];
  const Word weight = read(from, spot(from, Access::read, BufferKind::parameters, e, e));
  for (std::size_t m = sources; m < members.size(); ++m)
    write(*members[m], spot(*members[m], Access::write, BufferKind::parameters, e, e), weight);
}

void gather(const Members& members, std::int64_t e) {
  const std::size_t owner = owner_of(members, e);
  const std::int64_t begin = chunk(members, owner).begin;
  const RunningOp& from = *members[owner];
  const Word weight = read(from, spot(from, Access::read, BufferKind::parameters, e, begin));
  for (RunningOp* member : members) {
    const bool apart = class_of(*member).sharding == Sharding::parameters;
    const BufferKind into = apart ? BufferKind::gathered : BufferKind::parameters;
    write(*member, spot(*member, Access::write, into, e, begin), weight);
  }
}

bool adds_to(const RunningOp& member, BufferId b) {
  const auto& operands = member.op().operands;
  return std::any_of(operands.begin(), operands.end(), [&](const Operand& operand) {
    return operand.buffer == b && operand.access == Access::update;
  });
}

// All-reduce, and reduce-scatter, of which only the owner has the result.
void reduce(const Members& members, std::int64_t e) {
  const std::size_t owner = owner_of(members, e);
  const std::int64_t begin = chunk(members, owner).begin;
  Word sum = 0;
  for (const RunningOp* member : members)
    sum += read(*member, spot(*member, Access::read, terms_of(*member), e, begin));
  const Op& op = members.front()->op();
  const Word mean = hash({term_mean, sum, static_cast<Word>(collective_of(op).divisor)});
  for (std::size_t m = 0; m < members.size(); ++m) {
    if (op.kind == OpKind::reduce_scatter && m != owner) continue;
    RunningOp& member = *members[m];
    const Spot to = spot(member, Access::write, BufferKind::gradients, e, begin);
    const bool adds =
        is_shard(class_of(member), BufferKind::gradients) && adds_to(member, to.buffer);
    write(member, to, adds ? read(member, to) + mean : mean);
  }
}

// A ring leaves partial sums wherever the member's own chunk is not.
void forget_terms(const Members& members) {
  for (std::size_t m = 0; m < members.size(); ++m) {
    RunningOp& member = *members[m];
    const BufferKind terms = terms_of(member);
    const ElementRange own = chunk(members, m);
    const Collective& detail = collective_of(member.op());
    for (std::int64_t e = detail.begin; e < detail.end; ++e) {
      const bool is_result = terms == BufferKind::gradients && own.begin <= e && e < own.end;
      if (is_result) continue;
      write(member, spot(member, Access::read, terms, e, own.begin), kUnwritten);
    }
  }
}

}  // namespace

void exchange(const Members& members, const ValueShares& shares) {
  const Op& op = members.front()->op();
  const Collective& detail = collective_of(op);
  if (!detail.parameter_class) return exchange_values(members, shares);
  for (std::int64_t e = detail.begin; e < detail.end; ++e) {
    if (op.kind == OpKind::broadcast) {
      broadcast(members, e);
    } else if (op.kind == OpKind::all_gather) {
      gather(members, e);
    } else {
      reduce(members, e);
    }
  }
  if (op.kind == OpKind::reduce_scatter) forget_terms(members);
}

}  // namespace rehearse::testing::symbolic
