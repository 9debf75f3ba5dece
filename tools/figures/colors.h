// The colours of the report's page, in its light look (tools/report/palette.h).
#pragma once

#include <cstddef>
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
// Of what a link carries of what it can.
std::string color_of_load(double share);
// Of a series, by number.
std::string series_color(std::size_t number);

}  // namespace rehearse::figures
