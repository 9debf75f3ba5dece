// How good predictions are: of each source by the committed profiles, and by constants that were
// fitted without it.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "tools/scoreboard/cases.h"

namespace rehearse {

struct Predicted {
  const Case* of = nullptr;
  double committed = 0;  // by the profiles as they are
  double held_out = 0;   // by constants fitted to the other sources' cases
};

struct Errors {
  double mean = 0, worst = 0;  // of |predicted / measured - 1|
  double bias = 0;             // mean of predicted / measured - 1
  // Of pairs within groups whose measured times differ, the share whose order is right.
  std::optional<double> order;
  // Time that the case predicted to be the fastest of its group takes above the fastest one: mean.
  std::optional<double> regret;
};

struct SourceScore {
  std::string source;
  std::size_t cases = 0, fitted = 0;
  Errors committed;
  // Of the rows of devices whose constants are not fitted to this source alone; none: there are
  // none.
  std::size_t held_out_cases = 0;
  std::optional<Errors> held_out;
};

struct Scoreboard {
  bool has_others = true;            // else what is held out says nothing, and is not printed
  std::vector<Predicted> rows;       // in the order of the cases
  std::vector<SourceScore> sources;  // in the order in which they first appear
  // By device: factors on the profile's constants that its fitted cases ask for, of all sources and
  // without each.
  struct Fitted {
    std::string device, without;  // empty: of all
    Factors factors;
  };
  std::vector<Fitted> fits;
};

// Sources on one device are fitted together. The cases must outlive it.
Result<Scoreboard> score(const std::vector<Case>& cases);

Errors errors_of(const std::vector<Predicted>& rows, double Predicted::*column);

// Markdown.
std::string print_sources(const Scoreboard& board);
std::string print_rows(const Scoreboard& board);
std::string print_fits(const Scoreboard& board);

}  // namespace rehearse
