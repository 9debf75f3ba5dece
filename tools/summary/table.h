// Text tables for the terminal.
#pragma once

#include <array>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "cost/error_band.h"
#include "model/base/styled_text.h"
#include "model/cluster/device.h"

namespace rehearse {

// A cell that stands out.
struct CellEmphasis {
  std::size_t row, column;
  Emphasis emphasis;
};

// Rows of equally many cells, the first one the heading, which is strong; first column to the left,
// others right. No two emphases are of one cell, none of the heading's.
StyledText align_columns(const std::vector<std::vector<std::string>>& rows,
                         const std::vector<CellEmphasis>& emphases = {});

// "8.12 ms to 9.03 ms"; "-" where there is none.
inline constexpr std::string_view kBandHeading = "90 % of runs";
std::string text_of(const std::optional<TimeBand>& band);
// What computing is priced by: its share of the seconds, by provenance.
using PriceShares = std::array<double, kProvenanceCount>;
// "published 84 %, assumed 16 %"; empty: nothing is computed.
std::string text_of(const PriceShares& shares);
// A line, or one for each that differs: strategies by name.
std::string print_price_shares(const std::vector<std::pair<std::string, PriceShares>>& all);
// Said once of predictions without bands.
std::string no_bands(std::string_view device);

}  // namespace rehearse
