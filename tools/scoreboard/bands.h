// How far off predictions are where nothing was fitted to them, and whether their bands hold it.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "cost/error_band.h"
#include "tools/scoreboard/fit.h"
#include "tools/scoreboard/score.h"

namespace rehearse {

// A row of the scoreboard with what its time goes into.
struct Residual {
  const Case* of = nullptr;
  StepShares shares;
  double held_out = 0;   // log(measured / predicted), by constants fitted without its source
  double committed = 0;  // the same by the profile's
};

// Of trainings and collectives. shares: how much shorter the prediction is where all computing is a
// little faster; the rest is messages.
// Errors: a case cannot be predicted.
Result<std::vector<Residual>> residuals_of(const Scoreboard& board);

// The deviations of cost/error_band.h that make held-out residuals the likeliest (maximum
// likelihood): with computing and messages one draw for each source, since a source's rows have
// them in common, and with a draw of its own for each row. Residuals: of one device, not empty.
// Needs two sources to tell what is common from what is not.
std::optional<PredictionErrors> likeliest_errors(const std::vector<const Residual*>& residuals);

struct Bands {
  // By device: of all its sources; in what is fitted without a source: of the others. Rows of a
  // device with a single source have the band that its profile says, if it does.
  std::map<std::string, PredictionErrors> of_device;
  struct Coverage {
    std::string source;
    std::size_t rows = 0;    // that have a band
    std::size_t inside = 0;  // of the committed profile's prediction
    std::size_t apart = 0;   // that have one without their source
    std::size_t inside_apart = 0;
  };
  std::vector<Coverage> coverage;
};
Bands bands_of(const Scoreboard& board, const std::vector<Residual>& residuals);

// Markdown.
std::string print(const Bands& bands);

}  // namespace rehearse
