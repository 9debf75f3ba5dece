// Graphs of operations on the host, one operation after the other in double but for what is real,
// which is rounded where it is stored.
#pragma once

#include <cstdint>
#include <vector>

#include "exec/cuda/products.h"
#include "exec/cuda/tensor_graph.h"

namespace rehearse::exec::cuda {

double number_at(Element type, const void* memory, std::int64_t at);
void set_number(Element type, void* memory, std::int64_t at, double value);

// memory: of the operands. real: what they are; wide numbers are fp32, of fp64 fp64.
void run_on_host(const TensorGraph& graph, const std::vector<std::size_t>& operands,
                 const std::vector<void*>& memory, Element real);

}  // namespace rehearse::exec::cuda
