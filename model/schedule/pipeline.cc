#include "model/schedule/pipeline.h"

#include <algorithm>

#include "model/base/check.h"
#include "model/schedule/pipelines/pipelines.h"

namespace rehearse {

std::string_view to_string(Task task) {
  switch (task) {
    case Task::forward:
      return "forward";
    case Task::backward:
      return "backward";
    case Task::backward_input:
      return "backward_input";
    case Task::backward_weight:
      return "backward_weight";
  }
  REHEARSE_UNREACHABLE("task");
}

const std::vector<StageExchange>& stage_exchanges() {
  static const std::vector<StageExchange> all = {StageExchange::overlapped, StageExchange::batched,
                                                 StageExchange::serial};
  return all;
}

std::string_view to_string(StageExchange exchange) {
  switch (exchange) {
    case StageExchange::overlapped:
      return "overlapped";
    case StageExchange::batched:
      return "batched";
    case StageExchange::serial:
      return "serial";
  }
  REHEARSE_UNREACHABLE("stage exchange");
}

std::size_t rank_of(const PipelineShape& shape, StageId stage) {
  const auto p = static_cast<std::size_t>(shape.ranks);
  const std::size_t turn = stage.index() / p, place = stage.index() % p;
  const bool upwards = shape.placement == Placement::vee && turn % 2 == 1;
  return upwards ? p - 1 - place : place;
}

std::vector<StageId> stages_of(const PipelineShape& shape, std::size_t rank) {
  std::vector<StageId> stages;
  for (std::int64_t s = 0; s < shape.stages(); ++s) {
    if (rank_of(shape, StageId(s)) == rank) stages.emplace_back(s);
  }
  return stages;
}

const std::vector<PipelineSchedule>& pipeline_schedules() {
  using namespace pipelines;
  static const std::vector<PipelineSchedule> table = {
      one_forward_one_backward(),
      dualpipev(),
      gpipe(),
      interleaved(),
      v_half(),
      v_min(),
      zb_auto(),
      zb_h1(),
      zb_h2(),
      zb_v(),
  };
  return table;
}

const PipelineSchedule* find_pipeline_schedule(std::string_view name) {
  const auto& table = pipeline_schedules();
  const auto row = std::find_if(table.begin(), table.end(), [&](const PipelineSchedule& schedule) {
    return schedule.name == name;
  });
  return row == table.end() ? nullptr : &*row;
}

}  // namespace rehearse
