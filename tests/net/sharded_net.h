// Small transformers that tensor parallelism cuts, and what must hold of every part.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "model/net/model_spec.h"
#include "model/net/net.h"

namespace rehearse::testing {

using Fields = std::map<std::string, std::vector<std::int64_t>>;

// kind: gpt or llama. A vocabulary that neither 2 nor 4 divides.
ModelSpec transformer_spec(const std::string& kind, const Fields& changes = {});
Net transformer(const std::string& kind, const Fields& changes = {});

std::vector<SegmentId> segment_ids(const Net& net);
SegmentId after(SegmentId segment);

// Values have the shapes that their layers yield from their inputs, parameters those they take.
void expect_shapes_fit(const Net& net);
// Segment by segment, in both directions: what a pass reads was written by an earlier one, and
// every layer with parameters gets its weight gradient once.
void expect_every_segment_lowers(const Net& net);
// These; parameters and products of all ranks are those of the whole network, and what is exchanged
// lies between segments.
void expect_sound(const ModelSpec& spec, std::int64_t ways, bool sequence_parallel);

}  // namespace rehearse::testing
