// How good the whole model is on the test set.
//
// Training keeps no running averages: the statistics of every batch norm are re-estimated first, as
// the mean over some micro-batches of training samples, front to back in one pass (as stochastic
// weight averaging does: Izmailov et al., UAI 2018, section 3.2).
#pragma once

#include "exec/backend.h"
#include "exec/batch_source.h"
#include "exec/run/assemble.h"
#include "exec/transport.h"
#include "model/net/net.h"

namespace rehearse::exec {

struct Evaluation {
  double loss = 0;      // mean over labels
  double accuracy = 0;  // share of labels with the largest logit
  std::int64_t samples = 0;
};

// net: the whole network without dropout, its branches scaled as the plan says for evaluation.
// Ranks share the test set among them; everybody calls this and gets the same result.
Evaluation evaluate(const Net& net, const Weights& weights, Backend& backend, Transport& transport,
                    EvaluationSource& source);

}  // namespace rehearse::exec
