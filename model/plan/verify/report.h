// What the verifier's passes share: the plan, where it stands, and the errors found so far.
#pragma once

#include <fmt/format.h>

#include <optional>
#include <string>
#include <vector>

#include "model/base/diagnostic.h"
#include "model/net/net.h"
#include "model/plan/happens_before.h"
#include "model/plan/plan.h"
#include "model/plan/plan_text.h"
#include "model/plan/rank_classes.h"

namespace rehearse::verifier {

// One op of one program, and the rank it was met on (where that matters).
struct At {
  std::size_t program = 0;
  OpId op;
  std::optional<RankId> rank = std::nullopt;
};

class Report {
 public:
  Report(const Plan& plan, const PlanPlaces* places) : plan(plan), places_(places) {}

  const Plan& plan;

  void add_mesh(std::string message);
  void add_micro_batch(std::string message);
  void add_local_steps(std::string message);
  void add(const At& at, std::string message, std::vector<Note> notes = {});
  void add_program(std::size_t program, std::string message);
  void add_rank(std::size_t rank, std::string message);
  void add_group(std::size_t group, std::string message);
  Note note(const At& at, std::string message) const;
  // "program stage1, op 12 (send, tag 3)", with the rank where there is one.
  std::string name(const At& at) const;

  bool ok() const { return errors_.empty(); }
  Diagnostics take();

 private:
  std::optional<SourceSpan> line(int number) const;
  std::optional<SourceSpan> place(const At& at) const;

  const PlanPlaces* places_;
  Diagnostics errors_;
};

// By class of ranks and op: of a send or receive, the class of the other end and its op.
using Pairs = std::vector<std::vector<std::optional<std::pair<std::size_t, OpId>>>>;

// Of a program's ranks, by group slot: members of the group (structure: the same on all of them).
std::vector<std::size_t> group_sizes(const Plan& plan, std::size_t program);

// Parts of check_meaning: samples and stages over all ranks; reductions over all ranks.
void check_batch(Report& report, const Net& net);
void check_holders(Report& report, const Net& net, const RankClasses& classes);
// Of check_meaning: who gets new weights from the holders of a class, over all ranks.
void check_readers(Report& report, const Net& net);
// Of check_meaning: what nobody holds stands in one place, over all ranks.
void check_parked(Report& report, const Net& net);
// Of check_meaning: sums over micro-batches, where they are exact. By buffer of the program: its
// micro-batch.
void check_accumulations(Report& report, std::size_t program, const HappensBefore& before,
                         const std::vector<std::optional<MicroBatchId>>& micro_batches);
// Of check_meaning: the norm of all gradients, where they are clipped.
void check_squares(Report& report, std::size_t program, const HappensBefore& before);
// Of check_meaning: how holders that train each for itself come together.
void check_meetings(Report& report, std::size_t program, const HappensBefore& before);
// Parts of check_structure: of one program, all but its ops, and these; groups, and what ranks
// bind.
void check_program(Report& report, std::size_t program);
void check_ops(Report& report, std::size_t program);
void check_group_members(Report& report);
void check_ranks(Report& report);
// Of check_structure: what has to be exchanged in every step, in a plan of local ones.
void check_local_steps(Report& report);
// Stochastic depth: of whole replicas that have everything.
void check_depth(Report& report);
// Its clear ops: each program clears exactly what it holds and does not run, before it is reduced
// and updated.
void check_clears(Report& report, const Net& net, std::size_t program, const HappensBefore& before);
// Whether it gathers shares of a value or gradient in the buffer that has one of them.
bool gathers_in_place(const RankProgram& program, const Op& op);
// Of check_meaning: sums, rows and shares between tensor-parallel ranks.
void check_exchanges(Report& report, const Net& net);

// Parts of check_buffers, of one program: when buffers are allocated, used and freed; which of them
// ops use, and how. net: as the program trains it.
void check_lifetimes(Report& report, std::size_t program);
void check_operands(Report& report, const Net& net, std::size_t program);

// The passes. All but the first rely on those before.
void check_structure(Report& report);
void check_net(Report& report, const Net& net);
Pairs check_pairing(Report& report, const RankClasses& classes);
void check_meaning(Report& report, const Net& net, const RankClasses& classes);
void check_buffers(Report& report, const Net& net);
void check_messages(Report& report, const RankClasses& classes, const Pairs& pairs);
void check_collective_order(Report& report, const RankClasses& classes);
void dry_run(Report& report, const RankClasses& classes, const Pairs& pairs);

}  // namespace rehearse::verifier
