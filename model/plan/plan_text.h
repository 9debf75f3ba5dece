// Plans as text: printed, parsed back, compared, hashed.
//
// One line per thing, fields in a fixed order, numbers in base units:
//
//   rehearse plan 3
//   strategy ddp
//   ...
//   group 0 ranks=0,1,2,3
//   program 0 name=replica stages=0:0..11 micro_batches=1 holds=111111111
//   lane 0 compute stage=0
//   class 0 elements=272186 group=0 holders=4 sharding=none buckets=- parameters=61,60,...
//   buffer 7 kind=value bytes=3211264 value=2
//   op 4 backward lane=0 after=2 segments=8..11 micro_batch=0 uses=r7-,w9+,u1
//   rank 0 program=0 peers=- groups=0 first_micro_batch=0 slice=0
//
// Where subnetworks mask backward, "masking backward" stands ahead of micro_batch, and a class has
// readers=0; one that the rank only reads is a read_class.
//
// uses: r(ead), w(rite) or u(pdate), the buffer, '+' if the op allocates it, '-' if it frees it.
// A list that is empty is '-'. '#' begins a comment, empty lines are skipped.
// print(parse(print(p))) == print(p).
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "model/base/diagnostic.h"
#include "model/plan/plan.h"

namespace rehearse {

std::string print(const Plan& plan);

// Where a plan's parts stand in the text it was read from.
struct PlanPlaces {
  std::shared_ptr<const SourceText> source;
  int model = 0, training = 0, mesh = 0, micro_batch = 0, local_steps = 0;  // lines
  std::vector<int> groups, programs, ranks;
  std::vector<std::vector<int>> ops;  // by program
};

struct ParsedPlan {
  Plan plan;
  PlanPlaces places;
};

// name: the file's, for messages. The result has the right form; whether it makes sense is what
// verify() says.
Result<ParsedPlan> parse_plan(const std::string& text, const std::string& name);

// Of the canonical text: equal hashes, same plan. 16 hexadecimal digits.
std::string plan_hash(const Plan& plan);

}  // namespace rehearse
