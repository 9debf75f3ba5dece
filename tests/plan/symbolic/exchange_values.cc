#include "tests/plan/symbolic/exchange_values.h"

#include <algorithm>

#include "tests/plan/symbolic/collective_operands.h"

namespace rehearse::testing::symbolic {
namespace {

BufferId operand(const RunningOp& member, std::size_t k) {
  const auto& operands = member.op().operands;
  if (k >= operands.size()) member.fail("it has no place for the rows");
  return operands[k].buffer;
}

// In place: what all have a share of, if they do; something else, if they don't.
void gather_shares(const std::vector<RunningOp*>& members, const ValueShares& shares) {
  std::vector<Word> contents = {term_share}, wholes;
  for (std::size_t m = 0; m < members.size(); ++m) {
    contents.push_back(members[m]->read(operand(*members[m], 0)));
    wholes.push_back(shares.whole_of(contents.back(), static_cast<std::int64_t>(m)));
  }
  const bool fit =
      wholes.front() != kUnwritten && std::equal(wholes.begin() + 1, wholes.end(), wholes.begin());
  for (RunningOp* member : members)
    member->write(operand(*member, 0), 0, fit ? wholes.front() : hash(contents));
}

}  // namespace

void exchange_values(const std::vector<RunningOp*>& members, const ValueShares& shares) {
  const OpKind kind = members.front()->op().kind;
  if (kind == OpKind::all_gather && values_of(*members.front()) == 1)
    return gather_shares(members, shares);
  Word sum = 0;
  std::vector<Word> rows = {term_rows};
  for (const RunningOp* member : members) {
    const Word content = member->read(operand(*member, 0));
    sum += content;
    rows.push_back(content);
    rows.push_back(static_cast<Word>(member->rank().binding.slice));
  }
  const auto divisor = static_cast<Word>(collective_of(members.front()->op()).divisor);
  if (divisor != 1) sum = hash({term_mean, sum, divisor});
  for (std::size_t m = 0; m < members.size(); ++m) {
    RunningOp& member = *members[m];
    if (kind == OpKind::all_reduce) {
      member.write(operand(member, 0), 0, sum);
    } else if (kind == OpKind::all_gather) {
      member.write(operand(member, 1), 0, hash(rows));
    } else {
      member.write(operand(member, 0), 0, kUnwritten);
      member.write(operand(member, 1), 0, hash({term_row_sum, sum, m}));
    }
  }
}

}  // namespace rehearse::testing::symbolic
