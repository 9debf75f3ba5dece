// A plan as MLCommons Chakra execution traces, for ASTRA-sim and its relatives: one file per rank.
//
// An op is a node, its number the node's id:
//
//   passes, sum_squares, optimizer_step COMP_NODE        num_ops, tensor_size
//   accumulate, outer_gradient,
//   outer_step
//   load_batch                          MEM_LOAD_NODE    tensor_size
//   send, receive                       COMM_SEND_NODE,  comm_src, comm_dst, comm_tag, comm_size
//                                       COMM_RECV_NODE
//   all_reduce, reduce_scatter,         COMM_COLL_NODE   comm_type, comm_size, comm_priority,
//   all_gather                                           pg_name, involved_ranks
//
// Every node has is_cpu_op = false (mlcommons/chakra's feeder takes true for granted). Names and
// types are those its feeder reads: num_ops, comm_size and comm_type are int64, tensor_size uint64,
// comm_src, comm_dst, comm_tag and comm_priority int32, pg_name a string.
//
//   duration_micros   of the ops that are no messages, in whole microseconds
//   num_ops       floating point operations of the op's kernels, as cost prices them
//   tensor_size   bytes they read and write: num_ops / tensor_size is the intensity of a roofline
//   comm_size     bytes of a message; of a collective, the bytes each member gives
//   pg_name       number of the plan's group plus 1: ASTRA-sim takes "0" for everybody
//   involved_dim  is not written: a plan knows no dimensions of a network. Its absence means all
//
// data_deps: the ops in `after` and the one before on the lane, for mlcommons/chakra's feeder looks
// at nothing else; ctrl_deps: the latter. ASTRA-sim runs one send or collective of a rank at a
// time, whatever the lanes, so its times are not ours; order and bytes are.
//
// A trace is one period of the plan. What is not in it: buffers, and which algorithm a collective
// uses, which ASTRA-sim's own configuration says.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "model/base/diagnostic.h"
#include "model/plan/plan.h"
#include "model/plan/prices.h"

namespace rehearse {

// The bytes of the rank's file. prices: of the ops that are no messages, for simulators without a
// roofline. Aborts if check_chakra(plan) fails.
std::string chakra_trace(const Plan& plan, RankId rank, const Prices* prices = nullptr);

// Whether the plan fits the format: tags below 2^31.
Status check_chakra(const Plan& plan);

// The groups for ASTRA-sim's --comm-group-configuration: {"1": [0, 1], ...}, keys as in pg_name.
std::string chakra_groups(const Plan& plan);

// Writes rehearse.0.et, rehearse.1.et, ... and rehearse.groups.json into the directory, which is
// made if it is not there; files of ranks that an older plan had more are removed from it.
Status write_chakra(const Plan& plan, const std::string& directory, const Prices* prices = nullptr);

}  // namespace rehearse
