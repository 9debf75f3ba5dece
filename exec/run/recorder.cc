#include "exec/run/recorder.h"

#include "model/base/check.h"

namespace rehearse::exec {

Recorder::Recorder(const ComputeProgram& compute, KernelDevice& device, bool records)
    : compute_(compute), device_(device), records_(records) {
  REHEARSE_CHECK(!records || device.records(), "this device records nothing");
}

Recorder::~Recorder() {
  for (const auto& [place, stretch] : stretches_) {
    if (stretch.recording) device_.forget(*stretch.recording);
  }
}

std::size_t Recorder::run(OpId op, std::size_t first) {
  const std::vector<Launch>& launches = compute_.launches(op);
  const auto run_to = [&](std::size_t end) {
    for (std::size_t k = first; k < end; ++k)
      launches[k].run();
    return end;
  };
  if (!records_) return run_to(first + 1);
  const auto [entry, is_new] = stretches_.try_emplace({op, first}, stretch_from(op, first));
  Stretch& stretch = entry->second;
  // One kernel is queued as fast as a recording of it.
  if (stretch.end == first + 1 || !stretch.has_run) {
    stretch.has_run = true;
    return run_to(stretch.end);
  }
  if (stretch.recording && device_.replay(*stretch.recording)) return stretch.end;
  record(stretch, op, first);
  return stretch.end;
}

// What is recorded is not done yet.
void Recorder::record(Stretch& stretch, OpId op, std::size_t first) {
  if (stretch.recording) device_.forget(*stretch.recording);
  stretch.recording.reset();
  device_.begin_recording();
  for (std::size_t k = first; k < stretch.end; ++k)
    compute_.launches(op)[k].run();
  stretch.recording = device_.end_recording();
  const bool is_done = device_.replay(*stretch.recording);
  REHEARSE_CHECK(is_done, "what was recorded just now has moved");
}

// To the first kernel that draws; that alone.
Recorder::Stretch Recorder::stretch_from(OpId op, std::size_t first) const {
  const std::vector<Launch>& launches = compute_.launches(op);
  std::size_t end = first;
  while (end < launches.size() && !launches[end].draws)
    ++end;
  return {.end = end == first ? first + 1 : end};
}

}  // namespace rehearse::exec
