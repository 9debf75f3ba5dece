// Rates of kernels that a cluster has in place of its device's profile: profiles are made with some
// software, and another attention kernel, or fused optimizer, is as fast as it is.
#include <fmt/format.h>

#include "model/scenario/names.h"
#include "model/scenario/sections.h"

namespace rehearse::yaml {
namespace {

void read_kernel_rate(const Value& value, std::string_view name, Map& kernels, KernelRate& rate) {
  Map map(value, section("kernel_rate"), kernels.where(name), kernels.problems(),
          std::string(name));
  read(map, "compute", rate.compute);
  read(map, "memory", rate.memory);
  read(map, "overhead", rate.overhead);
  Provenance provenance{};
  read_one_of(map, "provenance", provenance, kProvenances);
  rate.provenance = provenance;
  map.finish();
}

}  // namespace

void read_kernel_rates(Map& cluster, Device& device) {
  const Value* value = cluster.find("kernels");
  if (value == nullptr) return;
  Map map(*value, section("kernels"), cluster.where("kernels"), cluster.problems());
  for (int k = 0; k < kKernelClassCount; ++k) {
    const std::string_view name = to_string(static_cast<KernelClass>(k));
    if (const Value* rate = map.find(name))
      read_kernel_rate(*rate, name, map, device.kernels[static_cast<std::size_t>(k)]);
  }
  map.finish();
}

}  // namespace rehearse::yaml
