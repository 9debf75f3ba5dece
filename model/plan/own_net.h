// The network as a program trains it (net_of()), without a copy of it where that is all of it.
#pragma once

#include <optional>

#include "model/plan/plan.h"

namespace rehearse {

class OwnNet {
 public:
  // full: the plan's whole network, which must outlive it.
  OwnNet(const Plan& plan, const Net& full, const RankProgram& program);

  const Net& operator*() const { return own_ ? *own_ : full_; }

 private:
  const Net& full_;
  std::optional<Net> own_;
};

}  // namespace rehearse
