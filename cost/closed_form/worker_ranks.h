// What every rank of every worker's pipeline holds, runs and reduces: classes and buckets are the
// plan's own (model/schedule/buckets.h), prices are no matter. A strategy without subnetworks has
// one worker, who holds all.
#pragma once

#include <cstdint>
#include <vector>

#include "cost/closed_form/worker_stages.h"
#include "model/schedule/buckets.h"
#include "model/schedule/stages.h"

namespace rehearse {

struct WorkerRank {
  std::size_t worker = 0, rank = 0;   // of the pipeline
  std::vector<std::size_t> stages;    // of the pipeline, ascending
  std::vector<std::size_t> programs;  // of these (WorkerStages)
  std::vector<std::size_t> held;      // classes, ascending
  std::vector<std::size_t> read;      // by some who do not hold them: held or not
  // Buckets of several holders, in the order in which they are reduced.
  struct OwnBucket {
    std::size_t bucket = 0;
    // By stage of the rank that uses anything of it: which of its completions.
    struct Use {
      std::size_t stage = 0, completion = 0;
    };
    std::vector<Use> uses;
  };
  std::vector<OwnBucket> buckets;
  Bytes stand_ins;  // of gradients (cost/memory.h)
};

struct WorkerRanks {
  std::vector<HolderClass> classes;
  std::vector<std::size_t> members;  // by class: of each of its groups
  struct Part {                      // of a class
    std::size_t holder_class = 0;
    std::int64_t elements = 0;
  };
  std::vector<Part> buckets;      // in the common order
  std::vector<WorkerRank> ranks;  // by worker, then rank of the pipeline
  std::size_t pipeline = 1;       // ranks of each
};

struct RankSettings {
  StageCut cut;
  PipelineShape shape;  // of any number of micro-batches
  Bytes bucket;
  Recomputation recomputation = Recomputation::none;
  bool splits_backward = false;
  bool is_local = false;  // gradients are not reduced while passes run
  std::int64_t data = 1, tensor = 1;
  bool has_stand_ins = false;
};

WorkerRanks worker_ranks(UnitNet& whole, const Workers& workers, const Training& training,
                         const RankSettings& settings, WorkerStages& stages);

}  // namespace rehearse
