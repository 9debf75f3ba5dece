#include "cost/missing_prices.h"

#include <algorithm>
#include <variant>

#include "model/base/check.h"

namespace rehearse {
namespace {

bool is_message(const Op& op) {
  return is_collective(op.kind) || std::holds_alternative<Transfer>(op.detail);
}

bool sends(const Plan& plan) {
  return std::any_of(plan.programs.begin(), plan.programs.end(), [](const RankProgram& program) {
    return std::any_of(program.ops.begin(), program.ops.end(), is_message);
  });
}

bool is_free(const Messaging& m) {
  return m.latency + m.per_message + m.send_per_byte + m.receive_per_byte + m.reduce_per_byte +
             m.collective + m.first_per_byte <=
         Seconds{};
}

bool lacks(const Device& device, MissingPrice price, bool has_messages, std::int64_t neighbours) {
  switch (price) {
    case MissingPrice::messaging:
      return has_messages && is_free(device.messaging);
    case MissingPrice::capacity:
      return device.kind == DeviceKind::cpu && neighbours > 1 && device.capacity.empty();
    case MissingPrice::launch:
      return device.kind == DeviceKind::gpu && device.launch <= Seconds{};
  }
  REHEARSE_UNREACHABLE("missing price");
}

// Each once.
std::vector<const Device*> devices_of(const Cluster& cluster) {
  std::vector<const Device*> devices;
  for (std::size_t r = 0; r < cluster.rank_count(); ++r) {
    const Device* device = &cluster.device(RankId(r));
    if (std::find(devices.begin(), devices.end(), device) == devices.end())
      devices.push_back(device);
  }
  return devices;
}

}  // namespace

std::string_view to_string(MissingPrice missing) {
  switch (missing) {
    case MissingPrice::messaging:
      return "messaging";
    case MissingPrice::capacity:
      return "capacity";
    case MissingPrice::launch:
      return "launch";
  }
  REHEARSE_UNREACHABLE("missing price");
}

std::string_view meaning_of(MissingPrice missing) {
  switch (missing) {
    case MissingPrice::messaging:
      return "what messages cost their ranks";
    case MissingPrice::capacity:
      return "how ranks share a node's cores";
    case MissingPrice::launch:
      return "what queueing a kernel takes the host";
  }
  REHEARSE_UNREACHABLE("missing price");
}

std::vector<MissingPrice> missing_prices(const Plan& plan, const Cluster& cluster) {
  const std::vector<const Device*> devices = devices_of(cluster);
  const bool has_messages = sends(plan);
  std::vector<MissingPrice> missing;
  for (int p = 0; p <= static_cast<int>(kLastMissingPrice); ++p) {
    const auto price = static_cast<MissingPrice>(p);
    if (std::any_of(devices.begin(), devices.end(), [&](const Device* device) {
          return lacks(*device, price, has_messages, cluster.spec().devices_per_node);
        }))
      missing.push_back(price);
  }
  return missing;
}

}  // namespace rehearse
