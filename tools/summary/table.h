// Text tables for the terminal.
#pragma once

#include <string>
#include <vector>

namespace rehearse {

// Rows of equally many cells, the first one the heading; first column to the left, others right.
std::string align_columns(const std::vector<std::vector<std::string>>& rows);

}  // namespace rehearse
