#include "tools/summary/model.h"

#include <set>

#include "model/base/check.h"
#include "model/net/pack.h"

namespace rehearse {
namespace {

// Values that some backward pass reads, but for those of the data loader, which are nobody's.
std::set<ValueId> saved_values(const Net& net) {
  std::set<ValueId> saved;
  for (const Layer& layer : net.layers) {
    for (std::size_t i = 0; i < layer.inputs.size(); ++i) {
      if (layer.facts.saves_input[i] && net.values[layer.inputs[i].index()].producer)
        saved.insert(layer.inputs[i]);
    }
    if (layer.facts.saves_output && layer.output != net.loss) saved.insert(layer.output);
  }
  return saved;
}

Bytes saved_by(const Net& net, const Layer& layer, const std::set<ValueId>& saved,
               const MicroBatch& batch) {
  Bytes sum;
  if (saved.count(layer.output) > 0)
    sum += align_up(size_of(net, layer.output, batch.samples, batch.sizes), kAlignment);
  for (const Auxiliary& auxiliary : layer.facts.auxiliaries) {
    const std::int64_t elements =
        auxiliary.elements_per_sample * batch.samples + auxiliary.elements_per_call;
    sum += align_up(Bytes::bytes(elements * batch.sizes.statistic_bytes), kAlignment);
  }
  return sum;
}

}  // namespace

SegmentSummary ModelSummary::total() const {
  SegmentSummary sum;
  sum.flops = flops_of(net, 1);
  for (const SegmentSummary& segment : segments) {
    sum.parameters += segment.parameters;
    sum.saved += segment.saved;
  }
  return sum;
}

ModelSummary summarize_model(const ModelSpec& resolved, const MicroBatch& micro_batch) {
  ModelSummary summary{resolved, build_net(resolved).value(), micro_batch, {}, {}, {}};
  const Net& net = summary.net;
  const std::set<ValueId> saved = saved_values(net);
  for (std::size_t s = 0; s < net.segments.size(); ++s) {
    SegmentSummary segment;
    segment.flops = flops_of(net, SegmentId(s), SegmentId(s + 1), 1);
    for (const LayerId id : net.segments[s].layers)
      segment.saved += saved_by(net, net.layers[id.index()], saved, micro_batch);
    summary.segments.push_back(segment);
  }
  summary.unit_parameters.resize(net.units.size());
  for (const Parameter& parameter : net.parameters) {
    const std::int64_t elements = parameter.shape.elements();
    summary.segments[parameter.segment.index()].parameters += elements;
    if (parameter.unit) summary.unit_parameters[parameter.unit->index()] += elements;
  }
  summary.widths = inner_widths(net);
  return summary;
}

}  // namespace rehearse
