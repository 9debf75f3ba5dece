// One file per pipeline schedule; pipeline.cc has the table of them.
#pragma once

#include "model/schedule/pipeline.h"

namespace rehearse::pipelines {

PipelineSchedule gpipe();
PipelineSchedule one_forward_one_backward();

}  // namespace rehearse::pipelines
