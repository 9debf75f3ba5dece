// The choices of a scenario file whose enumerators no table of the model lists: in the order in
// which people read them.
#pragma once

#include <string>
#include <vector>

#include "model/cluster/cluster.h"
#include "model/plan/fidelity.h"
#include "model/plan/plan.h"
#include "model/plan/transition.h"
#include "model/schedule/strategy.h"

namespace rehearse::yaml {

inline constexpr Recomputation kRecomputations[] = {Recomputation::none, Recomputation::selective,
                                                    Recomputation::full};
inline constexpr Construction kConstructions[] = {Construction::block, Construction::width};
inline constexpr AssignmentKind kAssignments[] = {AssignmentKind::balanced, AssignmentKind::nested,
                                                  AssignmentKind::random, AssignmentKind::rolling};
inline constexpr Masking kMaskings[] = {Masking::forward, Masking::backward};
inline constexpr Scaling kScalings[] = {Scaling::at_test, Scaling::in_training, Scaling::none};
inline constexpr Balance kBalances[] = {Balance::flops, Balance::parameters, Balance::saved};
inline constexpr Averaging kAveragings[] = {Averaging::holders, Averaging::all};
inline constexpr Moments kMoments[] = {Moments::keep, Moments::reset};
inline constexpr WidthAxis kWidthAxes[] = {WidthAxis::hidden, WidthAxis::heads,
                                           WidthAxis::channels};
inline constexpr InterconnectKind kInterconnectKinds[] = {
    InterconnectKind::mesh, InterconnectKind::ring, InterconnectKind::switched};
inline constexpr Provenance kProvenances[] = {Provenance::assumed, Provenance::measured,
                                              Provenance::published};
inline constexpr Routing kRoutings[] = {Routing::ecmp, Routing::shortest};
inline constexpr Detail kDetails[] = {Detail::block, Detail::segment};
inline constexpr Replicas kReplicas[] = {Replicas::all, Replicas::first, Replicas::automatic};

// What messages between the devices of a scenario go over.
enum class Carrier { host, nccl };
constexpr std::string_view to_string(Carrier carrier) {
  return carrier == Carrier::nccl ? "nccl" : "host";
}
inline constexpr Carrier kCarriers[] = {Carrier::host, Carrier::nccl};

template <class List>
std::vector<std::string> names_of(const List& all) {
  std::vector<std::string> names;
  for (const auto one : all)
    names.emplace_back(to_string(one));
  return names;
}

}  // namespace rehearse::yaml
