// The end of a rank's step: weights follow their gradients, and go to whoever else needs them.
#pragma once

#include <map>

#include "model/schedule/rank_program/rank_inputs.h"

namespace rehearse {

// reductions: by class, the last one. The draft has all passes and reductions.
void add_updates(const RankInputs& inputs, const std::map<std::size_t, OpId>& reductions,
                 RankDraft& draft);

}  // namespace rehearse
