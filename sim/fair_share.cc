#include "sim/fair_share.h"

#include <algorithm>

#include "model/base/check.h"

namespace rehearse::sim {
namespace {
// Resources and bounds that are reached at nearly the same t are reached together: rounding must
// not decide who goes first.
constexpr double kTogether = 1e-12;
}  // namespace

ResourceId FairShare::add_resource(double capacity) {
  REHEARSE_CHECK(capacity > 0, "capacity {}", capacity);
  Resource resource;
  resource.capacity = capacity;
  resources_.push_back(std::move(resource));
  return ResourceId(resources_.size() - 1);
}

void FairShare::set_capacity(ResourceId id, double capacity) {
  Resource& resource = resources_[id.index()];
  if (resource.capacity == capacity) return;
  resource.capacity = capacity;
  touch(id);
}

void FairShare::touch(ResourceId id) {
  Resource& resource = resources_[id.index()];
  if (resource.changed) return;
  resource.changed = true;
  changed_.push_back(id);
}

FlowId FairShare::add_flow(std::vector<Use> uses, double weight, double bound) {
  REHEARSE_CHECK(weight > 0 && bound > 0, "weight {}, bound {}", weight, bound);
  REHEARSE_CHECK(!uses.empty() || bound != kUnbounded, "a flow without uses and bound");
  if (free_.empty()) {
    free_.emplace_back(flows_.size());
    flows_.emplace_back();
  }
  const FlowId id = free_.back();
  free_.pop_back();
  Flow& flow = flows_[id.index()];
  flow.uses = std::move(uses);
  flow.weight = weight;
  flow.bound = bound;
  flow.stops_at = bound / weight;
  flow.rate = 0;
  flow.active = true;
  for (const Use& use : flow.uses) {
    resources_[use.resource.index()].flows.push_back(id);
    touch(use.resource);
  }
  if (flow.uses.empty()) lonely_.push_back(id);
  return id;
}

void FairShare::remove_flow(FlowId id) {
  Flow& flow = flows_[id.index()];
  for (const Use& use : flow.uses) {
    auto& flows = resources_[use.resource.index()].flows;
    flows.erase(std::find(flows.begin(), flows.end(), id));
    touch(use.resource);
  }
  flow.active = false;
  free_.push_back(id);
}

const std::vector<FlowId>& FairShare::solve() {
  ++visit_;
  component_.clear();
  component_resources_.clear();
  collect_component();
  fill();
  for (const FlowId id : lonely_) {
    if (!flows_[id.index()].active || !flows_[id.index()].uses.empty()) continue;
    flows_[id.index()].rate = flows_[id.index()].bound;
    component_.push_back(id);
  }
  lonely_.clear();
  std::sort(component_.begin(), component_.end());
  component_.erase(std::unique(component_.begin(), component_.end()), component_.end());
  return component_;
}

// Everything that is joined to a changed resource by shared flows.
void FairShare::collect_component() {
  for (const ResourceId id : changed_) {
    resources_[id.index()].changed = false;
    if (resources_[id.index()].visit == visit_) continue;
    resources_[id.index()].visit = visit_;
    component_resources_.push_back(id);
  }
  changed_.clear();
  for (std::size_t next = 0; next < component_resources_.size(); ++next) {
    for (const FlowId flow_id : resources_[component_resources_[next].index()].flows) {
      Flow& flow = flows_[flow_id.index()];
      if (flow.visit == visit_) continue;
      flow.visit = visit_;
      component_.push_back(flow_id);
      for (const Use& use : flow.uses) {
        Resource& resource = resources_[use.resource.index()];
        if (resource.visit == visit_) continue;
        resource.visit = visit_;
        component_resources_.push_back(use.resource);
      }
    }
  }
}

void FairShare::fix(Flow& flow, double rate) {
  flow.rate = rate;
  flow.fixed = true;
  for (const Use& use : flow.uses) {
    Resource& resource = resources_[use.resource.index()];
    resource.pull -= use.amount * flow.weight;
    resource.left -= use.amount * rate;
    --resource.open;
  }
}

void FairShare::open_all() {
  for (const ResourceId id : component_resources_) {
    Resource& resource = resources_[id.index()];
    resource.left = resource.capacity;
    resource.pull = 0;
    resource.open = 0;
  }
  for (const FlowId id : component_) {
    Flow& flow = flows_[id.index()];
    flow.fixed = false;
    for (const Use& use : flow.uses) {
      Resource& resource = resources_[use.resource.index()];
      resource.pull += use.amount * flow.weight;
      ++resource.open;
    }
  }
  open_ = component_;
}

// The t at which the first resource is full or the first flow at its bound, if the open flows go
// on. Once for each resource, not for each use of it: this is where the time goes.
double FairShare::next_stop() {
  double t = kUnbounded;
  for (const ResourceId id : component_resources_) {
    Resource& resource = resources_[id.index()];
    if (resource.open == 0) continue;  // rounding may have left some pull
    resource.full_at = std::max(resource.left, 0.0) / resource.pull;
    t = std::min(t, resource.full_at);
  }
  for (const FlowId id : open_)
    t = std::min(t, flows_[id.index()].stops_at);
  return t;
}

void FairShare::fill() {
  open_all();
  double last = 0;  // t only grows, whatever rounding says
  while (!open_.empty()) {
    const double t = last = std::max(next_stop(), last);
    const double reached = t * (1 + kTogether);
    stopping_.clear();
    for (const FlowId id : open_) {
      const Flow& flow = flows_[id.index()];
      const bool stops = flow.stops_at <= reached ||
                         std::any_of(flow.uses.begin(), flow.uses.end(), [&](const Use& use) {
                           return resources_[use.resource.index()].full_at <= reached;
                         });
      if (stops) stopping_.push_back(id);
    }
    for (const FlowId id : stopping_)
      fix(flows_[id.index()], std::min(flows_[id.index()].weight * t, flows_[id.index()].bound));
    std::erase_if(open_, [&](FlowId id) { return flows_[id.index()].fixed; });
  }
}

double FairShare::load(ResourceId id) const {
  double sum = 0;
  for (const FlowId flow_id : resources_[id.index()].flows) {
    const Flow& flow = flows_[flow_id.index()];
    for (const Use& use : flow.uses) {
      if (use.resource == id) sum += use.amount * flow.rate;
    }
  }
  return sum;
}

}  // namespace rehearse::sim
