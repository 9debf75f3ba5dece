// Parts of workers' networks that passes run over: those of equal blocks have one number, whoever
// runs them, and are priced once for each size of micro-batch.
#pragma once

#include <map>
#include <memory>
#include <vector>

#include "cost/closed_form/stage_program.h"
#include "cost/closed_form/worker_nets.h"

namespace rehearse {

class WorkerParts {
 public:
  // All must outlive it.
  WorkerParts(const UnitNet& whole, const Training& training, const Device& device)
      : whole_(whole), training_(training), device_(device) {}

  // The number of a part of a worker's network. contents: of its blocks.
  std::size_t number(const std::shared_ptr<const Net>& net,
                     const std::vector<std::size_t>& contents, const PassRange& range);
  // By number, the prices of a program's parts, and perhaps of others. Valid until the next call.
  const std::vector<PartPass>& prices(const StageProgram& program, std::int64_t samples);

 private:
  struct Part {
    std::shared_ptr<const Net> net;  // the first that has it
    PassRange range;
  };
  struct Prices {
    std::vector<PartPass> parts;
    std::vector<bool> known;
  };

  const UnitNet& whole_;
  const Training& training_;
  const Device& device_;
  std::map<std::vector<std::size_t>, std::size_t> known_;
  std::vector<Part> parts_;  // by number
  std::map<std::int64_t, Prices> by_samples_;
};

}  // namespace rehearse
