#include "model/schedule/schedule_csv.h"
#include "model/schedule/schedule_shape/checks.h"

namespace rehearse {

Result<PipelineShape> shape_of(const ScheduleTable& table) {
  using namespace schedule_shape;
  Sheet sheet(table);
  auto stages = place_stages(sheet);
  if (!stages) return std::move(sheet.errors);
  sheet.index();
  stages->shape.micro_batches = count_micro_batches(sheet);
  check_passes(sheet, *stages);
  if (sheet.errors.empty() && table.has_messages) {
    check_messages(sheet, stages->shape);
    check_shards(sheet);
  }
  if (sheet.errors.empty()) dry_run(sheet, stages->shape);
  if (!sheet.errors.empty()) return std::move(sheet.errors);
  return stages->shape;
}

}  // namespace rehearse
