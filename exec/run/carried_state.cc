#include "exec/run/carried_state.h"

#include "exec/run/tags.h"
#include "exec/run/wait.h"
#include "model/base/check.h"

namespace rehearse::exec {
namespace {

bool moves(const StateContent& content, std::size_t array) {
  if (array == ParameterState::kWeights) return content.weights;
  if (array >= ParameterState::kAnchor) return content.outer;
  return array == ParameterState::kMaster ? content.master : content.moments;
}

bool is_moment(std::size_t array) {
  return array != ParameterState::kWeights && array < ParameterState::kMaster;
}

}  // namespace

CarriedState::CarriedState(const Parameters& before) {
  for (const auto& [id, place] : before.places()) {
    const auto arrays = before.state_of(id).arrays();
    Copy& copy = copies_[id];
    for (std::size_t k = 0; k < arrays.size(); ++k)
      copy[k] = read(before.device(), arrays[k]);
  }
}

void CarriedState::hand_over(const Transition& transition, Moments moments, const Parameters& after,
                             Transport& transport) const {
  KernelDevice& device = after.device();
  std::vector<Request> requests;
  std::vector<Mirror> arriving;  // on the host, as where they come from
  for (const StateMove& move : transition.moves) {
    for (const ParameterId id : move.parameters) {
      for (std::size_t k = 0; k < ParameterState::kArrays; ++k) {
        if (!moves(move.content, k)) continue;
        if (move.to == transport.rank()) {
          const auto into = after.state_of(id).arrays()[k];
          if (into.empty()) continue;
          arriving.push_back(Mirror::of_device(device, into));
          requests.push_back(
              transport.receive(move.from, kTransitionTag, arriving.back().host_bytes()));
        }
        if (move.from == transport.rank()) {
          const std::vector<std::byte>& copy = copies_.at(id)[k];
          if (!copy.empty()) requests.push_back(transport.send(move.to, kTransitionTag, copy));
        }
      }
    }
  }
  for (const auto& [id, place] : after.places()) {
    const auto arrays = after.state_of(id).arrays();
    const auto own = copies_.find(id);
    for (std::size_t k = 0; k < arrays.size(); ++k) {
      if (arrays[k].empty()) continue;
      if (is_moment(k) && moments == Moments::reset) {
        device.fill(arrays[k].data(), std::byte{}, arrays[k].size());
      } else if (own != copies_.end() && !own->second[k].empty()) {
        device.copy(arrays[k].data(), own->second[k].data(), arrays[k].size());
      }
    }
  }
  device.wait();
  for (const Request request : requests)
    wait_for(transport, request);
  for (const Mirror& state : arriving)
    state.upload();
  device.wait();
}

}  // namespace rehearse::exec
