// The shares that slices have of values they hold alike, and the values that these are of.
#pragma once

#include <map>
#include <utility>

#include "tests/plan/symbolic/words.h"

namespace rehearse::testing::symbolic {

class ValueShares {
 public:
  Word share_of(Word whole, std::int64_t slice) {
    const Word share = hash({term_share, whole, static_cast<Word>(slice)});
    whole_of_[{share, slice}] = whole;
    return share;
  }

  // kUnwritten: it is no share of this slice.
  Word whole_of(Word share, std::int64_t slice) const {
    const auto known = whole_of_.find({share, slice});
    return known == whole_of_.end() ? kUnwritten : known->second;
  }

 private:
  std::map<std::pair<Word, std::int64_t>, Word> whole_of_;
};

}  // namespace rehearse::testing::symbolic
