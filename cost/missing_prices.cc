#include "cost/missing_prices.h"

#include <algorithm>
#include <set>
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

// By number in the ranks' bindings.
struct Partners {
  std::set<std::size_t> peers, groups;
};
Partners partners_of(const RankProgram& program) {
  Partners partners;
  for (const Op& op : program.ops) {
    if (op.kind == OpKind::send) partners.peers.insert(transfer_of(op).peer);
    if (is_collective(op.kind)) partners.groups.insert(collective_of(op).group);
  }
  return partners;
}

// Whether some message goes from a GPU to another one of its node over no link at all.
bool has_linkless_messages(const Plan& plan, const Cluster& cluster) {
  const ClusterSpec& spec = cluster.spec();
  if (spec.interconnect || spec.devices_per_node == 1) return false;
  const auto is_linkless = [&](RankId a, RankId b) {
    return a != b && cluster.device(a).kind == DeviceKind::gpu && cluster.route(a, b).empty();
  };
  std::vector<Partners> partners;
  for (const RankProgram& program : plan.programs)
    partners.push_back(partners_of(program));
  for (std::size_t r = 0; r < plan.ranks.size(); ++r) {
    const RankBinding& rank = plan.ranks[r];
    for (const std::size_t peer : partners[rank.program.index()].peers) {
      if (is_linkless(RankId(r), rank.peers[peer])) return true;
    }
    for (const std::size_t group : partners[rank.program.index()].groups) {
      const std::vector<RankId>& members = plan.groups[rank.groups[group].index()].members;
      // Ranks of a node are neighbours in a group, if there are several.
      const auto own = std::find(members.begin(), members.end(), RankId(r));
      if (own + 1 < members.end() && is_linkless(*own, *(own + 1))) return true;
    }
  }
  return false;
}

bool lacks(const Device& device, MissingPrice price, bool has_messages, std::int64_t neighbours) {
  switch (price) {
    case MissingPrice::messaging:
      return has_messages && is_free(device.messaging);
    case MissingPrice::capacity:
      return device.kind == DeviceKind::cpu && neighbours > 1 && device.capacity.empty();
    case MissingPrice::launch:
      return device.kind == DeviceKind::gpu && device.launch <= Seconds{};
    case MissingPrice::interconnect:
      return false;  // no device's
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
    case MissingPrice::interconnect:
      return "interconnect";
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
    case MissingPrice::interconnect:
      return "the links between GPUs of a node";
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
  const bool has_gpus = std::any_of(devices.begin(), devices.end(), [](const Device* device) {
    return device->kind == DeviceKind::gpu;
  });
  if (has_gpus && has_linkless_messages(plan, cluster))
    missing.push_back(MissingPrice::interconnect);
  return missing;
}

}  // namespace rehearse
