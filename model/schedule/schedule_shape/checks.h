// The parts of shape_of(), each of which puts what it finds wrong into the sheet.
#pragma once

#include <map>
#include <optional>

#include "model/schedule/pipeline.h"
#include "model/schedule/schedule_shape/sheet.h"

namespace rehearse::schedule_shape {

struct PlacedStages {
  PipelineShape shape;            // but for the micro-batches
  std::map<StageId, Cell> first;  // of each stage's cells, to point at
};
// Stages are numbered from 0, and stand each on one rank, in a loop or a vee. None: they do not.
std::optional<PlacedStages> place_stages(Sheet& sheet);

// After these the sheet is indexed.

// Micro-batches are numbered from 0; none: they are not.
std::int64_t count_micro_batches(Sheet& sheet);
// Every stage has each micro-batch's passes once, in order.
void check_passes(Sheet& sheet, const PlacedStages& stages);
// Every message has both ends, each on its side of a pass, and arrives in the order it is sent in.
void check_messages(Sheet& sheet, const PipelineShape& shape);
// Passes have their parameters, and gradients are reduced when they are complete.
void check_shards(Sheet& sheet);
// All actions come to their end.
void dry_run(Sheet& sheet, const PipelineShape& shape);

}  // namespace rehearse::schedule_shape
