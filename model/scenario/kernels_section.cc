// Rates of kernels that a cluster has in place of its device's profile: profiles are made with some
// software, and another attention kernel, or fused optimizer, is as fast as it is.
#include <fmt/format.h>

#include "model/base/check.h"
#include "model/scenario/names.h"
#include "model/scenario/sections.h"

namespace rehearse::yaml {
namespace {

// The rate that prices most kernels of a class: its provenance is the class's.
std::string_view pricing_rate(KernelClass kernel) {
  switch (kernel) {
    case KernelClass::convolution:
    case KernelClass::matrix_product:
    case KernelClass::attention:
      return "compute";
    case KernelClass::normalization:
    case KernelClass::elementwise:
    case KernelClass::reduction:
    case KernelClass::embedding:
    case KernelClass::optimizer:
    case KernelClass::copy:
      return "memory";
  }
  REHEARSE_UNREACHABLE("kernel class");
}

void read_kernel_rate(const Value& value, KernelClass kernel, Map& kernels, KernelRate& rate) {
  const std::string name(to_string(kernel));
  Map map(value, section("kernel_rate"), kernels.where(name), kernels.problems(), name);
  read(map, "compute", rate.compute);
  read(map, "memory", rate.memory);
  read(map, "overhead", rate.overhead);
  Provenance provenance{};
  read_one_of(map, "provenance", provenance, kProvenances);
  // A rate that stays is from where the profile has it.
  if (map.find(pricing_rate(kernel)) != nullptr) rate.provenance = provenance;
  const bool says_any = map.find("compute") != nullptr || map.find("memory") != nullptr ||
                        map.find("overhead") != nullptr;
  if (value.kind == Kind::map && !says_any)
    map.problems().add(map.where(),
                       fmt::format("'{}' says none of 'compute', 'memory' and 'overhead'", name));
  map.finish();
}

}  // namespace

void read_kernel_rates(Map& cluster, Device& device) {
  const Value* value = cluster.find("kernels");
  if (value == nullptr) return;
  Map map(*value, section("kernels"), cluster.where("kernels"), cluster.problems());
  for (int k = 0; k < kKernelClassCount; ++k) {
    const auto kernel = static_cast<KernelClass>(k);
    if (const Value* rate = map.find(to_string(kernel)))
      read_kernel_rate(*rate, kernel, map, device.kernels[static_cast<std::size_t>(k)]);
  }
  map.finish();
}

}  // namespace rehearse::yaml
