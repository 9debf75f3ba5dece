// A network as it was built: its blocks and segments, what they compute and keep, and what of it a
// subnetwork may leave out.
#pragma once

#include <string>
#include <vector>

#include "model/base/styled_text.h"
#include "model/net/lowering.h"
#include "model/net/model_spec.h"
#include "model/net/width.h"

namespace rehearse {

// What is shown of one micro-batch.
struct MicroBatch {
  std::int64_t samples = 1;
  std::string dtype;  // of activations
  ElementSizes sizes;
};

// Parameters count where they are first used. saved: of a micro-batch, what the segment makes and
// a backward pass reads, as a plan lays it out; all of them together are the saved slab of a plan
// that runs the network as one op.
struct SegmentSummary {
  std::int64_t parameters = 0;
  PassFlops flops;  // of one sample
  Bytes saved;
};

struct ModelSummary {
  ModelSpec spec;  // resolved
  Net net;
  MicroBatch micro_batch;
  std::vector<SegmentSummary> segments;       // as the network's
  std::vector<std::int64_t> unit_parameters;  // by unit
  std::vector<InnerWidth> widths;
  SegmentSummary total() const;
};

ModelSummary summarize_model(const ModelSpec& resolved, const MicroBatch& micro_batch);

// Blocks that follow one another and are alike, numbers in their names aside, in one row.
StyledText print_table(const ModelSummary& summary);
// All blocks, segments, layers and units.
std::string print_json(const ModelSummary& summary);

}  // namespace rehearse
