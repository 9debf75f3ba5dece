// What ops do to a rank's gradients, weights and optimizer state, and where its collectives work.
#pragma once

#include <map>
#include <memory>
#include <optional>
#include <span>
#include <vector>

#include "exec/backend.h"
#include "exec/run/arena.h"
#include "exec/run/collective.h"
#include "exec/run/parameters.h"
#include "model/plan/plan.h"

namespace rehearse::exec {

class StateOps {
 public:
  StateOps(const Plan& plan, RankId rank, Backend& backend, Arena& arena, Parameters& parameters);

  // All of one op's work, queued where the device stands: accumulate, clear, sum_squares,
  // optimizer_step, outer_gradient or outer_step.
  void run(const Op& op, std::int64_t step);
  // A collective's memory: of gradients, of weights, of values, or of sums of squares.
  CollectiveMemory memory_of(const Op& op);
  // Which adds what the collective brings.
  Backend& adder_of(const Op& op) { return is_of_squares(program_, op) ? *doubles_ : backend_; }
  // Behind the sum of squares: of this rank's first, then of all.
  void note_norm(const Op& op);
  // Of all gradients of the last step, before they were clipped; none if they are not.
  std::optional<double> gradient_norm() const { return gradient_norm_; }

 private:
  void accumulate(const Op& op);
  void clear(const Op& op);
  void sum_squares(const Op& op);
  void update(const Op& op, std::int64_t step);
  void take_outer_gradient(const Op& op);
  void step_outer(const Op& op);
  CollectiveMemory squares_of(const Op& op);
  CollectiveMemory values_of(const Op& op);
  std::span<std::byte> on_host(BufferId buffer);

  const Plan& plan_;
  const RankProgram& program_;
  const RankId rank_;
  Backend& backend_;
  KernelDevice& device_;
  Arena& arena_;
  Parameters& parameters_;
  // Adds sums of squares, which are doubles whatever the gradients are.
  std::unique_ptr<Backend> doubles_ = make_reference_backend(DataType::fp64);
  std::map<BufferId, std::vector<std::byte>>
      squares_;  // where the device's memory is not the host's
  std::optional<double> gradient_norm_;
};

}  // namespace rehearse::exec
