// The colours of the report's page, in its light look.
#pragma once

#include <string>

#include "model/plan/plan.h"

namespace rehearse::figures {

std::string color_of(OpKind kind);
std::string color_of(BufferKind kind);
// Of a cell of a grid, by its first letter; empty: it is idle.
std::string color_of_pass(char letter);
// Of a pool of a summary, or the k-th color where it has none of its own.
std::string color_of_pool(const std::string& name, std::size_t number);
// From pale at 0 to full at 1.
std::string color_of_share(double share);

}  // namespace rehearse::figures
