// A first step for other programs to repeat (tools/parity).
#pragma once

#include <string>

#include "exec/backend.h"
#include "exec/batch_source.h"
#include "exec/run/train.h"
#include "model/base/diagnostic.h"
#include "model/net/net.h"
#include "model/plan/plan.h"

namespace rehearse::cli {

// Tensors "weights/NAME" and "gradients/NAME" of every parameter, as the network names them and in
// its layouts (convolutions [out, height, width, in]); "batch/input" and "batch/labels", all
// samples of the global batch. Metadata: model, the plan's line of it; loss, the mean over the
// batch. run.first_step must be there. Errors: the file cannot be written.
Status write_first_step(const std::string& path, const Plan& plan, const Net& net,
                        const exec::TrainingRun& run, exec::BatchSource& batches,
                        const exec::Backend& backend);

}  // namespace rehearse::cli
