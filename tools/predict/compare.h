// What predictions of one machine say beside one another.
#pragma once

#include "model/cluster/cluster.h"
#include "tools/summary/summary.h"

namespace rehearse {

// Which of the strategies errors of the profile do not let be told apart by the time of a run
// (cost/error_band.h), and how much memory a device has.
void compare(const ClusterSpec& cluster, Summary& summary);

}  // namespace rehearse
