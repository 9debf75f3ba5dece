// What a step's time is made of: the critical path, the links that bind, and what faster parts
// would gain.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "model/base/styled_text.h"
#include "model/plan/critical_path.h"
#include "tools/predict/link_loads.h"
#include "tools/predict/predict.h"

namespace rehearse {

// "leaf12" as "leaf*".
std::string without_numbers(const std::string& name);
// Links that are alike but for their numbers, both ways: "node*--leaf*".
std::string class_of_link(const Cluster& cluster, LinkId link);

// What the critical path holds of one kind: passes of a kind, or messages bound by alike links.
struct PathShare {
  OpKind kind = OpKind::forward;
  bool waits = false;      // for nothing that the plan knows of
  std::string link_class;  // of messages; empty: they cross no link
  Seconds time;
  Seconds bound;  // that the binding links need for them, at most time
};

// Collectives of one kind over one group, in one step.
struct GroupTraffic {
  GroupId group;
  OpKind kind = OpKind::all_reduce;
  CollectiveAlgorithm algorithm = CollectiveAlgorithm::ring;
  std::int64_t members = 1, ops = 0;
  Bytes bytes;  // sent by all members
  std::optional<BindingLink> binding;
  Seconds busy;  // of a member: mean
};

struct LinkClass {
  std::string name;
  std::int64_t links = 0;
  Bytes bytes;                // per step, over all of them
  double mean = 0, most = 0;  // utilisation
  std::optional<LinkId> most_used;
};

// A change of the machine: the step time if the parts of the path that it concerns took less by
// what it saves them, and all else stayed as it was (another path may bind then; or what is on the
// path waited for others that are quicker now, too), and that of the same plan simulated again.
struct WhatIf {
  std::string change;
  Seconds by_path, simulated;
};

struct Explanation {
  std::string strategy, plan_hash;
  Seconds step_time;
  std::vector<PathPart> path;                       // in order
  std::vector<std::optional<BindingLink>> binding;  // by part of the path
  std::vector<PathShare> shares;                    // the largest first
  std::vector<GroupTraffic> groups;
  std::vector<LinkClass> links;
  std::vector<WhatIf> what_ifs;
};

// Of a strategy with local steps the step that synchronises, of drawn plans the first. A simulation
// for each change. Errors: as predict().
struct Explained {
  Plan plan;
  Cluster cluster;
  Explanation explanation;
};
Result<Explained> explain(const Scenario& scenario, const ScenarioStrategy& strategy);

StyledText print_table(const Explained& explained);
std::string print_json(const std::string& scenario, const std::vector<Explained>& all);

}  // namespace rehearse
