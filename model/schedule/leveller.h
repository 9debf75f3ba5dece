// Local search from an assignment on: single holders are moved, or two exchanged, first while that
// lowers the largest load, then while it widens the spectral gap and leaves the largest load within
// 5 % of the lowest found. Beyond 16 workers the gap is not looked at.
#pragma once

#include <vector>

#include "model/schedule/assignment.h"

namespace rehearse {

// start: with equally many holders of every unit. loads: by unit. shares: by worker; its load
// counts divided by its share.
Assignment levelled(Assignment start, const std::vector<double>& loads, std::vector<double> shares);

}  // namespace rehearse
