#include <sched.h>
#include <unistd.h>

#include <fstream>
#include <string>

#include "exec/measure/phases.h"
#include "model/base/text.h"

namespace rehearse::exec {
namespace {

std::string processor_name() {
  std::ifstream file("/proc/cpuinfo");
  for (std::string line; std::getline(file, line);) {
    if (line.rfind("model name", 0) != 0) continue;
    const std::size_t colon = line.find(':');
    if (colon != std::string::npos)
      return std::string(trim(std::string_view(line).substr(colon + 1)));
  }
  return "unknown";
}

// Cores this process may run on: fewer than there are inside a container, or a bound MPI rank.
std::int64_t usable_cores() {
  cpu_set_t cores;
  if (sched_getaffinity(0, sizeof cores, &cores) == 0) return CPU_COUNT(&cores);
  return sysconf(_SC_NPROCESSORS_ONLN);
}

}  // namespace

Host describe_host(const Transport& transport, const Backend& backend) {
  return {processor_name(), usable_cores(),
          Bytes::bytes(static_cast<std::int64_t>(sysconf(_SC_PHYS_PAGES)) * sysconf(_SC_PAGESIZE)),
          static_cast<std::int64_t>(transport.size()), std::string(backend.name())};
}

}  // namespace rehearse::exec
