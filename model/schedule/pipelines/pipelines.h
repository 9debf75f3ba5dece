// One file per pipeline schedule; pipeline.cc has the table of them.
#pragma once

#include "model/schedule/pipeline.h"

namespace rehearse::pipelines {

PipelineSchedule dualpipev();
PipelineSchedule gpipe();
PipelineSchedule interleaved();
PipelineSchedule one_forward_one_backward();
PipelineSchedule v_half();
PipelineSchedule v_min();
PipelineSchedule zb_auto();
PipelineSchedule zb_h1();
PipelineSchedule zb_h2();
PipelineSchedule zb_v();

}  // namespace rehearse::pipelines
