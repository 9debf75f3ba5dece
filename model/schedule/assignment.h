// Who holds which unit of the network in subnetwork data parallelism.
//
// Every unit is held by exactly c of N workers (the "uniform representation" of Singh et al.,
// arXiv 2507.09029). Units start on cyclic windows of workers, sorted by size with the window
// carried on from one class of equal shapes to the next and the order within a class drawn from the
// seed; then single holders are moved, or two exchanged, while that lowers the largest load, and
// after that while it widens the spectral gap and leaves the largest load within 5 % of the lowest
// found. Where masks are drawn anew, every draw after the first has orders and windows of its own,
// so that parts of the network meet in other subnetworks, on other workers.
#pragma once

#include <cstdint>
#include <vector>

#include "model/net/net.h"
#include "model/schedule/strategy.h"

namespace rehearse {

struct Assignment {
  std::int64_t workers = 1;
  std::vector<std::vector<bool>> holders;  // by unit and worker
};

// The load of each unit, per sample: FLOPs, parameters or bytes kept for backward.
std::vector<double> unit_loads(const Net& net, Balance balance, Masking masking);

// Which of the assignments that a seed gives.
struct AssignmentDraw {
  std::uint64_t seed = 0;
  std::int64_t number = 0;
};

// Exactly `holders` per unit; connected whenever holders >= 2 and there are units enough.
Assignment assign_units(const Net& net, const std::vector<double>& loads, std::int64_t workers,
                        std::int64_t holders, const AssignmentDraw& draw);
// The same for workers that are to have different shares of the load; who is to have all of it
// holds every unit. coverages: by worker; their sum is the number of holders.
Assignment assign_units(const Net& net, const std::vector<double>& loads,
                        const std::vector<double>& coverages, const AssignmentDraw& draw);

// Of units of widths (model/net/width.h), as many in each width as there are workers: those of
// every width go once around the workers, in windows of `holders`, so that each worker has the same
// share of each. Larger units first, where the last width's ended; equal ones as is drawn.
Assignment assign_widths(const Net& net, std::int64_t workers, std::int64_t holders,
                         const AssignmentDraw& draw);

Subnetwork subnetwork_of(const Assignment& assignment, std::int64_t worker);
// By worker.
std::vector<double> worker_loads(const Assignment& assignment, const std::vector<double>& loads);

// 1 - the second eigenvalue of Dw^-1/2 B Du^-1 B^T Dw^-1/2, B the 0/1 matrix of workers and units:
// how fast what one worker learns reaches the others through what they share. Positive if and only
// if the workers are connected; workers without units are left out. O(N^3).
double spectral_gap(const Assignment& assignment);
// Whether a chain of shared units joins every two workers that hold any, and all hold some.
bool is_connected(const Assignment& assignment);

}  // namespace rehearse
