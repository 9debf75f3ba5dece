#include "model/schedule/strategies.h"

#include <fmt/format.h>

#include "model/schedule/pipeline.h"

namespace rehearse {
namespace {

std::vector<StrategyRow> axis_rows() {
  return {
      {"data", "replicas on different samples; gradients all-reduced in buckets during backward",
       "data: auto, bucket: 25 MiB"},
      {"data, accumulated", "several micro-batches per replica and step",
       "data: auto, micro_batches: 4"},
      {"data, no overlap", "gradients all-reduced when backward has ended",
       "data: auto, overlap: false"},
      {"data, collectives",
       "... by the algorithm that is fastest, or one by name, instead of by ring",
       "data: auto, collectives: auto"},
      {"data, ZeRO-1", "replicas share out the optimizer's state", "data: {ranks: auto, zero: 1}"},
      {"data, ZeRO-2", "... and the gradients", "data: {ranks: auto, zero: 2}"},
      {"data, ZeRO-3", "... and the weights (FSDP): gathered block by block, one ahead",
       "data: {ranks: auto, zero: 3, prefetch: 1}"},
      {"tensor", "products split by columns and rows; activations summed (transformers)",
       "data: auto, tensor: 2"},
      {"tensor, sequence", "... and what is between them split by rows of the sequence",
       "data: auto, tensor: {ranks: 2, sequence_parallel: true}"},
      {"tensor, overlap", "... and exchanged in backward beside the weights' gradients",
       "data: auto, tensor: {ranks: 2, overlap: true}"},
      {"subnetwork", "every worker trains some of the blocks, every block on equally many",
       "subnetwork: {workers: auto, coverage: 0.5}"},
      {"subnetwork, width", "... or parts of every inner width: hidden units, heads, channels",
       "data: auto, subnetwork: {workers: 4, coverage: 0.5, construction: width}"},
      {"subnetwork, unequal", "... workers with less memory hold less, every block as many of them",
       "data: auto, subnetwork: {workers: 4, coverage: [0.75, 0.75, 0.25, 0.25]}"},
      {"subnetwork, nested", "HeteroFL: the first units of every width, more or fewer by worker",
       "data: auto, subnetwork: {workers: 4, coverage: [1, 0.5, 0.5, 0.25], construction: width, "
       "assignment: nested}"},
      {"subnetwork, random", "federated dropout: units of every width at random, drawn anew",
       "data: auto, subnetwork: {workers: 4, coverage: 0.5, construction: width, "
       "assignment: random, redraw: 50}"},
      {"subnetwork, rolling", "FedRolex: a window of the units of every width, which moves on",
       "data: auto, subnetwork: {workers: 4, coverage: [0.5, 0.5, 0.25, 0.25], "
       "construction: width, assignment: rolling, redraw: 50}"},
      {"subnetwork, backward", "the whole network runs; its parts are trained by their holders",
       "subnetwork: {workers: auto, coverage: 0.5, masking: backward}"},
      {"local SGD", "replicas train 8 steps each for itself, then their weights are averaged",
       "data: auto, local_steps: 8"},
      {"DiLoCo", "... and an outer optimizer moves the weights by what has changed on average",
       "data: auto, local_steps: 500, outer: {lr: 0.7, momentum: 0.9}"},
      {"IST", "every width dealt out among the workers, trained locally, dealt out anew",
       "data: auto, subnetwork: {workers: 4, construction: width, holders: 1, redraw: 50}, "
       "local_steps: 50"},
      {"stochastic depth", "every replica leaves out blocks that it draws in each step",
       "data: auto, stochastic_depth: {keep: 0.5}"},
      {"recompute, selective", "attention keeps no probabilities",
       "data: auto, recompute: selective"},
      {"recompute, full", "blocks keep their inputs, and are run again in backward",
       "data: auto, recompute: full"},
      {"order", "which axis has neighbouring ranks: the last one",
       "data: auto, tensor: 2, order: [tensor, data]"},
  };
}

StrategyRow pipeline_row(const PipelineSchedule& schedule) {
  std::string keys = fmt::format("stages: 4, schedule: {}, micro_batches: 8", schedule.name);
  if (schedule.most_chunks > schedule.fewest_chunks)
    keys += fmt::format(", chunks: {}", schedule.fewest_chunks);
  if (schedule.takes_live_limit) keys += ", live: 4";
  return {fmt::format("pipeline, {}", schedule.name), std::string(schedule.help),
          fmt::format("data: auto, pipeline: {{{}}}", keys)};
}

}  // namespace

const std::vector<StrategyRow>& strategy_rows() {
  static const std::vector<StrategyRow> table = [] {
    std::vector<StrategyRow> rows = axis_rows();
    for (const PipelineSchedule& schedule : pipeline_schedules())
      rows.push_back(pipeline_row(schedule));
    rows.push_back({"pipeline, waiting",
                    "any of them, computing nothing while stages exchange (Megatron-LM, DeepSpeed)",
                    "data: auto, pipeline: {stages: 4, micro_batches: 8, exchange: batched}"});
    rows.push_back({"pipeline, scatter/gather",
                    "tensor-parallel ranks send a share each of what crosses stages, and gather it",
                    "data: auto, tensor: 2, "
                    "pipeline: {stages: 4, micro_batches: 8, scatter_gather: true}"});
    return rows;
  }();
  return table;
}

}  // namespace rehearse
