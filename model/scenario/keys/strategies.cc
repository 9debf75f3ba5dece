// Keys of strategies.
#include "model/cluster/cluster.h"
#include "model/collective/steps.h"
#include "model/net/width.h"
#include "model/scenario/keys/keys.h"
#include "model/scenario/names.h"
#include "model/schedule/pipeline.h"

namespace rehearse::yaml {
namespace {

// A number of ranks, or what the other axes leave.
Type axis() {
  return either({count({1, kMostDevices}), word("auto")});
}

Type fraction() {
  return either({number({0, 1, true}), written("a fraction such as 2/3", "[0-9]+/[0-9]+")});
}

Section strategy() {
  std::vector<std::string> algorithms = {"auto"};
  for (const CollectiveAlgorithmRow& row : collective_algorithms())
    algorithms.emplace_back(row.name);
  return {
      "strategy",
      "A way of splitting the training over the ranks; at most one axis is auto, and takes the "
      "devices that the others leave.",
      {
          needed("name", basic(Form::name), "what reports call it", "ddp"),
          optional("data", either({axis().of[0], axis().of[1], map_of("data")}), "1",
                   "replicas, each with a share of the batch", "{ranks: auto, zero: 3}"),
          optional("tensor", either({axis().of[0], axis().of[1], map_of("tensor")}), "",
                   "ranks that share every layer of a transformer",
                   "{ranks: 8, sequence_parallel: true}"),
          optional("pipeline", map_of("pipeline"), "", "ranks that each have some of the layers",
                   "{stages: 4, schedule: 1f1b, micro_batches: 16}"),
          optional("subnetwork", map_of("subnetwork"), "", "workers that each train a part",
                   "{workers: auto, coverage: 0.5}"),
          optional("micro_batches", count(), "1", "gradient accumulation, without a pipeline", "4"),
          optional("recompute", one_of("recomputation", names_of(kRecomputations)), "none",
                   "which activations are computed again in backward", "full"),
          optional("bucket", basic(Form::bytes), "25 MiB", "gradients of one exchange", "256 KiB"),
          optional("overlap", basic(Form::yes_no), "true",
                   "whether gradients are exchanged while backward goes on", "false"),
          optional("collectives", one_of("collective algorithm", std::move(algorithms)), "ring",
                   "how gradients, weights and values are exchanged", "auto"),
          optional("order", list_of(one_of("axis", names_of(kAxisOrder))), "",
                   "axes of the mesh, the innermost last: its ranks are neighbours",
                   "[data, tensor]"),
          optional("local_steps", count(), "1", "steps between two exchanges of weights", "500"),
          optional("outer", map_of("outer"), "",
                   "optimizer of the exchange between local steps (DiLoCo)",
                   "{lr: 0.7, momentum: 0.9}"),
          optional("stochastic_depth", map_of("stochastic_depth"), "",
                   "blocks that replicas leave out at random", "{keep: 0.5}"),
      },
  };
}

Section data() {
  return {
      "data",
      "Replicas, each with a share of the batch.",
      {
          needed("ranks", axis(), "how many", "auto"),
          optional("zero", count({0, 3}), "0",
                   "what they share out: optimizer state (1), gradients (2), weights (3, FSDP)",
                   "3"),
          optional("prefetch", count({0, 1000}), "1", "blocks that are gathered ahead (zero: 3)",
                   "2"),
      },
  };
}

Section tensor() {
  return {"tensor",
          "Ranks that share every layer of a transformer.",
          {needed("ranks", axis(), "how many", "8"),
           optional("sequence_parallel", basic(Form::yes_no), "false",
                    "whether the rest of a layer is shared along the sequence", "true"),
           optional("overlap", basic(Form::yes_no), "false",
                    "whether exchanges of backward are under way beside gradients of weights",
                    "true")}};
}

Section pipeline() {
  std::vector<std::string> schedules;
  for (const PipelineSchedule& row : pipeline_schedules())
    schedules.emplace_back(row.name);
  return {
      "pipeline",
      "Ranks that each have some of the layers.",
      {
          needed("stages", axis(), "ranks of the pipeline", "4"),
          optional("schedule",
                   either({one_of("pipeline schedule", std::move(schedules)),
                           written("a path of a .csv file", ".+\\.csv")}),
                   "1f1b", "the order of passes", "zb-h1"),
          needed("micro_batches", count(), "of a replica and step", "16"),
          optional("chunks", count({1, 1000}), "",
                   "stages of each rank; by default the schedule's fewest", "2"),
          optional("cut", one_of("rule for stages", names_of(stage_rules())), "cost",
                   "stages of even cost that fit in memory, or with as many layers each", "layers"),
          optional("exchange", one_of("way to exchange", names_of(stage_exchanges())), "overlapped",
                   "whether ranks compute while messages between stages are under way, or wait for "
                   "all between two passes at once (Megatron-LM) or in turn (DeepSpeed)",
                   "batched"),
          optional("scatter_gather", basic(Form::yes_no), "false",
                   "whether tensor-parallel ranks send a share each of what they have alike, and "
                   "gather what they receive",
                   "true"),
          optional(
              "live", number(), "",
              "activations that a rank may keep, for schedules that place passes under a limit",
              "8"),
          optional("kept_after_input", number({0, 1}), "1",
                   "share of a micro-batch's activations that waits for the weights' gradients",
                   "0.5"),
      },
  };
}

Section subnetwork() {
  return {
      "subnetwork",
      "Workers that each train a part of the network (arXiv 2507.09029).",
      {
          needed("workers", axis(), "how many", "auto"),
          optional("coverage", either({fraction().of[0], fraction().of[1], list_of(fraction(), 1)}),
                   "", "share of the workers that hold a unit, or each worker's share of the units",
                   "0.5"),
          optional("holders", count(), "", "workers that hold a unit, in place of coverage", "2"),
          optional("construction", one_of("construction", names_of(kConstructions)), "block",
                   "units are blocks, or parts of every inner width", "width"),
          optional("assignment", one_of("assignment", names_of(kAssignments)), "balanced",
                   "who holds which units", "rolling"),
          optional("units", count({2, kMostWidthUnits}), "",
                   "of every width, where they are dealt by coverage", "16"),
          optional("masking", one_of("masking", names_of(kMaskings)), "forward",
                   "whether what is left out is not computed, or only not updated", "backward"),
          optional("scaling", one_of("scaling", names_of(kScalings)), "",
                   "when branches are weighted for the workers that lack them", "in-training"),
          optional("balance", one_of("balance", names_of(kBalances)), "flops",
                   "the load that is levelled over the workers", "parameters"),
          optional("averaging", one_of("averaging", names_of(kAveragings)), "holders",
                   "whose mean a gradient is", "all"),
          optional("always_held", list_of(basic(Form::name)), "[]", "blocks that everybody holds",
                   "[block1]"),
          optional("axes", list_of(one_of("width axis", names_of(kWidthAxes)), 1), "",
                   "widths that are cut; by default all", "[hidden, heads]"),
          optional("redraw", count(), "", "steps after which who holds what is drawn anew", "100"),
          optional("moments", one_of("moments", names_of(kMoments)), "keep",
                   "what becomes of the optimizer's state then", "reset"),
          optional("step_multiplier", number({0, Bounds{}.most, true}), "",
                   "steps of a run for one of data parallelism's; by default 1 / coverage", "1.5"),
      },
      {{"coverage"}, {"holders"}},
  };
}

Section outer() {
  return {"outer",
          "The optimizer of the exchange between local steps.",
          {optional("lr", number({0, Bounds{}.most, true}), "0.7", "learning rate", "0.7"),
           optional("momentum", number({0, 1, false, true}), "0.9", "Nesterov's", "0.9")}};
}

Section stochastic_depth() {
  return {"stochastic_depth",
          "Blocks that replicas leave out at random, the deeper the more.",
          {optional("keep", number({0, 1, true}), "0.5", "probability that the last block runs",
                    "0.8")}};
}

// One of a kind, or a list of them.
Type choices(Type one) {
  return either({one, list_of(one, 1)});
}

Section advise() {
  std::vector<std::string> schedules;
  for (const PipelineSchedule& row : pipeline_schedules())
    schedules.emplace_back(row.name);
  const Type ranks = choices(count({1, kMostDevices}));
  const Type shares = either({fraction().of[0], fraction().of[1], list_of(fraction(), 1)});
  return {
      "advise",
      "Which strategies `rehearse advise` searches; by default all that the model and the cluster "
      "allow.",
      {
          optional("tensor", ranks, "", "tensor-parallel ranks", "[1, 2, 4, 8]"),
          optional("sequence_parallel", choices(basic(Form::yes_no)), "",
                   "whether these share the rest of a layer along the sequence", "true"),
          optional("pipeline", ranks, "", "ranks of a pipeline", "[1, 2]"),
          optional("schedule", choices(one_of("pipeline schedule", std::move(schedules))), "",
                   "the order of passes", "[1f1b, zb-h1]"),
          optional("chunks", choices(count({1, 1000})), "",
                   "stages of each rank, where a schedule has any number of them", "[2, 4]"),
          optional("zero", choices(count({0, 3})), "", "what replicas share out", "[0, 1]"),
          optional("micro_batch", choices(count()), "", "samples of a micro-batch", "[1, 2, 4]"),
          optional("recompute", choices(one_of("recomputation", names_of(kRecomputations))), "",
                   "which activations are computed again in backward", "[none, full]"),
          optional(
              "coverage", shares, "",
              "share of the workers that hold a block, of subnetworks in place of replicas; 1: "
              "replicas",
              "[1, 1/2]"),
          optional("innermost", choices(one_of("axis", names_of(kAxisOrder))), "",
                   "the axis whose neighbours are neighbouring ranks", "[tensor, data]"),
      },
  };
}

}  // namespace

std::vector<Section> strategy_sections() {
  return {strategy(),   data(),  tensor(),           pipeline(),
          subnetwork(), outer(), stochastic_depth(), advise()};
}

}  // namespace rehearse::yaml
